package kept_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/roles/internal/kept"
)

// TestKeptAgainstRead compares what is kept with what the view shows, while it is changed by others, also in the middle of
// a read, and by its holder, whose write takes the place of a read; reads fail now and then, and watches are interrupted.
func TestKeptAgainstRead(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { againstRead(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func againstRead(t *testing.T, random *rand.Rand) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &source{value: 0, events: make(chan backend.Event)}
	v, err := kept.Watch(ctx, s.view(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	changes := 0
	set := func() int {
		changes++
		s.value = changes
		return changes
	}
	tell := func() {
		event := backend.Event{}
		if random.IntN(8) == 0 {
			event.Err = errors.New("interrupted")
		}
		s.events <- event
		synctest.Wait()
	}
	var did []string
	for range 200 {
		act := random.IntN(7)
		did = append(did, fmt.Sprint(act))
		switch act {
		case 0: // another changes it
			set()
			tell()
		case 1: // in the middle of a read
			s.during = func() {
				s.during = nil
				set()
				tell()
			}
			_, _ = v.Get(ctx) // of before or after: nobody can tell
			s.during = nil
		case 2: // the holder writes, and the backend tells of that too, sooner or later
			mark := v.Mark()
			written := set()
			early, other := random.IntN(2) == 0, random.IntN(3) == 0
			if early {
				tell()
			}
			if other {
				set()
				tell()
			}
			v.Put(mark, map[string]any{"a": written})
			if !early {
				compareKept(ctx, t, v, s, did) // it stands, unless another has changed it
				tell()
			}
		case 3: // a read fails
			v.Forget()
			s.err = &registry.Error{Op: "get", Kind: registry.ErrBusy}
			if _, err := v.Get(ctx); !errors.Is(err, registry.ErrBusy) {
				t.Error(err)
			}
			s.err = nil
		case 4:
			v.Begin()
		}
		compareKept(ctx, t, v, s, did)
		if t.Failed() {
			return
		}
	}
	if s.reads > 200 {
		t.Errorf("%d reads: nothing is kept", s.reads)
	}
}

func compareKept(ctx context.Context, t *testing.T, v *kept.View, s *source, did []string) {
	t.Helper()
	document, err := v.Get(ctx)
	if err != nil || document["a"] != s.value {
		t.Errorf("kept %v, %v; it shows %v after %s", document["a"], err, s.value, did[max(0, len(did)-8):])
	}
}
