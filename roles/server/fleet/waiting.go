package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// waiting is the polls that are held, at most one of each device. The zero value, with a limit, is ready for use.
type waiting struct {
	limit int

	mu       sync.Mutex // guards what follows
	of       map[uuid.UUID]chan struct{}
	released bool
}

// join holds a poll of a device. The channel gets a value when something may have changed for the device. It is closed when
// a newer poll of the device joins: the older one ends. ok is false if no more polls may be held. Call leave afterwards.
func (w *waiting) join(id uuid.UUID) (held <-chan struct{}, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	older := w.of[id]
	if w.released || older == nil && len(w.of) >= w.limit {
		return nil, false
	}
	if older != nil {
		close(older)
	}
	if w.of == nil {
		w.of = map[uuid.UUID]chan struct{}{}
	}
	woken := make(chan struct{}, 1)
	w.of[id] = woken
	return woken, true
}

func (w *waiting) leave(id uuid.UUID, woken <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[id] == woken {
		delete(w.of, id)
	}
}

func (w *waiting) wake(ids []uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if woken := w.of[id]; woken != nil {
			wake(woken)
		}
	}
}

func (w *waiting) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, woken := range w.of {
		wake(woken)
	}
}

// wake wakes a poll. One that has not yet seen the last wake-up needs no other.
func wake(woken chan struct{}) {
	select {
	case woken <- struct{}{}:
	default:
	}
}

// release ends all waiting, now and from now on.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	for _, woken := range w.of {
		wake(woken)
	}
}

// ending returns whether no poll may be held any more.
func (w *waiting) ending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.released
}

func (w *waiting) number() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.of)
}
