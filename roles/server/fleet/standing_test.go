package fleet_test

import (
	"context"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// deaf is a store that other servers share, of which this one hears nothing.
type deaf struct{ fleet.Store }

func (d deaf) Shared() bool { return true }

func (d deaf) Changes(ctx context.Context) (<-chan fleet.Notice, error) {
	silence := make(chan fleet.Notice)
	context.AfterFunc(ctx, func() { close(silence) })
	return silence, nil
}

// another is a second server on the store of a world, which hears nothing of the first.
func (w *world) another() *world {
	w.t.Helper()
	other := *w
	var err error
	if other.Fleet, err = fleet.Open(w.t.Context(), deaf{w.store}, fleet.Options{Now: w.clock.Now}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := other.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return &other
}

// runs is what a device says that runs a target and shows a rate.
func (w *world) runs(target fleet.Target, sequence int64, rate string) fleet.Poll {
	w.t.Helper()
	return fleet.Poll{Config: parse(w.t, `{"t":{"rate":`+rate+`}}`), Report: true, Sequence: sequence,
		Running:   fleet.Running{Revision: target.Revision, Hash: target.Hash},
		Attempted: fleet.Attempted{Revision: target.Revision, Outcome: fleet.Applied}}
}

// offered polls and returns the offer.
func (w *world) offered(id uuid.UUID, poll fleet.Poll) fleet.Target {
	w.t.Helper()
	answer, err := w.Poll(w.t.Context(), id, poll)
	if err != nil || answer.Offer == nil {
		w.t.Fatalf("%+v, %v", answer, err)
	}
	return *answer.Offer
}

// everywhere compares a device's state as it is shown alone, in the list, by filter and in the counts, now and after what
// was seen has been written.
func (w *world) everywhere(id uuid.UUID, state fleet.State) {
	w.t.Helper()
	for _, flushed := range []bool{false, true} {
		if flushed {
			if err := w.Flush(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
		view, err := w.Fleet.Device(w.t.Context(), id)
		if err != nil || view.State != state {
			w.t.Helper()
			w.t.Errorf("flushed %t: shown as %s, %v; want %s", flushed, view.State, err, state)
		}
		list, _, err := w.Devices(w.t.Context(), fleet.Filter{State: state}, "", 10)
		if err != nil || len(list) != 1 || list[0].ID != id {
			w.t.Errorf("flushed %t: %d devices are listed as %s, %v", flushed, len(list), state, err)
		}
		counted, err := w.CountNow(w.t.Context())
		if err != nil || counted.States[state] != 1 || counted.Devices != 1 {
			w.t.Errorf("flushed %t: %v, %v; want one %s", flushed, counted.States, err, state)
		}
	}
}

// TestReportAfterRepetition has a device repeat what is known while its target changes, and then report what became of
// that, all before anything that was seen is written.
func TestReportAfterRepetition(t *testing.T) {
	for outcome, want := range map[fleet.Outcome]fleet.State{fleet.Applied: fleet.StateInSync, fleet.Refused: fleet.StateRefused,
		fleet.Failed: fleet.StateFailed} {
		w := newWorld(t)
		id := w.device(nil)
		w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
		first := w.offered(id, fleet.Poll{Config: parse(t, `{}`)})
		w.answers(id, w.runs(first, 1, "4"), "")
		w.answers(id, w.runs(first, 1, "4"), "")
		w.set(fleet.Everyone, "", `{"t":{"rate":7}}`)
		second := w.offered(id, w.runs(first, 1, "4"))
		poll, offer := w.runs(second, 2, "7"), ""
		if outcome != fleet.Applied {
			poll = w.runs(first, 2, "4")
			poll.Attempted = fleet.Attempted{Revision: second.Revision, Outcome: outcome}
		}
		if outcome == fleet.Failed {
			offer = second.Config.String()
		}
		w.answers(id, poll, offer)
		w.everywhere(id, want)
		w.answers(id, poll, offer)
		w.everywhere(id, want)
	}
}

// TestSequenceOfRepetition has a device go from one configuration to another and back, of which the report in the middle
// is held up.
func TestSequenceOfRepetition(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	target := w.offered(id, fleet.Poll{Config: parse(t, `{}`)})
	const away = `{"t":{"rate":4}}`
	w.answers(id, w.runs(target, 10, "4"), "")
	w.answers(id, w.runs(target, 12, "4"), "")
	answer, err := w.Poll(t.Context(), id, w.runs(target, 11, "5"))
	if err != nil || answer.Later != 12 || answer.Offer != nil {
		t.Errorf("%+v, %v", answer, err)
	}
	w.everywhere(id, fleet.StateInSync)
	w.answers(id, w.runs(target, 13, "5"), away)
	w.everywhere(id, fleet.StateDrifted)
}

// TestServerThatHasNotHeard has a device that runs a revision come to a server that has not heard of it.
func TestServerThatHasNotHeard(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	other := w.another()
	first := other.offered(id, fleet.Poll{Config: parse(t, `{}`)})
	other.answers(id, other.runs(first, 1, "4"), "")
	w.set(fleet.Everyone, "", `{"t":{"rate":7}}`)
	second := w.offered(id, w.runs(first, 1, "4"))
	if second.Revision != 2 {
		t.Fatalf("revision %d", second.Revision)
	}
	other.answers(id, w.runs(second, 2, "7"), "")
	w.everywhere(id, fleet.StateInSync)
	other.everywhere(id, fleet.StateInSync)
	// That there is a layer for its labels it learns from what is kept of the device.
	site := "berlin"
	if _, err := w.SetLabels(t.Context(), id, map[string]*string{"site": &site}, "ann", nil); err != nil {
		t.Fatal(err)
	}
	w.set("labels/berlin", "site=berlin", `{"t":{"rate":8}}`)
	other.answers(id, w.runs(second, 3, "7"), `{"t":{"rate":8}}`)
}

// TestServersTakeTurns has a device without sequences come to two servers in turn, which hear nothing of each other.
func TestServersTakeTurns(t *testing.T) {
	w := newWorld(t)
	other := w.another()
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	const right, wrong = `{"t":{"rate":4}}`, `{"t":{"rate":5}}`
	for range 3 {
		other.polls(id, right, "")
		other.everywhere(id, fleet.StateInSync)
		other.another().polls(id, wrong, right)
		other.everywhere(id, fleet.StateBehind)
	}
}

// TestMuteDeviceInStep has a device that does not say what it runs show what a new target asks for.
func TestMuteDeviceInStep(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	w.polls(id, `{"t":{"rate":4,"more":1}}`, "")
	w.set(fleet.Everyone, "", `{"t":{"more":1}}`)
	w.everywhere(id, fleet.StateInSync)
	w.set(fleet.Everyone, "", `{"t":{"more":2}}`)
	w.everywhere(id, fleet.StateBehind)
	w.set(fleet.DeviceLayer(id), "", `{"t":{"more":1}}`)
	w.everywhere(id, fleet.StateInSync)
	w.polls(id, `{"t":{"rate":4,"more":1}}`, "")
	w.everywhere(id, fleet.StateInSync)
}

// TestHeldPollIsSeen has a poll be held back and answered, of which the answer is the last that is seen of the device.
func TestHeldPollIsSeen(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.polls(id, `{}`, "")
	_, held, err := w.Take(t.Context(), id, fleet.Poll{Wait: time.Hour})
	if err != nil || held == nil {
		t.Fatal(held, err)
	}
	w.clock.Pass(2 * time.Minute)
	answered := make(chan struct{})
	held.Then(func() { close(answered) })
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	<-answered
	if answer, err := held.Answer(); err != nil || answer.Offer == nil {
		t.Fatal(answer, err)
	}
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil || view.LastSeen.Unix() != w.clock.Now().Unix() {
		t.Errorf("last seen at %s, %v; it is %s", view.LastSeen, err, w.clock.Now())
	}
}

// TestNewDevice follows a device from its registration to its first poll.
func TestNewDevice(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	silent := func(want bool) {
		t.Helper()
		view, err := w.Fleet.Device(t.Context(), id)
		counted, failed := w.CountNow(t.Context())
		if err != nil || failed != nil || view.Silent != want || counted.Silent > 0 != want {
			t.Errorf("silent %t, %d are counted so; %v, %v", view.Silent, counted.Silent, err, failed)
		}
	}
	w.everywhere(id, fleet.StateNew)
	silent(false)
	w.set(fleet.Everyone, "", `{"t":{"rate":4}}`)
	w.everywhere(id, fleet.StateNew)
	w.clock.Pass(3*time.Minute + time.Second)
	w.everywhere(id, fleet.StateNew)
	silent(true)
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Register(t.Context(), view.Identity, nil, fleet.Active); err != nil { // it never got its answer
		t.Fatal(err)
	}
	w.everywhere(id, fleet.StateNew)
	silent(false)
	w.polls(id, `{}`, `{"t":{"rate":4}}`)
	w.everywhere(id, fleet.StateBehind)
}
