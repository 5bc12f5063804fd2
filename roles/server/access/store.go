package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// A Purpose is what a token is for.
type Purpose string

const (
	Operate Purpose = "operate" // the operators' part of the API
	Enrol   Purpose = "enrol"   // the registration of devices
)

// A Token describes a token. It does not have the secret text, which only the holder has.
type Token struct {
	Name     string // for people and in the history; no other token ever gets it
	Purpose  Purpose
	Digest   [sha256.Size]byte // of the token's text
	Role     Role              // of an operator's token
	Scope    Scope             // of an operator's token; nil means all devices
	Created  time.Time         // all times have a precision of seconds
	Expires  time.Time         // zero means never
	Revoked  time.Time         // zero if it is not
	LastUsed time.Time         // zero means never; may be some minutes late
	Limit    int64             // how many devices an enrolment token admits; 0 means any number
	Used     int64             // how many devices it has admitted
	Labels   map[string]string // of the admitted devices; nil for none
	Proxy    bool              // the holder of the operator's token is a proxy that names the person
}

// Valid reports whether the token is valid at a time.
func (t Token) Valid(at time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || at.Before(t.Expires)) && (t.Limit == 0 || t.Used < t.Limit)
}

// Administers reports whether the token is an admin's and valid at a time.
func (t Token) Administers(at time.Time) bool {
	return t.Purpose == Operate && t.Role == RoleAdmin && t.Valid(at)
}

// Check returns an error for members that contradict each other. It does not check the words of labels.
func (t Token) Check() error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	switch {
	case t.Limit < 0:
		return errors.New("the number of uses cannot be less than nothing")
	case !t.Expires.IsZero() && !t.Expires.After(t.Created):
		return errors.New("a token has to be valid for some time")
	case t.Purpose == Enrol && t.Role != "":
		return errors.New("an enrolment token has no role: devices that enrol read nothing")
	case t.Purpose == Enrol && len(t.Scope) > 0:
		return errors.New("an enrolment token has no scope; it gives labels to the devices that enrol")
	case t.Purpose == Enrol && t.Proxy:
		return errors.New("an enrolment token is for devices; a proxy acts for operators")
	case t.Purpose == Enrol:
		return nil
	case len(t.Labels) > 0:
		return errors.New("only an enrolment token gives labels to devices")
	case t.Limit > 0:
		return errors.New("only an enrolment token has a number of uses")
	}
	if _, err := ParseRole(string(t.Role)); err != nil {
		return err
	}
	if len(t.Scope) > 0 && !t.Role.Scoped() {
		return fmt.Errorf("a token of the role %s has no scope: viewers read all, and admins change all", t.Role)
	}
	return nil
}

// The errors of a Store that callers distinguish.
var (
	ErrTokenExists  = errors.New("there is a token of this name already")
	ErrUnknownToken = errors.New("there is no such token")
	ErrTokenSpent   = errors.New("the token is revoked, expired or used up")
	ErrLastAdmin    = errors.New("no other admin's token would be valid")
)

// A Store stores tokens. A change is durable when the call returns. A call sees what other processes have written,
// because commands change tokens while the server runs. It is safe for concurrent use. Package storetest has the
// contract.
type Store interface {
	// AddToken stores a new token, or returns ErrTokenExists.
	AddToken(ctx context.Context, token Token) error
	// Tokens returns all tokens, revoked ones too, in the order of their creation.
	Tokens(ctx context.Context) ([]Token, error)
	// Token returns the token with a digest, also a revoked or expired one, or ErrUnknownToken.
	Token(ctx context.Context, digest [sha256.Size]byte) (Token, error)
	// Guarded reports whether the store has ever had an operator's token.
	Guarded(ctx context.Context) (bool, error)
	// RevokeToken revokes a token, or returns ErrUnknownToken. A second call changes nothing. If sparing is true and no
	// other admin's token is valid at that time, it returns ErrLastAdmin.
	RevokeToken(ctx context.Context, name string, at time.Time, sparing bool) error
	// SpendToken counts one use of the enrolment token with a digest, and returns the token after that. It returns
	// ErrTokenSpent for a token that is not valid at that time, and ErrUnknownToken for an unknown token or an
	// operator's.
	SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) (Token, error)
	// TouchTokens stores when tokens were last used, by name. It ignores unknown names and times before the stored
	// ones.
	TouchTokens(ctx context.Context, used map[string]time.Time) error
}
