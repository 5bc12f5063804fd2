// Package storetest has the contract of a store of tokens. Its main function is Run, which a store's own test calls.
// Memory is a store for other tests.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/access"

	"github.com/google/go-cmp/cmp"
)

// Run tests stores. Each call of open returns an empty store that stays open until its test ends.
func Run(t *testing.T, open func(t *testing.T) access.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, access.Store)
	}{
		{"tokens come back as they were kept", roundTrip},
		{"a name is one token's, for ever", names},
		{"guarded by operators' tokens only", guarded},
		{"revoked", revoked},
		{"the last admin's is spared", spared},
		{"spent", spent},
		{"spent by many at once", crowd},
		{"last used", touched},
		{"a context that has ended", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

var start = time.Unix(1732480000, 0).UTC()

func digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func add(t *testing.T, store access.Store, tokens ...access.Token) {
	t.Helper()
	for _, token := range tokens {
		if err := store.AddToken(t.Context(), token); err != nil {
			t.Fatalf("add %s: %v", token.Name, err)
		}
	}
}

func all(t *testing.T, store access.Store) []access.Token {
	t.Helper()
	tokens, err := store.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func roundTrip(t *testing.T, store access.Store) {
	if tokens := all(t, store); len(tokens) != 0 {
		t.Fatalf("an empty store has %v", tokens)
	}
	if _, err := store.Token(t.Context(), digest("a")); !errors.Is(err, access.ErrUnknownToken) {
		t.Errorf("an unknown token: %v", err)
	}
	want := []access.Token{
		{Name: "zoë", Purpose: access.Operate, Digest: digest("a"), Role: access.RoleViewer, Created: start},
		{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("b"), Created: start, Expires: start.Add(time.Hour)},
		{Name: "bert", Purpose: access.Operate, Role: access.RoleOperator, Digest: digest("d"), Created: start,
			Scope: access.Scope{"site": "berlin", "empty": ""}, Proxy: true},
		{Name: "line 1", Purpose: access.Enrol, Digest: digest("c"), Created: start.Add(time.Second), Limit: 3,
			Labels: map[string]string{"site": "line-1", "empty": ""}},
	}
	add(t, store, want...)
	if diff := cmp.Diff(want, all(t, store)); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	for _, token := range want {
		got, err := store.Token(t.Context(), token.Digest)
		if diff := cmp.Diff(token, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", token.Name, err, diff)
		}
	}
}

func names(t *testing.T, store access.Store) {
	token := access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("a"), Created: start}
	add(t, store, token)
	token.Digest, token.Purpose = digest("b"), access.Enrol
	if err := store.AddToken(t.Context(), token); !errors.Is(err, access.ErrTokenExists) {
		t.Errorf("the same name again: %v", err)
	}
	if err := store.RevokeToken(t.Context(), "anna", start, false); err != nil {
		t.Fatal(err)
	}
	if err := store.AddToken(t.Context(), token); !errors.Is(err, access.ErrTokenExists) {
		t.Errorf("the same name again, after its token was revoked: %v", err)
	}
	if got := all(t, store); len(got) != 1 || got[0].Digest != digest("a") {
		t.Errorf("a refused token was kept: %v", got)
	}
}

func guarded(t *testing.T, store access.Store) {
	check := func(when string, want bool) {
		t.Helper()
		if got, err := store.Guarded(t.Context()); err != nil || got != want {
			t.Errorf("%s: guarded %v, %v", when, got, err)
		}
	}
	check("empty", false)
	add(t, store, access.Token{Name: "line 1", Purpose: access.Enrol, Digest: digest("a"), Created: start})
	check("with an enrolment token", false)
	add(t, store, access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("b"), Created: start})
	check("with an operator's token", true)
	if err := store.RevokeToken(t.Context(), "anna", start, false); err != nil {
		t.Fatal(err)
	}
	check("with a revoked one", true)
}

func revoked(t *testing.T, store access.Store) {
	add(t, store, access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("a"), Created: start})
	for _, at := range []time.Time{start.Add(time.Minute), start.Add(time.Hour)} {
		if err := store.RevokeToken(t.Context(), "anna", at, false); err != nil {
			t.Fatal(err)
		}
		got, err := store.Token(t.Context(), digest("a"))
		if err != nil || !got.Revoked.Equal(start.Add(time.Minute)) || got.Valid(start.Add(time.Hour)) {
			t.Errorf("revoked at %s: %+v, %v", at, got, err)
		}
	}
	if err := store.RevokeToken(t.Context(), "bert", start, false); !errors.Is(err, access.ErrUnknownToken) {
		t.Errorf("an unknown name: %v", err)
	}
}

