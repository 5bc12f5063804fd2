package oracle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aspects-poc/roles/fleetsim/oracle"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

// TestSoak lets servers and devices run as processes, in real time, for as long as ASPECTS_SOAK says. ASPECTS_STORE is
// sqlite, postgres or both; ASPECTS_PROGRAM the binary. With ASPECTS_BROWSER=1 the page is watched in a browser, and
// with ASPECTS_PICTURES=DIR pictures of it are kept. The Makefile has a target for it.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("ASPECTS_SOAK"))
	if err != nil {
		t.Skip("it takes real time: make soak")
	}
	program, err := filepath.Abs(os.Getenv("ASPECTS_PROGRAM"))
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(length)
	for _, run := range []struct {
		name, store string
		servers     int
		interval    time.Duration
	}{
		{"sqlite", "sqlite", 1, 2 * time.Second},
		{"sqlite with the usual interval", "sqlite", 1, time.Minute},
		{"two servers on PostgreSQL", "postgres", 2, 2 * time.Second},
	} {
		if store := os.Getenv("ASPECTS_STORE"); store != run.store && store != "" && store != "both" {
			continue
		}
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			database := ""
			if run.store == "postgres" {
				database = postgrestest.URL(t)
			}
			soak(t, newMachine(t, program, database, run.servers, run.interval), until)
		})
	}
}

func soak(t *testing.T, world *machine, until time.Time) {
	o := options(*seed)
	o.Devices, o.Interval, o.Until = 12, world.interval, until
	o.Open = world.controls(6)
	if os.Getenv("ASPECTS_BROWSER") == "1" {
		o.Watchers = []oracle.Watcher{newPage(t, world.URL(0), os.Getenv("ASPECTS_PICTURES"))}
	}
	log, err := os.CreateTemp("", "soak-*.acts")
	if err != nil {
		t.Fatal(err)
	}
	o.Tell = func(act oracle.Act) { fmt.Fprint(log, lines([]oracle.Act{act})) }
	t.Logf("seed %d; the acts are in %s (-replay FILE does them again)", *seed, log.Name())
	figures, err := oracle.Run(t.Context(), world, o, plan(t, *seed, 100_000))
	t.Logf("%+v", figures)
	if err := errors.Join(err, log.Close()); err != nil {
		t.Errorf("seed %d, %s: %v", *seed, log.Name(), err)
	}
}
