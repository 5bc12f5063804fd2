package signed

import (
	"errors"
	"fmt"
	"time"
)

// The reasons why Accept refuses an offer.
var (
	ErrNothing  = errors.New("no operator has signed it: it comes without a statement")
	ErrUnsigned = errors.New("no operator has signed this target for this device")
	errNoProof  = errors.New("it has no proof that the operator's statement is about this device")
)

// A Guard is what a device knows about its operators: the keys that may sign, and the last statement. The zero value
// has no keys and needs no signature.
type Guard struct {
	Keys      Keys   `json:"keys"`
	Fleet     string `json:"fleet,omitempty"`      // "" before the first statement, and so are the following
	Number    int64  `json:"number,omitempty"`     // of the last statement
	Digest    string `json:"digest,omitempty"`     // of its text
	At        int64  `json:"at,omitempty"`         // its time, by the operator's clock
	Signer    string `json:"signer,omitempty"`     // the name of the key that signed it
	SignAgain int64  `json:"sign-again,omitempty"` // see Statement
	Accepted  int64  `json:"accepted,omitempty"`   // when the device took it, by its own clock
}

// Active reports whether the device applies only signed targets.
func (g Guard) Active() bool { return len(g.Keys) > 0 }

// Accept returns the guard after an offer. It returns an error unless an operator has signed this target for the device
// with this key, and for a statement that is older than the device's last one. Store the guard before you apply
// anything of the target.
func (g Guard) Accept(evidence *Evidence, key string, config map[string]any, now time.Time) (Guard, error) {
	if evidence == nil {
		return g, ErrNothing
	}
	if err := checkFormer(evidence.Former); err != nil {
		return g, err
	}
	next := g.lead(evidence.Former, now)
	statement, err := Parse(evidence.Signed)
	if err != nil {
		return g, err
	}
	if next, err = next.follow(evidence.Signed, statement, now); err != nil {
		return g, err
	}
	target, err := TargetHash(config, evidence.Secrets)
	if err != nil {
		return g, err
	}
	if err := check(evidence, statement, key, target); err != nil {
		return g, err
	}
	return next, nil
}

// The limits of an offer's earlier statements that changed keys.
const (
	mostFormer    = 1000
	longestFormer = 1 << 20 // bytes, with their signatures
)

// checkFormer returns an error for too many or too long earlier statements.
func checkFormer(list []Signed) error {
	if len(list) > mostFormer {
		return fmt.Errorf("there are %d earlier statements that changed keys, and there may be %d", len(list), mostFormer)
	}
	size := 0
	for _, former := range list {
		size += len(former.Statement) + len(former.Signature)
	}
	if size > longestFormer {
		return fmt.Errorf("the earlier statements that changed keys have %d bytes, and may have %d", size, longestFormer)
	}
	return nil
}

// lead returns the guard after earlier statements, up to the first one that does not follow. It skips statements at the
// beginning that no known key has signed: the device may be younger than their keys.
func (g Guard) lead(list []Signed, now time.Time) Guard {
	last := int64(0)
	for _, former := range list {
		statement, err := Parse(former)
		if err != nil || statement.Number <= last {
			return g // out of order
		}
		if last = statement.Number; last <= g.Number {
			continue
		}
		next, err := g.follow(former, statement, now)
		switch {
		case err == nil:
			g = next
		case !errors.Is(err, errStranger):
			return g
		}
	}
	return g
}

// follow returns the guard after a statement. It returns an error if the statement does not follow the guard's.
func (g Guard) follow(signed Signed, statement Statement, now time.Time) (Guard, error) {
	digest := Digest(signed.Statement)
	if digest == g.Digest {
		return g, nil // this statement is already verified
	}
	signer, err := g.Keys.Verify(signed.Statement, signed.Signature)
	switch {
	case err != nil:
		return g, fmt.Errorf("no operator has signed it: %w", err)
	case g.Fleet != "" && statement.Fleet != g.Fleet:
		return g, fmt.Errorf("its statement is for another fleet, %s", statement.Fleet)
	case statement.Number < g.Number:
		return g, fmt.Errorf("its statement is old: it is number %d, and the device has number %d", statement.Number, g.Number)
	case statement.Number == g.Number:
		return g, fmt.Errorf("there are two statements of number %d: somebody has signed on two machines at once; sign again", statement.Number)
	case g.Number > 0 && statement.Number == g.Number+1 && statement.Previous != g.Digest:
		return g, fmt.Errorf("its statement %d does not follow the statement %d of the device", statement.Number, g.Number)
	}
	return Guard{Keys: statement.Keys, Fleet: statement.Fleet, Number: statement.Number, Digest: digest, At: statement.At,
		Signer: signer.Name, SignAgain: statement.SignAgain, Accepted: now.Unix()}, nil
}

// Overdue reports whether the time has passed for which the operator promised a new statement.
func (g Guard) Overdue(now time.Time) bool { return g.SignAgain > 0 && now.Unix() > g.SignAgain }
