package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	accesstest "aspects-poc/roles/server/access/storetest"
	"aspects-poc/roles/server/fleet/sqlite"
)

func TestTokens(t *testing.T) {
	t.Run("of the server", func(t *testing.T) {
		accesstest.Run(t, func(t *testing.T) access.Store {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
			return store.Tokens()
		})
	})
	t.Run("beside the server", func(t *testing.T) {
		accesstest.Run(t, func(t *testing.T) access.Store {
			return openTokens(t, filepath.Join(t.TempDir(), "server.db"))
		})
	})
}

func openTokens(t *testing.T, path string) access.Store {
	t.Helper()
	tokens, release, err := sqlite.OpenTokens(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	return tokens
}

// A command makes and revokes tokens while the server has the file open, and the server knows at once.
func TestTokensBesideTheServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	own := store.Tokens()
	beside := openTokens(t, path)
	_, digest := access.NewToken(access.Operate)
	token := access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest, Created: time.Unix(1732480000, 0).UTC()}
	if err := beside.AddToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if got, err := own.Token(t.Context(), digest); err != nil || !reflect.DeepEqual(got, token) {
		t.Errorf("the server has %+v, %v", got, err)
	}
	if guarded, err := own.Guarded(t.Context()); err != nil || !guarded {
		t.Errorf("guarded %v, %v", guarded, err)
	}
	if err := beside.RevokeToken(t.Context(), "anna", token.Created, false); err != nil {
		t.Fatal(err)
	}
	if got, err := own.Token(t.Context(), digest); err != nil || got.Valid(token.Created) {
		t.Errorf("the server has %+v, %v", got, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := beside.Tokens(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("after the server has stopped: %v, %v", list, err)
	}
}

func TestOpenTokensRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sqlite.OpenTokens(t.Context(), path); !errors.Is(err, sqlite.ErrForeign) {
		t.Errorf("a file of another kind: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "no database") {
		t.Errorf("it has been touched: %q, %v", text, err)
	}
}
