package target_test

import (
	"testing"
	"time"

	"aspects-poc/roles/control/target"
	"aspects-poc/roles/serverapi"
)

// The sequence of a report grows with the content, however often a report is sent and whatever the clock shows.
func TestSequence(t *testing.T) {
	a, b := serverapi.Config{"a": 1}, serverapi.Config{"a": 2}
	runs := serverapi.Report{Running: &serverapi.Running{Revision: 1, Hash: "h"}}
	var journal target.Journal
	now := time.Unix(1_700_000_000, 0)
	number := func(config serverapi.Config, report serverapi.Report, later bool) {
		t.Helper()
		next, err := journal.Number(&report, config, now)
		if err != nil || next.Sequence > journal.Sequence != later || next.Sequence < journal.Sequence {
			t.Errorf("sequence %d after %d, %v; later: %t", next.Sequence, journal.Sequence, err, later)
		}
		journal = next
	}
	number(a, serverapi.Report{}, true)
	number(a, serverapi.Report{}, false)
	number(a, serverapi.Report{Stats: &serverapi.Stats{At: 1}}, false) // counters do not matter
	number(b, serverapi.Report{}, true)
	number(a, serverapi.Report{}, true) // and back again
	number(a, runs, true)
	number(a, runs, false)
	runs.Instance = "after a restart"
	number(a, runs, true)
	now = time.Unix(1, 0) // the clock was wrong
	journal = journal.Overtaken(journal.Sequence + 1<<40)
	number(a, runs, true)
	number(a, runs, false)
	if before := journal; journal.Overtaken(1).Sequence != before.Sequence {
		t.Errorf("the sequence fell to %d", journal.Overtaken(1).Sequence)
	}
}
