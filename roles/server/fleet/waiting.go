package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// waiting is the polls that are held back. The zero value, with a limit, is ready for use.
type waiting struct {
	limit int

	mu       sync.Mutex // guards what follows
	of       map[uuid.UUID][]chan struct{}
	count    int
	released bool
}

// join makes a poll one of those held back: the channel gets a value when something may have changed for its device.
// ok is false where no more may wait. leave has to follow.
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
		default: // it has been told, and will look
		}
	}
}

// release ends all waiting, now and from now on.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	for _, list := range w.of {
		w.tell(list)
	}
}

// ending tells that no poll may be held back any more.
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
