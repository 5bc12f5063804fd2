package fleet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/clock/clocktest"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// counting counts what is asked of the store.
type counting struct {
	fleet.Store
	added, reports, looks atomic.Int64
}

// asked returns how often the store was asked to add, report and look up.
func (c *counting) asked() [3]int64 {
	return [3]int64{c.added.Load(), c.reports.Load(), c.looks.Load()}
}

func (c *counting) Add(ctx context.Context, device fleet.Device, mostPending int) (fleet.Device, error) {
	c.added.Add(1)
	return c.Store.Add(ctx, device, mostPending)
}

func (c *counting) Report(ctx context.Context, id uuid.UUID, report fleet.Report) (int64, error) {
	c.reports.Add(1)
	return c.Store.Report(ctx, id, report)
}

func (c *counting) Device(ctx context.Context, id uuid.UUID) (fleet.Device, error) {
	c.looks.Add(1)
	return c.Store.Device(ctx, id)
}

// world is a fleet over a real store, with a clock of its own.
type world struct {
	*fleet.Fleet
	t     *testing.T
	store *counting
	path  string
	clock *clocktest.Clock
}

func newWorld(t *testing.T, change ...func(*fleet.Options)) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "server.db"), clock: clocktest.At(time.Unix(1719407517, 999).UTC())}
	store, err := sqlitetest.Open(t.Context(), w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.store = &counting{Store: store}
	options := fleet.Options{Now: w.clock.Now}
	for _, change := range change {
		change(&options)
	}
	if w.Fleet, err = fleet.Open(t.Context(), w.store, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Fleet.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func parse(t testing.TB, text string) fleet.Config {
	t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// device registers one with a key of its own.
func (w *world) device(labels fleet.Labels) uuid.UUID {
	w.t.Helper()
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: uuid.NewString(), Arch: "amd64"}
	device, err := w.Register(w.t.Context(), identity, labels, fleet.Active)
	if err != nil {
		w.t.Fatal(err)
	}
	return device.ID
}

// set makes a layer; of labels where there is a selector.
func (w *world) set(name fleet.LayerName, selector, config string) fleet.Layer {
	w.t.Helper()
	layer, err := w.Set(w.t.Context(), w.change(name, selector, config))
	if err != nil {
		w.t.Fatal(err)
	}
	return layer
}

func (w *world) change(name fleet.LayerName, selector, config string) fleet.Change {
	w.t.Helper()
	parsed, err := fleet.ParseSelector(selector)
	if err != nil {
		w.t.Fatal(err)
	}
	return fleet.Change{Layer: fleet.Layer{Name: name, Selector: parsed, Config: parse(w.t, config),
		Authorship: fleet.Authorship{By: "ann"}}}
}

// polls has a device poll as a client of the original does, and compares the offer; "" is none.
func (w *world) polls(id uuid.UUID, config, want string) {
	w.t.Helper()
	w.answers(id, fleet.Poll{Config: parse(w.t, config)}, want)
}

func (w *world) answers(id uuid.UUID, poll fleet.Poll, want string) {
	w.t.Helper()
	answer, err := w.Poll(w.t.Context(), id, poll)
	got := ""
	if answer.Offer != nil {
		got = answer.Offer.Config.String()
	}
	if err != nil || got != want {
		w.t.Errorf("polled %s: offered %q, %v; want %q", poll.Config, got, err, want)
	}
}

// is compares a device's state.
func (w *world) is(id uuid.UUID, state fleet.State, revision int64) {
	w.t.Helper()
	view, err := w.Fleet.Device(w.t.Context(), id)
	if err != nil || view.State != state || view.Target.Revision != revision {
		w.t.Errorf("%s at revision %d, %v; want %s at %d", view.State, view.Target.Revision, err, state, revision)
	}
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"}
	device, err := w.Register(t.Context(), identity, fleet.Labels{"site": "berlin"}, fleet.Pending)
	if err != nil {
		t.Fatal(err)
	}
	if device.ID.Version() != 4 || device.Registered.Unix() != 1719407517 || device.Identity != identity {
		t.Errorf("%+v", device)
	}
	kept, err := w.Fleet.Device(t.Context(), device.ID)
	if err != nil || kept.Identity != identity || !kept.Registered.Equal(device.Registered) ||
		kept.Report.Config.String() != "{}" || kept.Labels["site"] != "berlin" || kept.State != fleet.StatePending ||
		kept.Silent {
		t.Errorf("%+v %v", kept, err)
	}
	again, err := w.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: "PEM", Arch: "arm64"}, nil,
		fleet.Active)
	if err != nil || again.ID != device.ID || again.Identity != identity || again.Status != fleet.Pending {
		t.Errorf("the same key: %+v %v", again, err)
	}
	identity.PublicKeyRSA = "PEM of another"
	other, err := w.Register(t.Context(), identity, nil, fleet.Active)
	if err != nil || other.ID == device.ID {
		t.Errorf("another key: %+v %v", other, err)
	}
}

