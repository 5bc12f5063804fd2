package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"

	"github.com/google/uuid"
)

// A lines is a log.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// A twin is one of two servers on a primary and its synchronous standby.
type twin struct {
	*fleet.Fleet
	store *postgres.Store
	log   lines
}

func failover(t *testing.T) (primary, standby *postgrestest.Cluster, twins []*twin) {
	t.Helper()
	if os.Getenv("ASPECTS_E2E_DATABASE") == "" {
		t.Skip("make e2e-database runs it")
	}
	primary = postgrestest.Start(t, postgrestest.Options{Durable: true})
	address := primary.URL(t)
	t.Cleanup(func() { // or tidying up waits for it
		primary.Resume(t)
		primary.Crash(t)
	})
	standby = primary.Standby(t)
	for range 2 {
		one := &twin{}
		log := slog.New(slog.NewTextHandler(&one.log, nil))
		one.store = open(t, primary.Either(address, standby), postgres.Options{Log: log})
		rules, err := fleet.Open(t.Context(), one.store, fleet.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		one.Fleet = rules
		t.Cleanup(func() { _ = rules.Close() }) // when devices were last seen may be lost with the database
		twins = append(twins, one)
	}
	return primary, standby, twins
}

func enrol(t *testing.T, rules *fleet.Fleet) uuid.UUID {
	t.Helper()
	device, err := rules.Register(t.Context(), fleet.Identity{PublicKeyRSA: uuid.NewString()}, nil, fleet.Active)
	if err != nil {
		t.Fatal(err)
	}
	return device.ID
}

// TestFailover loses the primary, in order, by a crash and in silence, and promotes the standby. Both servers take reports
// again, and hear of each other's changes; idle devices are answered all the time; nothing acknowledged is lost; the log has
// one line at the beginning and one at the end.
func TestFailover(t *testing.T) {
	for name, lose := range map[string]func(*postgrestest.Cluster, testing.TB){
		"stopped": (*postgrestest.Cluster).Stop, "crashed": (*postgrestest.Cluster).Crash, "silent": (*postgrestest.Cluster).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			primary, standby, twins := failover(t)
			devices := []uuid.UUID{enrol(t, twins[0].Fleet), enrol(t, twins[1].Fleet)}
			idle := enrol(t, twins[0].Fleet)
			for _, one := range twins {
				for range 2 { // the second is answered from memory
					if _, err := one.Poll(t.Context(), idle, fleet.Poll{Report: true, Sequence: 1}); err != nil {
						t.Fatal(err)
					}
				}
			}
			acknowledged := make([]int64, len(twins))
			for i, one := range twins {
				for sequence := int64(1); sequence <= 20; sequence++ {
					if _, err := one.Poll(t.Context(), devices[i], fleet.Poll{Report: true, Sequence: sequence}); err != nil {
						t.Fatal(err)
					}
					acknowledged[i] = sequence
				}
			}
			lose(primary, t)
			standby.Promote(t)
			promoted := time.Now()
			var all sync.WaitGroup
			for i, one := range twins {
				all.Go(func() {
					slowest := time.Duration(0)
					for sequence := acknowledged[i] + 1; ; {
						begin := time.Now()
						if _, err := one.Poll(t.Context(), idle, fleet.Poll{Report: true, Sequence: 1}); err != nil {
							t.Errorf("server %d: an idle device is refused: %v", i, err)
						}
						slowest = max(slowest, time.Since(begin))
						_, err := one.Poll(t.Context(), devices[i], fleet.Poll{Report: true, Sequence: sequence})
						if err == nil {
							acknowledged[i] = sequence
							break
						}
						if !errors.Is(err, fleet.ErrUnavailable) {
							t.Errorf("server %d: %v", i, err)
							return
						}
						time.Sleep(20 * time.Millisecond)
					}
					t.Logf("server %d: reports are taken %s after the promotion; an idle poll took %s at most", i,
						time.Since(promoted).Round(10*time.Millisecond), slowest.Round(time.Millisecond))
				})
			}
			all.Wait()
			told, err := twins[0].Events(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := twins[1].Set(t.Context(), fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{"a":1}`),
				Authorship: by}}); err != nil {
				t.Fatal(err)
			}
			for notice := range told {
				if notice.Kind == fleet.TargetChanged && !notice.Own {
					break
				}
			}
			t.Logf("changes are heard of %s after the promotion", time.Since(promoted).Round(10*time.Millisecond))
			for i, id := range devices {
				kept, err := twins[1-i].store.Device(t.Context(), id)
				if err != nil || kept.Sequence != acknowledged[i] {
					t.Errorf("sequence %d was acknowledged, %d is kept: %v", acknowledged[i], kept.Sequence, err)
				}
			}
			for i, one := range twins {
				for !strings.Contains(strings.Join(one.log.list(), "\n"), "the database is back") {
					time.Sleep(20 * time.Millisecond)
				}
				if got := one.log.list(); len(got) != 2 || !strings.Contains(got[0], "the database fails") {
					t.Errorf("server %d logs %d lines:\n%s", i, len(got), strings.Join(got, "\n"))
				}
			}
		})
	}
}

// TestStandbyAway has no standby to confirm what is written. A report, and a layer, that were refused are refused when they
// come again unchanged, at either server: the primary has them, and a failover would lose them.
func TestStandbyAway(t *testing.T) {
	primary, standby, twins := failover(t)
	id := enrol(t, twins[0].Fleet)
	standby.Pause(t)
	poll := fleet.Poll{Report: true, Sequence: 7}
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{"a":1}`), Authorship: by}}
	for i, one := range []*twin{twins[0], twins[0], twins[1]} {
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := one.Poll(t.Context(), id, poll); !errors.Is(err, fleet.ErrUnavailable) {
				t.Errorf("report, time %d: %v", i, err)
			}
		})
		both.Go(func() {
			if _, err := one.Set(t.Context(), change); !errors.Is(err, fleet.ErrUnavailable) {
				t.Errorf("layer, time %d: %v", i, err)
			}
		})
		both.Wait()
	}
	standby.Resume(t)
	for _, one := range twins {
		for {
			_, err := one.Poll(t.Context(), id, poll)
			if err == nil {
				break
			}
			if !errors.Is(err, fleet.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	}
	primary.Pause(t)
	standby.Promote(t)
	for {
		kept, err := twins[0].store.Device(t.Context(), id)
		if err == nil {
			if kept.Sequence != poll.Sequence {
				t.Errorf("an acknowledged report is lost: sequence %d", kept.Sequence)
			}
			break
		}
		if !errors.Is(err, fleet.ErrUnavailable) {
			t.Fatal(err)
		}
	}
}
