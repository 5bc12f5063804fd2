package postgres_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

func newMark(t *testing.T) (mark access.Mark) {
	t.Helper()
	if _, err := rand.Read(mark[:]); err != nil {
		t.Fatal(err)
	}
	return mark
}

// TestNonces has a crowd bring the same requests to two servers at once: each is first once.
func TestNonces(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			url := way.through(t, postgrestest.URL(t))
			stores := []*postgres.Store{open(t, url, way.options), open(t, url, way.options)}
			until := time.Now().Add(time.Hour)
			const requests, times = 100, 6
			var first [requests]atomic.Int64
			var wait sync.WaitGroup
			for i := range requests {
				mark := newMark(t)
				for n := range times {
					wait.Go(func() {
						was, err := stores[n%2].TakeNonce(t.Context(), mark, until)
						if err != nil {
							t.Error(err)
						}
						if was {
							first[i].Add(1)
						}
					})
				}
			}
			wait.Wait()
			for i := range first {
				if n := first[i].Load(); n != 1 {
					t.Errorf("request %d was first %d times", i, n)
				}
			}
		})
	}
}

// TestNoncesEnd: what no server would take any more is forgotten, and nothing else; a store that is closed says so.
func TestNoncesEnd(t *testing.T) {
	store := open(t, postgrestest.URL(t), postgres.Options{})
	old, recent := newMark(t), newMark(t)
	take := func(mark access.Mark, until time.Duration, want bool) {
		t.Helper()
		if first, err := store.TakeNonce(t.Context(), mark, time.Now().Add(until)); first != want || err != nil {
			t.Errorf("first is %v, want %v; %v", first, want, err)
		}
	}
	take(old, -time.Minute, true)
	take(recent, time.Minute, true)
	take(old, -time.Minute, false)
	if err := store.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(old, -time.Minute, true)
	take(recent, time.Minute, false)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if first, err := store.TakeNonce(t.Context(), newMark(t), time.Now()); first || !errors.Is(err, fleet.ErrClosed) {
		t.Error(first, err)
	}
}
