package storetest

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"aspects-poc/roles/server/access"
)

// Memory is a store in memory, for tests of the store's users. The zero value is ready for use.
type Memory struct {
	mu     sync.Mutex // guards the fields below
	tokens []access.Token
	// Trouble, if not nil, is the error of every call.
	Trouble error
}

var _ access.Store = (*Memory)(nil)

// with calls call with the lock held. find returns the token that satisfies a condition, or nil.
func (m *Memory) with(ctx context.Context, call func(find func(func(access.Token) bool) *access.Token) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Trouble != nil {
		return m.Trouble
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return call(func(match func(access.Token) bool) *access.Token {
		if at := slices.IndexFunc(m.tokens, match); at >= 0 {
			return &m.tokens[at]
		}
		return nil
	})
}

func named(name string) func(access.Token) bool {
	return func(token access.Token) bool { return token.Name == name }
}

func of(digest [sha256.Size]byte) func(access.Token) bool {
	return func(token access.Token) bool { return token.Digest == digest }
}

// AddToken implements access.Store.
func (m *Memory) AddToken(ctx context.Context, token access.Token) error {
	return m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		if find(named(token.Name)) != nil {
			return access.ErrTokenExists
		}
		m.tokens = append(m.tokens, token)
		return nil
	})
}

// Tokens implements access.Store.
func (m *Memory) Tokens(ctx context.Context) (tokens []access.Token, err error) {
	err = m.with(ctx, func(func(func(access.Token) bool) *access.Token) error {
		tokens = slices.Clone(m.tokens)
		return nil
	})
	return tokens, err
}

// Token implements access.Store.
func (m *Memory) Token(ctx context.Context, digest [sha256.Size]byte) (token access.Token, err error) {
	err = m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		found := find(of(digest))
		if found == nil {
			return access.ErrUnknownToken
		}
		token = *found
		return nil
	})
	return token, err
}

// Guarded implements access.Store.
func (m *Memory) Guarded(ctx context.Context) (guarded bool, err error) {
	err = m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		guarded = find(func(token access.Token) bool { return token.Purpose == access.Operate }) != nil
		return nil
	})
	return guarded, err
}

// RevokeToken implements access.Store.
func (m *Memory) RevokeToken(ctx context.Context, name string, at time.Time, sparing bool) error {
	return m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		found := find(named(name))
		switch {
		case found == nil:
			return access.ErrUnknownToken
		case found.Revoked.IsZero():
			other := func(t access.Token) bool { return t.Name != name && t.Administers(at) }
			if sparing && found.Administers(at) && find(other) == nil {
				return access.ErrLastAdmin
			}
			found.Revoked = at
		}
		return nil
	})
}

// SpendToken implements access.Store.
func (m *Memory) SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) (spent access.Token, err error) {
	err = m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		found := find(of(digest))
		switch {
		case found == nil || found.Purpose != access.Enrol:
			return access.ErrUnknownToken
		case !found.Valid(at):
			return access.ErrTokenSpent
		}
		found.Used++
		spent = *found
		return nil
	})
	return spent, err
}

// TouchTokens implements access.Store.
func (m *Memory) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	return m.with(ctx, func(find func(func(access.Token) bool) *access.Token) error {
		for name, at := range used {
			if found := find(named(name)); found != nil && found.LastUsed.Before(at) {
				found.LastUsed = at
			}
		}
		return nil
	})
}
