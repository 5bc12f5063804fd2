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

// A Token is what is known of one; the token itself is known to its holder only.
type Token struct {
	Name     string // names it for people, and in histories; of one token only, for ever
	Purpose  Purpose
	Digest   [sha256.Size]byte // of the token's text
	ReadOnly bool              // of an operator's: it may not change anything
	Created  time.Time         // all times to the second
	Expires  time.Time         // zero for never
	Revoked  time.Time         // zero if it is not
	LastUsed time.Time         // zero for never; may lag by minutes
	Limit    int64             // of devices that an enrolment token lets in; 0 for any number
	Used     int64             // how many it has let in
}

// Valid tells whether the token lets anybody in at a time.
func (t Token) Valid(at time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || at.Before(t.Expires)) && (t.Limit == 0 || t.Used < t.Limit)
}

// The refusals of a Store that a caller can tell apart.
var (
	ErrTokenExists  = errors.New("there is a token of this name already")
	ErrUnknownToken = errors.New("there is no such token")
	ErrTokenSpent   = errors.New("the token is revoked, expired or used up")
)

// A Store keeps tokens, durable before a call returns. What another process wrote is seen by the next call: commands
// change tokens while the server runs. Methods are safe for concurrent use. Package storetest holds what every store
// has to do.
type Store interface {
	// AddToken keeps a new token, or returns ErrTokenExists.
	AddToken(ctx context.Context, token Token) error
	// Tokens returns all tokens, revoked ones too, in the order of their creation.
	Tokens(ctx context.Context) ([]Token, error)
	// Token returns the token of a digest, whatever has become of it, or ErrUnknownToken.
	Token(ctx context.Context, digest [sha256.Size]byte) (Token, error)
	// Guarded tells whether there ever was a token to operate with.
	Guarded(ctx context.Context) (bool, error)
	// RevokeToken ends a token, or returns ErrUnknownToken. Revoking it again changes nothing.
	RevokeToken(ctx context.Context, name string, at time.Time) error
	// SpendToken lets one device in: it counts a use of the enrolment token of a digest, if it is valid at that time.
	// Else it returns ErrUnknownToken (also for an operator's) or ErrTokenSpent.
	SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) error
	// TouchTokens keeps when tokens were used last, by name. Unknown names, and times before what is kept, are ignored.
	TouchTokens(ctx context.Context, used map[string]time.Time) error
}
