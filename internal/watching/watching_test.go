package watching_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/internal/watching"
	"aspects-poc/registry/backend"
)

var control = backend.ViewID{Account: "acme", Schema: "lamp", View: "control"}

// A shelf is the source from which views are read.
type shelf struct {
	mu    sync.Mutex // guards what follows
	value string
	err   error
	reads int
}

func (s *shelf) read(context.Context, backend.ViewID) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return map[string]any{"value": s.value}, s.err
}

// put changes the value, and sets the count of reads to zero.
func (s *shelf) put(value string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.err, s.reads = value, err, 0
}

// count returns how many reads there were since put.
func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// watch begins n watches of a view.
func watch(t *testing.T, life *calls.Life, watches *watching.Watches, n int) []<-chan backend.Event {
	t.Helper()
	var list []<-chan backend.Event
	for range n {
		ctx, call, err := life.Begin(t.Context(), calls.About{Op: "watch", View: control})
		if err != nil {
			t.Fatal(err)
		}
		events, err := watches.Watch(t.Context(), ctx, control)
		call.End()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, events)
	}
	return list
}

// All watches of a view share its reads: those at intervals, and the one after Due.
func TestWatchesShareReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{value: "a"}
		life := calls.NewLife()
		defer life.Close()
		watches := watching.New(life, watching.Options{Read: s.read, Every: func() time.Duration { return time.Minute }})
		events := watch(t, life, watches, 5)

		s.put("b", nil)
		watches.Due(func(view backend.ViewID) bool { return view == control })
		synctest.Wait()
		if n := s.count(); n != 1 {
			t.Errorf("a word of a change is followed by %d reads", n)
		}
		for i, channel := range events {
			select {
			case event := <-channel:
				if event.View != control || event.Err != nil {
					t.Errorf("watch %d: %+v", i, event)
				}
			default:
				t.Errorf("watch %d was not told", i)
			}
		}
		s.put("b", nil)
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if n := s.count(); n != 10 {
			t.Errorf("%d reads in ten minutes", n)
		}
		watches.Due(func(backend.ViewID) bool { return false })
		synctest.Wait()
		if s.count() != 10 {
			t.Error("a word that concerns another view is followed by a read")
		}
	})
}

// A failed read is reported once, and so is the next successful one. The pauses between failed reads grow.
func TestWatchInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{value: "a"}
		life := calls.NewLife()
		defer life.Close()
		watches := watching.New(life, watching.Options{Read: s.read, Every: func() time.Duration { return time.Minute }})
		events := watch(t, life, watches, 1)[0]

		s.put("a", &backend.Error{Op: "get", Kind: backend.ErrUnreachable})
		time.Sleep(time.Minute + 10*time.Second)
		synctest.Wait()
		event := <-events
		var refused *backend.Error
		if !errors.As(event.Err, &refused) || refused.Op != "watch" || refused.View != control {
			t.Errorf("event %+v", event)
		}
		if n := s.count(); n < 3 || n > 6 || len(events) > 0 {
			t.Errorf("%d reads, %d more events", n, len(events))
		}
		s.put("a", nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if event := <-events; event.Err != nil {
			t.Errorf("event %+v, want one that it goes on", event)
		}
	})
}

// After the end of the last watch, and after Close, no goroutine runs.
func TestWatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		life := calls.NewLife()
		var alongside atomic.Int32 // how many run
		watches := watching.New(life, watching.Options{Read: s.read, Every: func() time.Duration { return time.Minute },
			Alongside: func(ctx context.Context, _ time.Time) { alongside.Add(1); <-ctx.Done(); alongside.Add(-1) }})
		ctx, cancel := context.WithCancel(t.Context())
		within, call, err := life.Begin(ctx, calls.About{Op: "watch", View: control})
		if err != nil {
			t.Fatal(err)
		}
		first, err := watches.Watch(ctx, within, control)
		call.End()
		if err != nil {
			t.Fatal(err)
		}
		second := watch(t, life, watches, 1)[0]
		synctest.Wait()
		cancel()
		if _, open := <-first; open || alongside.Load() != 1 {
			t.Errorf("the first is open: %v; alongside runs %d times", open, alongside.Load())
		}
		life.Close()
		if _, open := <-second; open || alongside.Load() != 0 {
			t.Errorf("the second is open: %v; alongside runs %d times", open, alongside.Load())
		}
	})
}

// Watch returns an error that only the caller can mend.
func TestWatchRefused(t *testing.T) {
	life := calls.NewLife()
	defer life.Close()
	s := &shelf{err: &backend.Error{Kind: backend.ErrNoView}}
	watches := watching.New(life, watching.Options{Read: s.read, Every: func() time.Duration { return time.Minute }})
	ctx, call, err := life.Begin(t.Context(), calls.About{Op: "watch", View: control})
	if err != nil {
		t.Fatal(err)
	}
	defer call.End()
	if _, err := watches.Watch(t.Context(), ctx, control); !errors.Is(err, backend.ErrNoView) {
		t.Errorf("error %v", err)
	}
}
