package control_test

import (
	"testing"

	"aspects-poc/roles/control"
	"aspects-poc/roles/serverapi"
)

// TestSequence has each report numbered by a process of its own.
func TestSequence(t *testing.T) {
	dir := t.TempDir()
	a, b := serverapi.Config{"a": 1}, serverapi.Config{"a": 2}
	runs := serverapi.Report{Running: &serverapi.Running{Revision: 1, Hash: "h"}}
	last := int64(0)
	number := func(config serverapi.Config, report serverapi.Report, later bool) {
		t.Helper()
		got, err := control.NumberIn(dir, config, report)
		if err != nil || got > last != later || got < last {
			t.Errorf("sequence %d after %d, %v; later: %t", got, last, err, later)
		}
		last = got
	}
	number(a, serverapi.Report{}, true)
	number(a, serverapi.Report{}, false)
	number(a, serverapi.Report{Stats: &serverapi.Stats{At: 1}}, false) // which every poll counts
	number(b, serverapi.Report{}, true)
	number(a, serverapi.Report{}, true) // and back again
	number(a, runs, true)
	number(a, runs, false)
	runs.Instance = "after a restart"
	number(a, runs, true)
	last += 1 << 40
	if err := control.OvertakeIn(dir, last); err != nil {
		t.Fatal(err)
	}
	number(a, runs, true)
	number(a, runs, false)
}
