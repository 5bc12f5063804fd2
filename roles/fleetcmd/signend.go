package fleetcmd

import (
	"errors"

	"aspects-poc/roles/serverapi"
)

// endSigning says what the end of signatures means, asks, and removes the statements from the server.
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
	if err := s.agree("Remove all statements?", "nothing is removed"); err != nil {
		return err
	}
	if err := recordEnd(s); err != nil {
		return err
	}
	s.say("All statements are removed from the server.")
	return nil
}

// recordEnd removes the statements from the server, and has this machine remember that it did. Else it takes a server without statements
// for one that withholds them. The record has the number of the last statement, which the next one follows.
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
	if work.readPresent() == nil { // else the server shows an older statement, or one that nobody believes: the record stays
		ended = work.record
	}
	// First the record: should the answer be lost, the statements may be gone all the same.
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
