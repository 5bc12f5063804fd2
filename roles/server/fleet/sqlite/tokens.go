package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/rows"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// tokensTable has the tokens of package access. They are few, and commands in other processes change them, so none is
// in memory.
const tokensTable = `CREATE TABLE tokens (
		id        INTEGER PRIMARY KEY,
		name      TEXT NOT NULL UNIQUE,
		purpose   TEXT NOT NULL, -- access.Purpose
		digest    BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
		read_only INTEGER NOT NULL,
		created   INTEGER NOT NULL,
		expires   INTEGER NOT NULL, -- 0: never, as with the next two
		revoked   INTEGER NOT NULL,
		last_used INTEGER NOT NULL,
		most      INTEGER NOT NULL, -- uses; 0: any number
		used      INTEGER NOT NULL
	) STRICT;`

// tokens implements access.Store with a reading and a writing connection.
type tokens struct {
	read  func(ctx context.Context, act string, do func(querier) error) error
	write func(ctx context.Context, act string, do func(*sql.Conn) error) error
}

// A querier is a database, or a connection to one.
type querier interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, arguments ...any) *sql.Row
}

const selectTokens = "SELECT " + rows.TokenColumns + " FROM tokens "

func scanToken(from interface{ Scan(...any) error }) (access.Token, error) {
	var row rows.Token
	if err := from.Scan(row.Into()...); err != nil {
		return access.Token{}, err
	}
	token, err := row.Token()
	return token, damaged(err)
}

func findToken(ctx context.Context, db querier, digest [sha256.Size]byte) (access.Token, error) {
	token, err := scanToken(db.QueryRowContext(ctx, selectTokens+"WHERE digest = ?", digest[:]))
	if errors.Is(err, sql.ErrNoRows) {
		err = access.ErrUnknownToken
	}
	return token, err
}

// AddToken implements access.Store.
func (t tokens) AddToken(ctx context.Context, token access.Token) error {
	return t.write(ctx, "store a token in", func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "INSERT INTO tokens ("+rows.TokenColumns+")"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.TokenValues(token)...)
		var refused *sqlite.Error
		if errors.As(err, &refused) && refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			return access.ErrTokenExists
		}
		return err
	})
}

// Tokens implements access.Store.
func (t tokens) Tokens(ctx context.Context) (list []access.Token, err error) {
	err = t.read(ctx, "read the tokens in", func(db querier) error {
		found, err := db.QueryContext(ctx, selectTokens+"ORDER BY id")
		if err != nil {
			return err
		}
		defer func() { _ = found.Close() }() // Err has returned the error
		for found.Next() {
			token, err := scanToken(found)
			if err != nil {
				return err
			}
			list = append(list, token)
		}
		return found.Err()
	})
	return list, err
}

// Token implements access.Store.
func (t tokens) Token(ctx context.Context, digest [sha256.Size]byte) (token access.Token, err error) {
	err = t.read(ctx, "read a token in", func(db querier) error {
		token, err = findToken(context.WithoutCancel(ctx), db, digest)
		return err
	})
	return token, err
}

// Guarded implements access.Store.
func (t tokens) Guarded(ctx context.Context) (guarded bool, err error) {
	err = t.read(ctx, "read the tokens in", func(db querier) error {
		return db.QueryRowContext(context.WithoutCancel(ctx), "SELECT EXISTS (SELECT 1 FROM tokens WHERE purpose = ?)",
			string(access.Operate)).Scan(&guarded)
	})
	return guarded, err
}

// RevokeToken implements access.Store.
func (t tokens) RevokeToken(ctx context.Context, name string, at time.Time, sparing bool) error {
	return t.write(ctx, "revoke a token in", func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		token, err := scanToken(conn.QueryRowContext(ctx, selectTokens+"WHERE name = ?", name))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return access.ErrUnknownToken
		case err != nil || !token.Revoked.IsZero():
			return err
		case sparing && token.Administers(at):
			var others int
			if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM tokens WHERE name <> ? AND "+rows.IsAdmin, name,
				rows.Seconds(at)).Scan(&others); err != nil {
				return err
			}
			if others == 0 {
				return access.ErrLastAdmin
			}
		}
		_, err = conn.ExecContext(ctx, "UPDATE tokens SET revoked = ? WHERE name = ?", rows.Seconds(at), name)
		return err
	})
}

// SpendToken implements access.Store.
func (t tokens) SpendToken(ctx context.Context, digest [sha256.Size]byte, at time.Time) (access.Token, error) {
	var spent access.Token
	err := t.write(ctx, "use a token in", func(conn *sql.Conn) (err error) {
		ctx := context.WithoutCancel(ctx)
		spent, err = findToken(ctx, conn, digest)
		switch {
		case err != nil:
			return err
		case spent.Purpose != access.Enrol:
			return access.ErrUnknownToken
		case !spent.Valid(at):
			return access.ErrTokenSpent
		}
		spent.Used++
		_, err = conn.ExecContext(ctx, "UPDATE tokens SET used = used + 1 WHERE digest = ?", digest[:])
		return err
	})
	if err != nil {
		return access.Token{}, err // the writer may still run and use spent
	}
	return spent, nil
}

// TouchTokens implements access.Store.
func (t tokens) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return t.write(ctx, "store the use of tokens in", func(conn *sql.Conn) error {
		for name, at := range used {
			_, err := conn.ExecContext(context.WithoutCancel(ctx),
				"UPDATE tokens SET last_used = max(last_used, ?) WHERE name = ?", rows.Seconds(at), name)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Tokens returns the store of tokens in the same file.
func (s *Store) Tokens() access.Store {
	return tokens{
		read: func(ctx context.Context, act string, do func(querier) error) error {
			if err := s.use(ctx); err != nil {
				return err
			}
			defer s.mu.RUnlock()
			return s.fail(act, do(s.read))
		},
		write: func(ctx context.Context, act string, do func(*sql.Conn) error) error {
			return s.change(ctx, act, scope{}, do, nil)
		},
	}
}
