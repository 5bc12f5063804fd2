package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestServersStartTogether has several servers find an empty database at the same time.
func TestServersStartTogether(t *testing.T) {
	url := postgrestest.URL(t)
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			store, err := postgres.Open(t.Context(), url, postgres.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	store := open(t, url, postgres.Options{})
	add(t, store)
	if n, err := store.Count(t.Context()); err != nil || n != 1 {
		t.Error(n, err)
	}
}

// TestServersRace has two servers change the same layer from the same revision: of each round one wins.
func TestServersRace(t *testing.T) {
	url := postgrestest.URL(t)
	stores := []*postgres.Store{open(t, url, postgres.Options{}), open(t, url, postgres.Options{})}
	match := int64(0)
	for round := range 20 {
		var won atomic.Int64
		var wait sync.WaitGroup
		for server := range 4 {
			change := fleet.Change{Match: &match, Layer: fleet.Layer{Name: fleet.Everyone, Authorship: by,
				Config: config(t, fmt.Sprintf(`{"round":%d,"server":%d}`, round, server))}}
			wait.Go(func() {
				layer, err := storetest.Change(t.Context(), stores[server%2], change)
				var stale *fleet.StaleError
				switch {
				case err == nil:
					if !won.CompareAndSwap(0, layer.Revision) {
						t.Errorf("round %d: a second winner, with revision %d", round, layer.Revision)
					}
				case !errors.As(err, &stale) || stale.Revision != int64(round+1):
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wait.Wait()
		if match = won.Load(); match != int64(round+1) {
			t.Fatalf("round %d: revision %d", round, match)
		}
	}
}

// TestChangeReachesOthers has a device wait at one server for a change that is made through another.
func TestChangeReachesOthers(t *testing.T) {
	for name, options := range map[string]postgres.Options{"with LISTEN": {}, "without": {Deaf: true}} {
		t.Run(name, func(t *testing.T) {
			url := postgrestest.URL(t)
			here, there := server(t, url, options), server(t, url, options)
			device, err := here.Register(t.Context(), fleet.Identity{PublicKeyRSA: "PEM"}, fleet.Labels{"site": "berlin"}, fleet.Active)
			if err != nil {
				t.Fatal(err)
			}
			answered := make(chan fleet.Answer, 1)
			go func() {
				answer, err := here.Poll(t.Context(), device.ID, fleet.Poll{Report: true, Wait: fleet.MaxWait})
				if err != nil {
					t.Error(err)
				}
				answered <- answer
			}()
			for here.Waiting() == 0 {
				if _, err := here.Count(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			selector, err := fleet.ParseSelector("site=berlin")
			if err != nil {
				t.Fatal(err)
			}
			layer, err := there.Set(t.Context(), fleet.Change{Layer: fleet.Layer{Name: "labels/berlin", Selector: selector,
				Config: config(t, `{"a":1}`), Authorship: by}})
			if err != nil {
				t.Fatal(err)
			}
			answer := <-answered
			if answer.Offer == nil || answer.Offer.Revision != layer.Revision {
				t.Errorf("%+v, want revision %d", answer, layer.Revision)
			}
			// What one server remembers of a device ends when another turns it away.
			if _, err := there.SetStatus(t.Context(), device.ID, fleet.Revoked, nil); err != nil {
				t.Fatal(err)
			}
			for {
				_, err := here.Poll(t.Context(), device.ID, fleet.Poll{Report: true})
				if errors.Is(err, fleet.ErrRevoked) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// server puts the rules on a store of their own.
func server(t *testing.T, url string, options postgres.Options) *fleet.Fleet {
	t.Helper()
	rules, err := fleet.Open(t.Context(), open(t, url, options), fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
	})
	return rules
}

// TestMissedChanges has a server away for longer than changes are kept: it is told that it has missed something.
func TestMissedChanges(t *testing.T) {
	url := postgrestest.URL(t)
	here, there := open(t, url, postgres.Options{Deaf: true}), open(t, url, postgres.Options{})
	told, err := here.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release := here.Hold()
	id := add(t, there)
	if err := there.SetStatus(t.Context(), id, fleet.Pending, nil); err != nil {
		t.Fatal(err)
	}
	if err := there.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	if notice := <-told; notice.Kind != fleet.Lost {
		t.Errorf("%+v", notice)
	}
	if err := there.SetStatus(t.Context(), id, fleet.Active, nil); err != nil {
		t.Fatal(err)
	}
	if notice := <-told; notice.Kind != fleet.DevicesChanged || notice.Own || notice.Devices[0] != id {
		t.Errorf("%+v", notice)
	}
}

// load reports for devices until stop is closed, and returns for each the last sequence that was acknowledged.
func load(t *testing.T, store *postgres.Store, stop <-chan struct{}) (acknowledged func() map[int]int64, refused *atomic.Int64) {
	t.Helper()
	const devices = 16
	var mu sync.Mutex // guards last
	last := map[int]int64{}
	refused = new(atomic.Int64)
	var wait sync.WaitGroup
	for i := range devices {
		id := add(t, store)
		wait.Go(func() {
			for sequence := int64(1); ; sequence++ {
				select {
				case <-stop:
					got, err := store.Device(t.Context(), id)
					for errors.Is(err, fleet.ErrUnavailable) { // the connection was one of those that were cut
						got, err = store.Device(t.Context(), id)
					}
					mu.Lock()
					defer mu.Unlock()
					if err != nil || got.Sequence < last[i] {
						t.Errorf("device %d: sequence %d is kept, %d was acknowledged: %v", i, got.Sequence, last[i], err)
					}
					return
				default:
				}
				kept, err := store.Report(t.Context(), id, fleet.Report{Sequence: sequence, At: by.At})
				switch {
				case errors.Is(err, fleet.ErrUnavailable):
					refused.Add(1)
					<-time.After(20 * time.Millisecond) // as devices heed Retry-After
				case err != nil || kept != sequence:
					t.Errorf("device %d: sequence %d became %d: %v", i, sequence, kept, err)
					return
				default:
					mu.Lock()
					last[i] = sequence
					mu.Unlock()
				}
			}
		})
	}
	return func() map[int]int64 {
		wait.Wait()
		return last
	}, refused
}

// TestDatabaseGone stops the database, and crashes it, under load. Calls say that it is unavailable, and work again when
// it is back; what was acknowledged is there; and the store hears of changes again.
func TestDatabaseGone(t *testing.T) {
	cluster := postgrestest.Start(t, postgrestest.Options{Durable: true})
	url := cluster.URL(t)
	store, other := open(t, url, postgres.Options{}), open(t, url, postgres.Options{})
	stop := make(chan struct{})
	acknowledged, refused := load(t, store, stop)
	for _, end := range []func(testing.TB){cluster.Stop, cluster.Crash} {
		before := refused.Load()
		end(t)
		if err := store.Check(t.Context()); !errors.Is(err, fleet.ErrUnavailable) {
			t.Errorf("without a database: %v", err)
		}
		for refused.Load() == before {
			_ = store.Check(t.Context())
		}
		cluster.Restart(t)
		if err := store.Check(t.Context()); err != nil {
			t.Errorf("with the database back: %v", err)
		}
	}
	close(stop)
	if last := acknowledged(); len(last) == 0 {
		t.Error("nothing was acknowledged")
	}
	told, err := other.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	layer, err := storetest.Change(t.Context(), store, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{"a":1}`),
		Authorship: by}})
	if err != nil {
		t.Fatal(err)
	}
	for notice := range told {
		if notice.Kind == fleet.TargetChanged && notice.Revision == layer.Revision {
			break
		}
	}
}

// TestConnectionsCut has the database end connections in the middle of whatever they do.
func TestConnectionsCut(t *testing.T) {
	url := postgrestest.URL(t)
	store := open(t, url, postgres.Options{})
	stop := make(chan struct{})
	acknowledged, refused := load(t, store, stop)
	for cuts := 0; cuts < 20 || refused.Load() == 0; cuts++ {
		postgrestest.Cut(t, url)
	}
	close(stop)
	if last := acknowledged(); len(last) == 0 {
		t.Error("nothing was acknowledged")
	}
	started := time.Now()
	if err := store.Check(t.Context()); err != nil {
		t.Error(time.Since(started), err)
	}
}
