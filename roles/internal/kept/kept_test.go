package kept_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/roles/internal/kept"
)

// A source is a backend with one value, and watches that the test feeds.
type source struct {
	backend.Backend
	value  any
	err    error
	reads  int
	during func() // called in the middle of a read
	events chan backend.Event
}

func (s *source) Get(context.Context, backend.ViewID, []string, backend.GetOptions) (map[string]any, error) {
	s.reads++
	value, err := s.value, s.err
	if s.during != nil {
		s.during()
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"a": value}, nil
}

func (s *source) Watch(ctx context.Context, _ backend.ViewID) (<-chan backend.Event, error) {
	out := make(chan backend.Event)
	go func() {
		defer close(out)
		for {
			select {
			case event, open := <-s.events:
				if !open {
					return
				}
				out <- event
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (s *source) view() *registry.View {
	return registry.New(s, registry.ViewID{}).View("acc/schema/view")
}

// get reads and expects a value after a number of reads in all.
func get(t *testing.T, v *kept.View, s *source, want any, reads int) {
	t.Helper()
	document, err := v.Get(t.Context())
	if err != nil || document["a"] != want || s.reads != reads {
		t.Errorf("got %v, %v after %d reads, want %v after %d", document, err, s.reads, want, reads)
	}
}

func TestWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{value: 1, events: make(chan backend.Event)}
		changes := 0
		v, err := kept.Watch(t.Context(), s.view(), func() { changes++ })
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		get(t, v, s, 1, 1)
		v.Begin()
		get(t, v, s, 1, 1)

		s.value = 2
		s.events <- backend.Event{}
		synctest.Wait()
		get(t, v, s, 2, 2)

		// A change in the middle of a read: what was read may be older.
		v.Forget()
		s.during = func() {
			s.value = 3
			s.events <- backend.Event{}
			synctest.Wait()
			s.during = nil
		}
		get(t, v, s, 2, 3)
		get(t, v, s, 3, 4)

		// Interrupted: nobody knows what changes meanwhile.
		s.events <- backend.Event{Err: errors.New("gone")}
		synctest.Wait()
		get(t, v, s, 3, 5)
		if changes != 2 {
			t.Errorf("told of %d changes, want 2", changes)
		}

		// The watch ends: read in each cycle from now on.
		close(s.events)
		synctest.Wait()
		for reads := range 3 {
			v.Begin()
			get(t, v, s, 3, 6+reads)
			get(t, v, s, 3, 6+reads)
		}
	})
}

func TestUnwatched(t *testing.T) {
	s := &source{value: 1}
	v := kept.New(s.view())
	defer v.Close()
	get(t, v, s, 1, 1)
	get(t, v, s, 1, 1)
	v.Begin()
	get(t, v, s, 1, 2)
}

// TestErrors: that there is no data is kept, failures are not.
func TestErrors(t *testing.T) {
	s := &source{err: &registry.Error{Op: "get", Kind: registry.ErrNoData}}
	v := kept.New(s.view())
	for range 2 {
		if _, err := v.Get(t.Context()); !errors.Is(err, registry.ErrNoData) || s.reads != 1 {
			t.Errorf("got %v after %d reads", err, s.reads)
		}
	}
	s.err = &registry.Error{Op: "get", Kind: registry.ErrBusy}
	v.Begin()
	for reads := range 2 {
		if _, err := v.Get(t.Context()); !errors.Is(err, registry.ErrBusy) || s.reads != 2+reads {
			t.Errorf("got %v after %d reads", err, s.reads)
		}
	}
	s.err, s.value = nil, "text"
	var dst struct{ A int }
	if err := v.Read(t.Context(), &dst); err == nil {
		t.Error("a text was read into a number")
	}
}
