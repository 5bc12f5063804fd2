package roster_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/server/roster"

	"github.com/google/uuid"
)

// open returns a fleet of some devices, in several states.
func open(t *testing.T, devices int) *fleet.Fleet {
	t.Helper()
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	var late atomic.Int64 // seconds by which the clock is ahead
	rules, err := fleet.Open(t.Context(), store, fleet.Options{Now: func() time.Time {
		return time.Unix(1_800_000_000+late.Load(), 0)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(rules.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	config, err := fleet.ParseConfig([]byte(`{"v":{"a":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := rules.Set(t.Context(), fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		if i == devices/2 {
			late.Add(3600) // by now the first half is silent
		}
		device, err := rules.Register(t.Context(), fleet.Identity{IPAddress: fmt.Sprintf("192.0.2.%d", i%7), Arch: "arm64"},
			fleet.Labels{"site": fmt.Sprint("s", i%3)}, fleet.Status(max(0, i%9-6)))
		if err != nil {
			t.Fatal(err)
		}
		if i%9 > 6 || i%5 == 4 {
			continue // it may not, or does not, poll
		}
		poll := fleet.Poll{Report: true, Sequence: 1, Attempted: fleet.Attempted{Revision: layer.Revision, Outcome: fleet.Outcome(i % 4), Reason: "no"}}
		for turn := range 1 + i%2*9 { // every other one is two machines
			poll.Instance, poll.Sequence = fmt.Sprint("instance ", turn%2), poll.Sequence+1
			if _, err := rules.Poll(t.Context(), device.ID, poll); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rules
}

// TestPagesAreTheWhole goes through the list in each order, by pages, forth and back: each device is there once, in order,
// and the counts are those of what is listed.
func TestPagesAreTheWhole(t *testing.T) {
	rules := open(t, 100)
	roll, good, err := roster.New(rules).Roll(t.Context())
	if err != nil || good != 0 {
		t.Fatal(good, err)
	}
	selector, err := fleet.ParseSelector("site!=s1")
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range []roster.Order{"", "-state", "device", "-device", "labels", "-labels", "reported", "-reported", "target",
		"-target", "seen", "-seen", "address", "-address"} {
		for _, query := range []roster.Query{{}, {State: fleet.StateRefused}, {Silent: true}, {Cloned: true}, {Selector: selector}} {
			query.Order, query.Limit = order, 7
			all := pages(t, roll, query)
			seen := map[uuid.UUID]bool{}
			for _, row := range all {
				seen[row.ID] = true
			}
			whole, err := roll.List(query)
			if err != nil {
				t.Fatal(err)
			}
			want := whole.All
			switch {
			case query.State != fleet.StateUnknown:
				want = whole.States[query.State]
			case query.Silent:
				want = whole.Silent
			case query.Cloned:
				want = whole.Cloned
			}
			if len(all) != want || len(seen) != want || whole.Found != want || want == 0 {
				t.Errorf("order %q, %+v: %d rows of %d devices, %d found, %d counted", order, query, len(all), len(seen), whole.Found, want)
			}
			sum := 0
			for _, n := range whole.States {
				sum += n
			}
			if sum != whole.All {
				t.Errorf("the states add up to %d of %d", sum, whole.All)
			}
		}
	}
}

// pages goes through a list page by page, and each time back to the page before.
func pages(t *testing.T, roll *roster.Roll, query roster.Query) (all []*roster.Row) {
	t.Helper()
	var last roster.List
	for {
		list, err := roll.List(query)
		if err != nil {
			t.Fatal(err)
		}
		if list.Before != len(all) || list.HasPrevious != (len(all) > 0) {
			t.Fatalf("order %q: %d before, %t, want %d", query.Order, list.Before, list.HasPrevious, len(all))
		}
		if list.HasPrevious {
			back := query
			back.After = list.Previous
			if page, err := roll.List(back); err != nil || !slices.Equal(page.Rows, last.Rows) {
				t.Fatalf("order %q: the way back leads elsewhere: %v", query.Order, err)
			}
		}
		all, last = append(all, list.Rows...), list
		if query.After = list.Next; query.After == "" {
			return all
		}
	}
}

func TestTheWorstFirst(t *testing.T) {
	roll, _, err := roster.New(open(t, 100)).Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := roll.List(roster.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, row := range list.Rows {
		name := row.State.String()
		if row.Silent && row.State != fleet.StatePending && row.State != fleet.StateRevoked &&
			row.State != fleet.StateFailed && row.State != fleet.StateRefused && row.State != fleet.StateDrifted {
			name = "silent"
		}
		if len(order) == 0 || order[len(order)-1] != name {
			order = append(order, name)
		}
	}
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "failed refused ") || strings.Count(got, "failed") != 1 ||
		!strings.HasSuffix(got, "revoked") {
		t.Errorf("the order of the states is %s", got)
	}
	if list.Rows[0].Reason != "no" {
		t.Errorf("the reason is %q", list.Rows[0].Reason)
	}
}

// TestPlaceHoldsWhileTheListChanges: the next page begins behind the last device of the page before, also where that one
// has gone, or stands elsewhere by now.
func TestPlaceHoldsWhileTheListChanges(t *testing.T) {
	rules := open(t, 60)
	rosters := roster.New(rules)
	roll, _, err := rosters.Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := roll.List(roster.Query{Order: roster.ByDevice, Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{3, 19} {
		if err := rules.Remove(t.Context(), first.Rows[i].ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	// The roll is good for some times what it took to make.
	for later := roll; later == roll; time.Sleep(time.Millisecond) {
		if later, _, err = rosters.Roll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if later != roll {
			second, err := later.List(roster.Query{Order: roster.ByDevice, Limit: 20, After: first.Next})
			if err != nil || second.Before != 18 || second.Found != 58 || second.Rows[0].ID.String() <= first.Rows[18].ID.String() {
				t.Errorf("%+v %v", second, err)
			}
			break
		}
	}
}

func TestBadQueries(t *testing.T) {
	roll, _, err := roster.New(open(t, 1)).Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, cursor := range []string{"x", "...", "a.b.c.d", uuid.Nil.String() + ".0.0.=", strings.Repeat(".", 1000)} {
		if _, err := roll.List(roster.Query{After: cursor, Limit: 1}); !errors.Is(err, fleet.ErrBadCursor) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	for text, want := range map[string]bool{"": true, "state": true, "-state": true, "-seen": true, "--seen": false, "-": false, "x": false} {
		if _, known := roster.ParseOrder(text); known != want {
			t.Errorf("order %q: known %t", text, known)
		}
	}
}

// BenchmarkList is a page of a large fleet: the first in its order, and others.
func BenchmarkList(b *testing.B) {
	for _, fresh := range []bool{true, false} {
		b.Run(fmt.Sprintf("fresh=%t", fresh), func(b *testing.B) {
			roll := roster.Made(100_000)
			for b.Loop() {
				if fresh {
					b.StopTimer()
					roll = roster.Made(100_000)
					b.StartTimer()
				}
				if _, err := roll.List(roster.Query{Limit: 50}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNobodyWaits has a reader come when the roll is not good any more: where it took long to make he gets it all the same,
// and a later reader the next one; where it did not, or nobody has come for long, he gets the devices as they are.
func TestNobodyWaits(t *testing.T) {
	rules := open(t, 10)
	list := roster.New(rules)
	roll := func() (*roster.Roll, time.Duration) {
		t.Helper()
		roll, good, err := list.Roll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return roll, good
	}
	first, _ := roll()
	list.Age(time.Minute, time.Second)
	if again, good := roll(); again != first || good != time.Minute {
		t.Errorf("a reader had to wait; the roll is good for %s", good)
	}
	second := first
	for second == first {
		second, _ = roll()
	}
	for name, age := range map[string][2]time.Duration{"it is made at once": {time.Microsecond, time.Microsecond},
		"nobody has come for long": {time.Minute, time.Hour}} {
		list.Age(age[0], age[1])
		third, good := roll()
		if third == second || good != 0 {
			t.Errorf("%s: the same roll, good for %s", name, good)
		}
		second = third
	}
}
