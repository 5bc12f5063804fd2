package control

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
	"aspects-poc/roles/serverapi/signed"
)

// An operators decides whether a target may be applied: if the device has operators' keys, one of them must have signed
// the target.
type operators struct {
	dir  *state.Dir
	keys signed.Keys // of --operator-keys; used if the device has none
	log  *slog.Logger

	guard   signed.Guard
	loaded  bool
	overdue int64 // the SignAgain of the last warning
}

// readOperatorKeys reads the file of --operator-keys.
func readOperatorKeys(path string) (signed.Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return signed.ParseKeys(text)
}

// none reports whether the state directory has no operators' keys. It is false after load.
func (o *operators) none() bool {
	if o.loaded {
		return false
	}
	guard, err := o.dir.Guard()
	return err == nil && !guard.Active()
}

// load reads the operators' keys of the state directory, once. If there are none, load stores those of --operator-keys.
func (o *operators) load() error {
	if o.loaded {
		return nil
	}
	guard, err := o.dir.Guard()
	if err != nil {
		return err
	}
	switch {
	case !guard.Active() && len(o.keys) > 0:
		guard = signed.Guard{Keys: o.keys}
		if err := o.dir.SaveGuard(guard); err != nil {
			return err
		}
		o.log.Info("from now on the device applies only what an operator has signed", "keys", len(guard.Keys))
	case guard.Active() && len(o.keys) > 0 && !guard.Keys.Equal(o.keys):
		o.log.Info("the keys of --operator-keys are not used: the device has keys already, which only a signed statement changes",
			"statement", guard.Number)
	}
	o.guard, o.loaded = guard, true
	return nil
}

// check returns an error unless an operator permits the offer. A *state.Error means that the keys cannot be read or the
// statement cannot be stored. On success the statement is on disk.
func (o *operators) check(offer *serverapi.Offer) error {
	if err := o.load(); err != nil {
		return &state.Error{Err: err}
	}
	if !o.guard.Active() {
		return nil
	}
	next, err := o.accept(offer)
	if err != nil || next.Digest == o.guard.Digest {
		return err
	}
	if err := o.dir.SaveGuard(next); err != nil {
		return &state.Error{Err: err}
	}
	o.guard = next
	o.log.Info("the operator's statement is new", "statement", next.Number, "signed-by", next.Signer,
		"at", time.Unix(next.At, 0).UTC().Format(time.RFC3339))
	return nil
}

// accept returns the guard with the statement of an offer. It returns an error if the statement does not permit the
// offer.
func (o *operators) accept(offer *serverapi.Offer) (signed.Guard, error) {
	key, err := o.dir.Key()
	if err != nil {
		return o.guard, &state.Error{Err: err}
	}
	id, err := sign.KeyID(&key.PublicKey)
	if err != nil {
		return o.guard, err
	}
	return o.guard.Accept(offer.Signed, id, offer.Config, time.Now())
}

// remind logs a warning, once, when the time for which the last operator promised a new statement has passed.
func (o *operators) remind() {
	if o.loaded && o.guard.Overdue(time.Now()) && o.overdue != o.guard.SignAgain {
		o.overdue = o.guard.SignAgain
		o.log.Warn("no new statement of an operator has come in time: the server may be withholding it", "statement", o.guard.Number,
			"expected-by", time.Unix(o.guard.SignAgain, 0).UTC().Format(time.RFC3339))
	}
}

// stateError returns the error of the state directory in err, or nil.
func stateError(err error) error {
	var failed *state.Error
	if errors.As(err, &failed) {
		return failed
	}
	return nil
}
