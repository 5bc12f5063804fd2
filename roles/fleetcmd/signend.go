package fleetcmd

import (
	"errors"

	"aspects-poc/roles/serverapi"
)

// endSigning prints what the end of signatures means, asks the user, and removes the statements from the server.
func endSigning(s *session) error {
	last, err := s.client.Signature(s, false)
	switch {
	case isMissing(err):
		return errors.New("there is nothing to remove: nothing is signed in this fleet")
	case err != nil:
		return err
	}
	s.say("The last statement is number %d, signed by %s, with the targets of %s.", last.Number, last.By, devicesOf(int(last.Devices)))
	s.say("Without statements the server offers all targets. A device with keys of operators refuses them, and keeps what it runs, until " +
		"its operators.json is removed and control is started again without --operator-keys.")
	if s.c.Bool("dry-run") {
		return nil
	}
	if err := s.confirm("Remove all statements?", "nothing is removed"); err != nil {
		return err
	}
	if err := recordEnd(s); err != nil {
		return err
	}
	s.say("All statements are removed from the server.")
	return nil
}

// recordEnd removes the statements from the server, and records that on this machine. Without the record this machine
// would suspect a server without statements of withholding them. The record has the number of the last statement,
// because the next one follows it.
func recordEnd(s *session) error {
	records, err := readSignRecords(s.env.Getenv)
	if err != nil {
		return err
	}
	before, signs := records.of[s.client.URL()]
	if !signs {
		return s.client.DeleteSignature(s)
	}
	work := &signing{session: s, records: records, record: before}
	ended := before
	if work.readPresent() == nil { // otherwise the server shows an older or an unverified statement, and the record stays
		ended = work.record
	}
	// The record comes first: if the answer is lost, the statements may be removed all the same.
	ended.Ended = true
	if err := records.write(s.client.URL(), ended); err != nil {
		return err
	}
	err = s.client.DeleteSignature(s)
	var refused *serverapi.Error
	if errors.As(err, &refused) && refused.Status < 500 {
		return errors.Join(err, records.write(s.client.URL(), before))
	}
	return err
}
