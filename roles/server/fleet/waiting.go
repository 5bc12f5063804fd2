package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// waiting has the held polls. The zero value with a limit is ready for use.
type waiting struct {
	limit int

	mu       sync.Mutex // guards what follows
	of       map[uuid.UUID][]chan struct{}
	count    int
	released bool
}

// join adds a held poll of a device. The channel receives a value when something may have changed for the device. ok is false
// if no more polls may wait; else call leave at the end.
func (w *waiting) join(id uuid.UUID) (woken chan struct{}, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.released || w.count >= w.limit {
		return nil, false
	}
	if w.of == nil {
		w.of = map[uuid.UUID][]chan struct{}{}
	}
	woken = make(chan struct{}, 1)
	w.of[id] = append(w.of[id], woken)
	w.count++
	return woken, true
}

func (w *waiting) leave(id uuid.UUID, woken chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.of[id]
	for i, other := range list {
		if other == woken {
			list = append(list[:i:i], list[i+1:]...)
			w.count--
			break
		}
	}
	if len(list) == 0 {
		delete(w.of, id)
	} else {
		w.of[id] = list
	}
}

func (w *waiting) wake(ids []uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.tell(w.of[id])
	}
}

func (w *waiting) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range w.of {
		w.tell(list)
	}
}

func (w *waiting) tell(list []chan struct{}) {
	for _, woken := range list {
		select {
		case woken <- struct{}{}:
		default: // it is awake already
		}
	}
}

// release wakes all held polls. From now on no poll may wait.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	for _, list := range w.of {
		w.tell(list)
	}
}

// ending reports whether release was called.
func (w *waiting) ending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.released
}

func (w *waiting) number() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}
