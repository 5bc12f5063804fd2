package snapd_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/machine/faults"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/snapd"
)

// next waits for an event.
func next(t *testing.T, events <-chan backend.Event) backend.Event {
	t.Helper()
	select {
	case event, open := <-events:
		if !open {
			t.Fatal("the watch has ended")
		}
		return event
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
	}
	return backend.Event{}
}

func watch(t *testing.T, b *snapd.Backend, view backend.ViewID) <-chan backend.Event {
	t.Helper()
	events, err := b.Watch(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func count(requests []faults.Request, part string) (n int) {
	for _, request := range requests {
		if strings.Contains(request.URI, part) {
			n++
		}
	}
	return n
}

// Without writes, watches make no reads. A write costs one read of each watched view of its schema.
func TestWatchReadsOnlyWhatWasWritten(t *testing.T) {
	for _, version := range []string{"2.68.3", "2.71", "2.77.1"} {
		t.Run(version, func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: version})
			b := open(t, m, snapd.Options{WatchEvery: time.Hour})
			other := open(t, m)
			first, second := watch(t, b, telemetry), watch(t, b, telemetry)
			beside := watch(t, b, tunnel)
			m.Main.Await(0, func(r faults.Request) bool { return strings.HasPrefix(r.URI, "/v2/notices?") })

			before := len(m.Main.Requests())
			if err := other.Set(t.Context(), telemetry, map[string]any{"sample-rate": json.Number("5")}); err != nil {
				t.Fatal(err)
			}
			for _, events := range []<-chan backend.Event{first, second} {
				if event := next(t, events); event.Err != nil || event.View != telemetry {
					t.Errorf("got %+v", event)
				}
			}
			// Reads are changes, and announced as such: nobody may be woken by them.
			if _, err := other.Get(t.Context(), telemetry, nil, plain); err != nil {
				t.Fatal(err)
			}
			if err := other.Set(t.Context(), tunnel, map[string]any{"interface": "eth0"}); err != nil {
				t.Fatal(err)
			}
			if event := next(t, beside); event.Err != nil || event.View != tunnel {
				t.Errorf("got %+v", event)
			}
			requests := m.Main.Requests()[before:]
			if n := count(requests, telemetry.View); n < 3 || n > 4 { // other's write and read, ours after one or two writes
				t.Errorf("%d requests for the first view: %q", n, requests)
			}
			if n := count(requests, "/v2/notices?"); n > 12 { // at most one for each step of five changes, and one that waits
				t.Errorf("%d requests for notices: %q", n, requests)
			}
			for name, events := range map[string]<-chan backend.Event{"first": first, "second": second, "beside": beside} {
				select {
				case event := <-events:
					t.Errorf("%s: one event too many: %+v", name, event)
				default:
				}
			}
		})
	}
}

// Without notices the view is read again and again.
func TestWatchWithoutNotices(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	m.Main.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if r.URL.Path != "/v2/notices" {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"type":"error","status-code":404,"status":"Not Found","result":{"message":"not found"}}`))
		return true
	})
	b := open(t, m, snapd.Options{WatchEvery: 5 * time.Millisecond})
	events := watch(t, b, telemetry)
	m.Put(telemetry, map[string]any{"sample-rate": json.Number("5")})
	if event := next(t, events); event.Err != nil {
		t.Errorf("got %+v", event)
	}
}

// An error that may go away interrupts a watch. The watch reports it once, and continues by itself.
func TestWatchIsInterrupted(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	m.SetEnabled(false)
	b := open(t, m, snapd.Options{WatchEvery: 5 * time.Millisecond})
	events := watch(t, b, telemetry)
	if event := next(t, events); !errors.Is(event.Err, backend.ErrDisabled) {
		t.Errorf("got %+v, want one that the feature is off", event)
	}
	m.Put(telemetry, map[string]any{"sample-rate": json.Number("5")})
	m.SetEnabled(true)
	if event := next(t, events); event.Err != nil {
		t.Errorf("got %+v, want one that it can be read", event)
	}
	m.Disconnect(telemetry.View)
	if event := next(t, events); !errors.Is(event.Err, backend.ErrNoCustodian) {
		t.Errorf("got %+v, want one that there is no custodian", event)
	}
}

func TestWatchRefusesWhatCannotBeMended(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	b := open(t, m)
	_, err := b.Watch(t.Context(), viewID("nosuch"))
	wantError(t, err, backend.ErrNoView, "", "")
	_, err = b.Watch(t.Context(), backend.ViewID{})
	wantError(t, err, backend.ErrBadRequest, "", "")
	m.SetRoot(false)
	_, err = b.Watch(t.Context(), telemetry)
	wantError(t, err, backend.ErrUnauthorized, "", "run it as root")
}

// The last watch ends the shared work, and a later watch can begin it again.
func TestWatchAgain(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	b := open(t, m)
	for n := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		events, err := b.Watch(ctx, telemetry)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Set(t.Context(), telemetry, map[string]any{"sample-rate": json.Number([]string{"4", "5", "6"}[n])}); err != nil {
			t.Fatal(err)
		}
		next(t, events)
		cancel()
		for range events { // until it is closed
		}
	}
	if n := count(m.Main.Requests(), "/v2/notices?"); n == 0 {
		t.Error("changes were not listened for")
	}
	if !slices.ContainsFunc(m.Main.Requests(), func(r faults.Request) bool { return strings.Contains(r.URI, "types=change-update") }) {
		t.Error("notices of all types were asked for")
	}
}
