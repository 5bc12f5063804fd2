package fleetcmd

import "errors"

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
	if err := s.client.DeleteSignature(s); err != nil {
		return err
	}
	s.say("All statements are removed from the server.")
	return nil
}