func spent(t *testing.T, store access.Store) {
	add(t, store,
		access.Token{Name: "two", Purpose: access.Enrol, Digest: digest("two"), Created: start, Limit: 2,
			Labels: map[string]string{"site": "oslo"}},
		access.Token{Name: "any", Purpose: access.Enrol, Digest: digest("any"), Created: start},
		access.Token{Name: "old", Purpose: access.Enrol, Digest: digest("old"), Created: start, Expires: start.Add(time.Hour)},
		access.Token{Name: "gone", Purpose: access.Enrol, Digest: digest("gone"), Created: start},
		access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("anna"), Created: start})
	if err := store.RevokeToken(t.Context(), "gone", start, false); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		token string
		after time.Duration
		want  error
	}{
		{"two", 0, nil}, {"two", 0, nil}, {"two", 0, access.ErrTokenSpent},
		{"any", 0, nil}, {"any", 0, nil}, {"any", 0, nil},
		{"old", time.Hour - time.Second, nil}, {"old", time.Hour, access.ErrTokenSpent},
		{"gone", 0, access.ErrTokenSpent}, {"anna", 0, access.ErrUnknownToken}, {"nobody's", 0, access.ErrUnknownToken},
	} {
		got, err := store.SpendToken(t.Context(), digest(step.token), start.Add(step.after))
		if !errors.Is(err, step.want) {
			t.Errorf("step %d, %s: got %v, want %v", i, step.token, err, step.want)
		}
		var want access.Token
		if err == nil {
			if want, err = store.Token(t.Context(), digest(step.token)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("step %d, %s (-kept +returned):\n%s", i, step.token, diff)
		}
	}
	used := map[string]int64{}
	for _, token := range all(t, store) {
		used[token.Name] = token.Used
	}
	if diff := cmp.Diff(map[string]int64{"two": 2, "any": 3, "old": 1, "gone": 0, "anna": 0}, used); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
}

// crowd uses a token for ten devices fifty times at once: ten uses succeed.
func crowd(t *testing.T, store access.Store) {
	add(t, store, access.Token{Name: "ten", Purpose: access.Enrol, Digest: digest("ten"), Created: start, Limit: 10})
	var let atomic.Int64
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			switch _, err := store.SpendToken(t.Context(), digest("ten"), start); {
			case err == nil:
				let.Add(1)
			case !errors.Is(err, access.ErrTokenSpent):
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if got := all(t, store)[0].Used; let.Load() != 10 || got != 10 {
		t.Errorf("%d were let in, %d counted", let.Load(), got)
	}
}

func touched(t *testing.T, store access.Store) {
	for i := range 3 {
		name := fmt.Sprint("token ", i)
		add(t, store, access.Token{Name: name, Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest(name), Created: start})
	}
	for _, used := range []map[string]time.Time{
		nil,
		{"token 0": start.Add(time.Hour), "token 1": start.Add(time.Minute), "nobody's": start},
		{"token 0": start.Add(time.Minute), "token 1": start.Add(time.Hour)},
	} {
		if err := store.TouchTokens(t.Context(), used); err != nil {
			t.Fatal(err)
		}
	}
	var got []time.Time
	for _, token := range all(t, store) {
		got = append(got, token.LastUsed)
	}
	if diff := cmp.Diff([]time.Time{start.Add(time.Hour), start.Add(time.Hour), {}}, got); diff != "" {
		t.Errorf("last used (-want +got):\n%s", diff)
	}
}

func cancelled(t *testing.T, store access.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	token := access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest("a"), Created: start}
	if err := store.AddToken(ctx, token); !errors.Is(err, context.Canceled) {
		t.Errorf("add: %v", err)
	}
	if _, err := store.Tokens(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
}

func spared(t *testing.T, store access.Store) {
	admin := func(name string, expires time.Time) access.Token {
		return access.Token{Name: name, Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest(name), Created: start, Expires: expires}
	}
	add(t, store, admin("anna", time.Time{}), admin("bert", start.Add(time.Hour)), admin("carl", time.Time{}),
		access.Token{Name: "dora", Purpose: access.Operate, Role: access.RoleOperator, Digest: digest("dora"), Created: start},
		access.Token{Name: "line 1", Purpose: access.Enrol, Digest: digest("e"), Created: start})
	for _, step := range []struct {
		name    string
		at      time.Time
		sparing bool
		want    error
	}{
		{"carl", start, true, nil},
		{"anna", start.Add(time.Hour), true, access.ErrLastAdmin}, // bert's has expired
		{"bert", start, true, nil},
		{"anna", start, true, access.ErrLastAdmin},
		{"bert", start, true, nil}, // again
		{"dora", start, true, nil},
		{"line 1", start, true, nil},
		{"nobody", start, true, access.ErrUnknownToken},
		{"anna", start, false, nil},
		{"anna", start, true, nil},
	} {
		if err := store.RevokeToken(t.Context(), step.name, step.at, step.sparing); !errors.Is(err, step.want) {
			t.Errorf("revoke %s: %v, want %v", step.name, err, step.want)
		}
	}
	add(t, store, admin("erik", time.Time{}), admin("fritz", time.Time{}))
	var refused atomic.Int64
	var both sync.WaitGroup
	for _, name := range []string{"erik", "fritz"} {
		both.Go(func() {
			if err := store.RevokeToken(t.Context(), name, start, true); errors.Is(err, access.ErrLastAdmin) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	if both.Wait(); refused.Load() != 1 {
		t.Errorf("of two at the same time %d are refused", refused.Load())
	}
}
