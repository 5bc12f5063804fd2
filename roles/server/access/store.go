package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// A Purpose is what a token is for.
type Purpose string

const (
	Operate Purpose = "operate" // the operators' part of the API
	Enrol   Purpose = "enrol"   // the registration of devices
)

// A Token describes a token. Only its holder has the token itself.
type Token struct {
	Name     string // for people and in the history; no other token ever has it
	Purpose  Purpose
	Digest   [sha256.Size]byte // of the token's text
	ReadOnly bool              // an operator's token that may not change anything
	Created  time.Time         // all times to the second
	Expires  time.Time         // zero for never
	Revoked  time.Time         // zero if it is not
	LastUsed time.Time         // zero for never; may lag by minutes
	Limit    int64             // number of devices that an enrolment token admits; 0 for any number
	Used     int64             // number of devices that it has admitted
	Labels   map[string]string // of the devices that it admits; nil for none
}

// Valid returns whether the token can be used at a time.
func (t Token) Valid(at time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || at.Before(t.Expires)) && (t.Limit == 0 || t.Used < t.Limit)
}

// The errors of a Store that callers distinguish.
var (
	ErrTokenExists  = errors.New("there is a token of this name already")
	ErrUnknownToken = errors.New("there is no such token")
	ErrTokenSpent   = errors.New("the token is revoked, expired or used up")
)

// A Store stores tokens. A change is durable when the call returns. A call sees what other processes have written, because
// commands change tokens while the server runs. Methods are safe for concurrent use. Package storetest has the contract.
type Store interface {
	// AddToken stores a new token, or returns ErrTokenExists.
	AddToken(ctx context.Context, token Token) error
	// Tokens returns all tokens, revoked ones too, in the order of their creation.
	Tokens(ctx context.Context) ([]Token, error)
	// Token returns the token of a digest, also if it is revoked or expired, or ErrUnknownToken.
	Token(ctx context.Context, digest [sha256.Size]byte) (Token, error)
	// Guarded returns whether there ever was an operator's token.
	Guarded(ctx context.Context) (bool, error)
	// RevokeToken revokes a token, or returns ErrUnknownToken. Revoking it again changes nothing.
	RevokeToken(ctx context.Context, name string, at time.Time) error
	// SpendToken counts one use of the enrolment token of a digest, if it is valid at that time, and returns it as it is
	// then. Else it returns ErrUnknownToken, also for an operator's token, or ErrTokenSpent.
	SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) (Token, error)
	// TouchTokens stores when tokens were used last, by name. It ignores unknown names and times before the stored ones.
	TouchTokens(ctx context.Context, used map[string]time.Time) error
}
