package kept_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/roles/internal/kept"
)

// told is a backend that counts reads, and whose hints a test sends.
type told struct {
	backend.Backend
	hints chan struct{}
	reads int
	value any // shown at "key"; nil for no data
}

func (b *told) Get(context.Context, backend.ViewID, []string, backend.GetOptions) (map[string]any, error) {
	b.reads++
	if b.value == nil {
		return nil, &backend.Error{Op: "get", Kind: backend.ErrNoData}
	}
	return map[string]any{"key": b.value}, nil
}

func (b *told) Hints(ctx context.Context, _ backend.ViewID) (<-chan struct{}, error) {
	if b.hints == nil {
		return nil, &backend.Error{Op: "watch", Kind: backend.ErrUnsupported}
	}
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			select {
			case <-b.hints:
				select {
				case out <- struct{}{}:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func view(b backend.Backend) *registry.View {
	return registry.New(b, registry.ViewID{Account: "acc", Schema: "network"}).View("control-tunnel")
}

func TestHinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &told{hints: make(chan struct{}), value: "a"}
		changed := 0
		v, err := kept.Hinted(t.Context(), view(b), 3, func() { changed++ })
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		expect := func(reads int, value any) {
			t.Helper()
			v.Begin()
			document, err := v.Get(t.Context())
			if b.reads != reads || document["key"] != value || value == nil && !errors.Is(err, registry.ErrNoData) {
				t.Errorf("%d reads and %v, %v; want %d and %v", b.reads, document, err, reads, value)
			}
		}
		expect(1, "a")
		expect(1, "a")
		b.value = "b"
		b.hints <- struct{}{}
		synctest.Wait()
		if changed != 1 {
			t.Errorf("told %d times", changed)
		}
		expect(2, "b")
		expect(2, "b")

		// For safety it is read in the minute of its slot, once in each round.
		b.value = nil
		minute := func() int { return time.Now().Minute() % kept.Slots }
		before := b.reads
		for range 2 * kept.Slots {
			time.Sleep(time.Minute)
			synctest.Wait()
			v.Begin()
			_, _ = v.Get(t.Context())
			if b.reads > before && minute() != 3 {
				t.Errorf("read in minute %d", minute())
			}
			before = b.reads
		}
		if b.reads != 4 {
			t.Errorf("%d reads, want one more for each of two rounds", b.reads)
		}
		expect(4, nil)
	})
	if _, err := kept.Hinted(t.Context(), view(&told{}), 0, nil); !errors.Is(err, registry.ErrUnsupported) {
		t.Errorf("without hints: %v", err)
	}
}

// Put spares the read after a write of one's own, unless something else has changed meanwhile.
func TestPut(t *testing.T) {
	b := &told{value: "theirs"}
	v := kept.New(view(b))
	v.Put(v.Mark(), map[string]any{"key": "ours"}, "key")
	if document, err := v.Get(t.Context(), "key"); err != nil || document["key"] != "ours" || b.reads != 0 {
		t.Errorf("%v, %v after %d reads", document, err, b.reads)
	}
	mark := v.Mark()
	v.Forget()
	v.Put(mark, map[string]any{"key": "ours"}, "key")
	if document, err := v.Get(t.Context(), "key"); err != nil || document["key"] != "theirs" {
		t.Errorf("%v, %v although it had changed", document, err)
	}
	v.Put(v.Mark(), nil, "key")
	if _, err := v.Get(t.Context(), "key"); !errors.Is(err, registry.ErrNoData) || b.reads != 1 {
		t.Errorf("%v after %d reads, want no data", err, b.reads)
	}
}

func TestLasting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &told{value: "a"}
		v := kept.Lasting(view(b), time.Minute)
		for range 6 { // every 30 s
			v.Begin()
			if _, err := v.Get(t.Context(), "key"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		if b.reads != 3 {
			t.Errorf("%d reads in three minutes, want 3", b.reads)
		}
		v.Begin()
		if _, err := v.Get(t.Context(), "other"); err != nil || b.reads != 4 {
			t.Errorf("%d reads, want one for what was not asked before", b.reads)
		}
	})
}
