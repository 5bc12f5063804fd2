package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

var _ access.Store = (*Store)(nil)

// tokens reads tokens.
func (s *Store) tokens(ctx context.Context, query string, arguments ...any) (list []access.Token, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		list, err = s.scanTokens(ctx, query, arguments...)
		return err
	})
	return list, err
}

// scanTokens returns the rows of a statement with rows.TokenColumns.
func (s *Store) scanTokens(ctx context.Context, query string, arguments ...any) (list []access.Token, err error) {
	found, err := s.pool().Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	return readTokens(found)
}

func readTokens(found pgx.Rows) (list []access.Token, err error) {
	var row rows.Token
	_, err = pgx.ForEachRow(found, row.Into(), func() error {
		token, err := row.Token()
		list = append(list, token)
		return err
	})
	return list, err
}

// AddToken implements access.Store.
func (s *Store) AddToken(ctx context.Context, token access.Token) error {
	return s.act(ctx, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		done, err := tx.Exec(ctx, "INSERT INTO tokens ("+rows.TokenColumns+")"+
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
			rows.TokenValues(token)...)
		if err == nil && done.RowsAffected() == 0 {
			err = access.ErrTokenExists
		}
		return true, err
	})
}

// Tokens implements access.Store.
func (s *Store) Tokens(ctx context.Context) ([]access.Token, error) {
	return s.tokens(ctx, "SELECT "+rows.TokenColumns+" FROM tokens ORDER BY id")
}

// Token implements access.Store.
func (s *Store) Token(ctx context.Context, digest [sha256.Size]byte) (access.Token, error) {
	list, err := s.tokens(ctx, "SELECT "+rows.TokenColumns+" FROM tokens WHERE digest = $1", digest[:])
	switch {
	case err != nil:
		return access.Token{}, err
	case len(list) == 0:
		return access.Token{}, access.ErrUnknownToken
	}
	return list[0], nil
}

// Guarded implements access.Store.
func (s *Store) Guarded(ctx context.Context) (guarded bool, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM tokens WHERE purpose = $1)", string(access.Operate)).Scan(&guarded)
	})
	return guarded, err
}

// RevokeToken implements access.Store.
func (s *Store) RevokeToken(ctx context.Context, name string, at time.Time, sparing bool) error {
	return s.act(ctx, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		// All admins' tokens, because another transaction may be revoking the only other one.
		found, err := tx.Query(ctx, "SELECT "+rows.TokenColumns+" FROM tokens WHERE name = $1 OR "+rows.IsAdmin+" ORDER BY id FOR UPDATE",
			name, rows.Seconds(at))
		if err != nil {
			return false, err
		}
		list, err := readTokens(found)
		if err != nil {
			return false, err
		}
		which := slices.IndexFunc(list, func(token access.Token) bool { return token.Name == name })
		switch {
		case which < 0:
			return false, access.ErrUnknownToken
		case !list[which].Revoked.IsZero():
			return false, nil
		case sparing && list[which].Administers(at) && len(list) == 1:
			return false, access.ErrLastAdmin
		}
		_, err = tx.Exec(ctx, "UPDATE tokens SET revoked = $2 WHERE name = $1", name, rows.Seconds(at))
		return true, err
	})
}

// SpendToken implements access.Store. The statement that counts also checks the limit, so that several servers cannot
// exceed it.
func (s *Store) SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) (spent access.Token, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			list, err := s.scanTokens(ctx, `UPDATE tokens SET used = used + 1 WHERE digest = $1 AND purpose = $2 AND revoked = 0
				AND (expires = 0 OR expires > $3) AND (device_limit = 0 OR used < device_limit) RETURNING `+rows.TokenColumns,
				digest[:], string(access.Enrol), rows.Seconds(at))
			if err != nil {
				return err
			}
			if len(list) > 0 {
				spent = list[0]
				return nil
			}
			var purpose string
			err = s.pool().QueryRow(ctx, "SELECT purpose FROM tokens WHERE digest = $1", digest[:]).Scan(&purpose)
			switch {
			case errors.Is(err, pgx.ErrNoRows), err == nil && purpose != string(access.Enrol):
				return access.ErrUnknownToken
			case err != nil:
				return err
			}
			return access.ErrTokenSpent
		})
	})
	return spent, err
}

// TouchTokens implements access.Store.
func (s *Store) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	var names []string
	var times []int64
	for name, at := range used {
		names, times = append(names, name), append(times, rows.Seconds(at))
	}
	return s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			_, err := s.pool().Exec(ctx, `UPDATE tokens t SET last_used = u.at
				FROM unnest($1::text[], $2::bigint[]) AS u (name, at) WHERE t.name = u.name AND t.last_used < u.at`, names, times)
			return err
		})
	})
}