// TestOriginalPolls has a client of the original, which says nothing about what it runs.
func TestOriginalPolls(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.is(id, fleet.StateNew, 0) // it has said nothing yet
	w.polls(id, `{}`, "")
	w.is(id, fleet.StateInSync, 0)
	const target = `{"t":{"gone":null,"rate":4}}`
	w.set(fleet.Everyone, "", target)
	w.is(id, fleet.StateBehind, 1)
	w.polls(id, `{"t":{"rate":2,"gone":1}}`, target)
	w.is(id, fleet.StateBehind, 1)
	w.polls(id, `{"t":{"rate":4.0}}`, "")
	w.is(id, fleet.StateInSync, 1)
	w.set(fleet.Everyone, "", `{"t":{"rate":5}}`)
	w.polls(id, `{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`)
	w.set(fleet.Everyone, "", `{}`)
	w.polls(id, `{"t":{"rate":4.0}}`, "")
	for range 2 { // what was decided before holds for the target of then
		w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
		w.polls(id, `{"t":{"rate":5}}`, `{"t":{"rate":4}}`)
		w.polls(id, `{"t":{"rate":4.0}}`, "")
		w.polls(id, `{"t":{"rate":4.0}}`, "")
		w.set(fleet.Everyone, "", `{"t":{"rate":5}}`)
		w.polls(id, `{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`)
		w.polls(id, `{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`)
	}
	if kept, err := w.Fleet.Device(t.Context(), id); err != nil || kept.Report.Config.String() != `{"t":{"rate":4.0}}` {
		t.Error(kept.Report.Config, err)
	}
	if _, err := w.Poll(t.Context(), uuid.New(), fleet.Poll{}); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}

// TestReportingPolls goes through the states of a device that says what it runs and tries.
func TestReportingPolls(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	first := w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	running := fleet.Running{Revision: first.Revision, Hash: view.Target.Hash}
	sequence := int64(0)
	poll := func(config string, running fleet.Running, attempted fleet.Attempted) fleet.Poll {
		sequence++
		return fleet.Poll{Config: parse(t, config), Report: true, Sequence: sequence, Running: running, Attempted: attempted}
	}
	tried := func(revision int64, outcome fleet.Outcome) fleet.Attempted {
		return fleet.Attempted{Revision: revision, Outcome: outcome, Path: "t.rate", Reason: "no", At: 7}
	}
	w.answers(id, poll(`{}`, fleet.Running{}, fleet.Attempted{}), `{"t":{"rate":4}}`)
	w.is(id, fleet.StateBehind, 1)
	w.answers(id, poll(`{}`, fleet.Running{}, tried(1, fleet.Failed)), `{"t":{"rate":4}}`)
	w.is(id, fleet.StateFailed, 1)
	w.answers(id, poll(`{}`, fleet.Running{}, tried(1, fleet.Refused)), "")
	w.is(id, fleet.StateRefused, 1)
	w.answers(id, poll(`{}`, running, tried(1, fleet.Applied)), "") // what it cannot show may be as it should
	w.is(id, fleet.StateInSync, 1)
	w.answers(id, poll(`{"t":{"rate":5}}`, running, tried(1, fleet.Applied)), `{"t":{"rate":4}}`)
	w.is(id, fleet.StateDrifted, 1)
	w.answers(id, poll(`{"t":{"rate":4}}`, fleet.Running{Revision: 1, Hash: "another"}, tried(1, fleet.Applied)), `{"t":{"rate":4}}`)
	w.is(id, fleet.StateBehind, 1)
	w.answers(id, poll(`{"t":{"rate":4}}`, running, tried(1, fleet.Applied)), "")
	w.is(id, fleet.StateInSync, 1)

	w.set(fleet.Everyone, "", `{"t":{"rate":9}}`)
	w.answers(id, poll(`{"t":{"rate":4}}`, running, tried(2, fleet.Refused)), "") // it goes on with the one before
	w.is(id, fleet.StateRefused, 2)
	view, err = w.Fleet.Device(t.Context(), id)
	if err != nil || view.Attempted != tried(2, fleet.Refused) || view.Running != running {
		t.Errorf("%+v %v", view.Report, err)
	}
	w.set(fleet.Everyone, "", `{"t":{"rate":8}}`) // a new one is offered
	w.answers(id, poll(`{"t":{"rate":4}}`, running, tried(2, fleet.Refused)), `{"t":{"rate":8}}`)
	w.is(id, fleet.StateBehind, 3)
}

// TestLateReport has a report arrive behind a later one.
func TestLateReport(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"n":1}`)
	poll := func(sequence int64, config string) fleet.Answer {
		t.Helper()
		answer, err := w.Poll(t.Context(), id, fleet.Poll{Config: parse(t, config), Report: true, Sequence: sequence})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if answer := poll(7, `{"n":1}`); answer.Offer != nil || answer.Later != 0 {
		t.Errorf("%+v", answer)
	}
	if answer := poll(6, `{"n":0}`); answer.Offer != nil || answer.Later != 7 {
		t.Errorf("a late report counts: %+v", answer)
	}
	w.is(id, fleet.StateInSync, 1)
	if answer := poll(7, `{"n":1}`); answer.Offer != nil || answer.Later != 0 {
		t.Errorf("a repeated one does not: %+v", answer)
	}
	w.clock.Pass(-time.Hour) // the server's clock makes no difference
	if answer := poll(8, `{"n":0}`); answer.Offer == nil || answer.Later != 0 {
		t.Errorf("%+v", answer)
	}
	w.is(id, fleet.StateBehind, 1)
}

// TestRepeatedPollWritesNothing looks at the calls of the store, and at the bytes on disk.
func TestRepeatedPollWritesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.polls(id, `{"b":{"y":1,"x":2},"a":2}`, "")
	w.set(fleet.Everyone, "", `{"a":2}`)
	w.polls(id, `{"b":{"y":1,"x":2},"a":2}`, "") // looks, as the target has changed
	bytesOf := func() (all []string) {
		for _, name := range []string{w.path, w.path + "-wal"} {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(content))
		}
		return all
	}
	before, asked := bytesOf(), w.store.asked()
	for _, text := range []string{`{"b":{"y":1,"x":2},"a":2}`, ` { "a" : 2, "b" : {"x":2,"\u0079":1} } `} {
		w.answers(id, fleet.Poll{Config: parse(t, text), Report: true}, "")
		w.set(fleet.Everyone, "", ` {"a":2}`)
	}
	if now := w.store.asked(); now != asked {
		t.Errorf("the store was asked: %v, then %v", asked, now)
	}
	if diff := cmp.Diff(before, bytesOf()); diff != "" {
		t.Error("the disk has changed")
	}
	w.polls(id, `{"a":3}`, `{"a":2}`)
	w.polls(id, `{"a":3}`, `{"a":2}`)
	if reports := w.store.asked()[1] - asked[1]; reports != 1 {
		t.Errorf("%d reports were written", reports)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.polls(id, `{}`, "")
	for status, want := range map[fleet.Status]error{fleet.Pending: fleet.ErrPending, fleet.Revoked: fleet.ErrRevoked} {
		if _, err := w.SetStatus(t.Context(), id, status, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Poll(t.Context(), id, fleet.Poll{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", status, err)
		}
		if _, err := w.SetStatus(t.Context(), id, fleet.Active, nil); err != nil {
			t.Fatal(err)
		}
		w.polls(id, `{}`, "")
	}
	if err := w.Remove(t.Context(), id, "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Poll(t.Context(), id, fleet.Poll{}); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}

// TestSeen looks at when devices were seen, also where that is not written yet.
func TestSeen(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.polls(id, `{}`, "")
	for range 3 {
		w.clock.Pass(time.Minute)
		w.polls(id, `{}`, "")
		view, err := w.Fleet.Device(t.Context(), id)
		if err != nil || view.LastSeen.Unix() != w.clock.Now().Unix() || view.Silent {
			t.Errorf("seen %s, silent %v, %v", view.LastSeen, view.Silent, err)
		}
	}
	seen := w.clock.Now()
	w.clock.Set(seen.Add(3*time.Minute + time.Second))
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil || !view.Silent {
		t.Errorf("seen %s at %s, but not silent: %v", view.LastSeen, w.clock.Now(), err)
	}
	w.clock.Set(seen.Add(-time.Hour)) // the clock jumps back
	w.polls(id, `{}`, "")
	view, err = w.Fleet.Device(t.Context(), id)
	if err != nil || view.LastSeen.Unix() != seen.Unix() {
		t.Errorf("seen %s, %v", view.LastSeen, err)
	}
}

// TestStats keeps points of time, thinned with age.
func TestStats(t *testing.T) {
	w := newWorld(t, func(o *fleet.Options) { o.StatsStep, o.StatsKeep = time.Minute, 24*time.Hour })
	id := w.device(nil)
	begin := w.clock.Now()
	const hours = 30
	for minute := range hours * 60 {
		w.clock.Set(begin.Add(time.Duration(minute) * time.Minute))
		w.answers(id, fleet.Poll{Config: parse(t, `{}`), Report: true, Stats: `{"at":0}`}, "")
		w.answers(id, fleet.Poll{Config: parse(t, `{}`), Report: true, Stats: `{"at":1}`}, "") // of the same minute
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	points, step, err := w.Fleet.Stats(t.Context(), id, time.Time{}, 0)
	if err != nil || step != time.Minute {
		t.Fatal(step, err)
	}
	age := func(point fleet.Stats) time.Duration { return w.clock.Now().Sub(point.At) }
	var young, middle, old int
	for i, point := range points {
		if i > 0 && !point.At.After(points[i-1].At) || age(point) > 24*time.Hour || point.Text != `{"at":0}` {
			t.Errorf("%s %s", point.At, point.Text)
		}
		switch {
		case age(point) < 72*time.Minute:
			young++
		case age(point) < 576*time.Minute:
			middle++
		default:
			old++
		}
	}
	// A minute each; six minutes each, with up to six not thinned yet; 24 minutes each.
	if young < 71 || young > 73 || middle < 83 || middle > 92 || old < 35 || old > 38 {
		t.Errorf("%d, %d and %d points", young, middle, old)
	}
	coarse, step, err := w.Fleet.Stats(t.Context(), id, w.clock.Now().Add(-time.Hour), 10*time.Minute)
	if err != nil || step != 10*time.Minute || len(coarse) < 6 || len(coarse) > 7 {
		t.Errorf("%d points, %v", len(coarse), err)
	}
}

// schema makes a fleet check targets.
func schema(o *fleet.Options) { o.Schema = network.Document("") }

func TestTargetsAreChecked(t *testing.T) {
	w := newWorld(t, schema)
	id := w.device(nil)
	w.polls(id, `{"control-tunnel":{"peers":["10.0.0.1"]}}`, "")
	own := fleet.DeviceLayer(id)
	for _, test := range []struct {
		name             string
		layer            fleet.LayerName
		selector, config string
		path, text       string // "": it is taken
	}{
		{"good", fleet.Everyone, "", `{"control-telemetry":{"sample-rate":4}}`, "", ""},
		{"unset", "labels/a", "a", `{"control-telemetry":{"sample-rate":null}}`, "", ""},
		{"unset all", own, "", `{"control-tunnel":null}`, "", ""},
		{"type", fleet.Everyone, "", `{"control-telemetry":{"sample-rate":"fast"}}`, "control-telemetry.sample-rate",
			`cannot write data: cannot accept element in "metrics.sample-rate": expected int type but value was string`},
		{"range", "labels/b", "b", `{"control-telemetry":{"sample-rate":-1}}`, "control-telemetry.sample-rate", ""},
		{"twice", own, "", `{"control-tunnel":{"peers":["10.0.0.1","10.0.0.1"]}}`, "control-tunnel.peers", ""},
		{"no rule", fleet.Everyone, "", `{"control-telemetry":{"colour":"red"}}`, "control-telemetry.colour", ""},
		{"no view", fleet.Everyone, "", `{"control-light":{"on":true}}`, "control-light", ""},
		{"not writable", fleet.Everyone, "", `{"observe-tunnel":{"peers":["10.0.0.1"]}}`, "observe-tunnel.peers", ""},
		{"no document", fleet.Everyone, "", `{"control-telemetry":[1]}`, "control-telemetry",
			`cannot set view "control-telemetry": want an object or null, not [1]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, _, _ := w.Targets()
			_, err := w.Set(t.Context(), w.change(test.layer, test.selector, test.config))
			if test.path == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var refused *fleet.TargetError
			if !errors.As(err, &refused) || !errors.Is(err, fleet.ErrTarget) {
				t.Fatalf("got %v", err)
			}
			if refused.Path != test.path && !(test.text == "" && len(refused.Path) > 0 && refused.Path[:5] == test.path[:5]) {
				t.Errorf("path %q, want %q", refused.Path, test.path)
			}
			if test.text != "" && refused.Text != test.text {
				t.Errorf("got  %s\nwant %s", refused.Text, test.text)
			}
			after, _, _ := w.Targets()
			if len(before) != len(after) {
				t.Error("a layer was kept")
			}
		})
	}
}

func TestLayersAreChecked(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		change fleet.Change
		field  string
	}{
		{w.change("labels/a", "", `{}`), "selector"},
		{w.change(fleet.Everyone, "a", `{}`), "selector"},
		{fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Priority: 1}}, "priority"},
	} {
		_, err := w.Set(t.Context(), test.change)
		var refused *fleet.LayerError
		if !errors.As(err, &refused) || refused.Field != test.field {
			t.Errorf("%v: %v", test.change.Name, err)
		}
	}
	if _, err := w.Set(t.Context(), w.change(fleet.DeviceLayer(uuid.New()), "", `{}`)); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}
