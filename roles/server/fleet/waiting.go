package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// mostLooking is the number of held polls that look at the same time. A change wakes all of them, and each look needs memory.
const mostLooking = 64

// waiting is the polls that are held, at most one of each device. A held poll costs no goroutine: those whose turn to look or
// to be answered has come are in a queue, which a few goroutines serve.
type waiting struct {
	limit int
	serve func() // takes care of the queue until it is empty, on a goroutine of its own

	mu       sync.Mutex // guards what follows, and what Held says
	of       map[uuid.UUID]*Held
	queue    []*Held
	servers  int // goroutines in serve
	released bool
}

// A Held is a poll whose answer waits. It has nothing of what the device reported, which needs no memory meanwhile.
type Held struct {
	fleet *Fleet
	id    uuid.UUID
	until time.Time

	// The lock of waiting guards what follows.
	then     func()      // nil before Then, and when it is called
	timer    *time.Timer // to the end of the wait, or to the next note that the device is there
	queued   bool        // or served
	woken    bool        // something may have changed since the last look
	over     bool        // it is answered without a further look
	replaced bool        // by a newer poll of the device
	answer   Answer
	err      error
}

// join holds a poll of a device. It ends an older one. It returns nil if no more polls may be held. Call Then or leave
// afterwards.
func (w *waiting) join(f *Fleet, id uuid.UUID, wait time.Duration) *Held {
	w.mu.Lock()
	defer w.mu.Unlock()
	older := w.of[id]
	if w.released || older == nil && len(w.of) >= w.limit {
		return nil
	}
	if older != nil {
		older.over, older.replaced = true, true
		w.call(older)
	}
	if w.of == nil {
		w.of = map[uuid.UUID]*Held{}
	}
	h := &Held{fleet: f, id: id, until: time.Now().Add(wait)}
	w.of[id] = h
	return h
}

func (w *waiting) leave(h *Held) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(h)
}

// remove is leave for a caller that holds the lock.
func (w *waiting) remove(h *Held) {
	if w.of[h.id] == h {
		delete(w.of, h.id)
	}
}

// call has a held poll looked after. The caller holds the lock.
func (w *waiting) call(h *Held) {
	if h.queued || h.then == nil {
		return
	}
	h.queued = true
	w.queue = append(w.queue, h)
	w.help()
}

// help adds a goroutine, if the queue is not empty. The caller holds the lock.
func (w *waiting) help() {
	if len(w.queue) > 0 && w.servers < mostLooking {
		w.servers++
		go w.serve()
	}
}

// next returns the next poll of the queue, and whether it has to look; nil if there is none.
func (w *waiting) next() (h *Held, looks bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil
		w.servers--
		return nil, false
	}
	h, w.queue[0] = w.queue[0], nil
	w.queue = w.queue[1:]
	h.woken = false
	return h, !h.over
}

// looked takes what a poll has seen. It returns the function to call if the wait is over: the calling goroutine then serves
// the queue no longer, because the answer may take long.
func (w *waiting) looked(h *Held) (then func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h.queued = false
	if !h.over {
		if h.woken {
			w.call(h)
		}
		return nil
	}
	then, h.then = h.then, nil
	h.timer.Stop()
	w.remove(h)
	w.servers--
	w.help()
	return then
}

func (w *waiting) wake(ids []uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if h := w.of[id]; h != nil {
			h.woken = true
			w.call(h)
		}
	}
}

func (w *waiting) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.of {
		h.woken = true
		w.call(h)
	}
}

// release ends all waiting, now and from now on.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	for _, h := range w.of {
		h.over = true
		w.call(h)
	}
}

func (w *waiting) number() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.of)
}

// Then has a function called when there is an offer of a revision that the device has not tried, when a newer poll of the
// device comes, or when the wait is over: Answer then has the answer. The function gets a goroutine of its own. Call Then once.
func (h *Held) Then(answer func()) {
	w := &h.fleet.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	h.then = answer
	h.timer = time.AfterFunc(h.pause(), h.tick)
	if h.over || h.woken {
		w.call(h)
	}
}

// End ends the wait with an error, because the device has gone.
func (h *Held) End(err error) {
	w := &h.fleet.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	if !h.over {
		h.over, h.err = true, err
		w.call(h)
	}
}

// Answer returns the answer of a poll whose wait is over.
func (h *Held) Answer() (Answer, error) {
	w := &h.fleet.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case h.err != nil:
		return Answer{}, h.err
	case h.replaced:
		h.answer.Offer = nil
	}
	return h.answer, nil
}

// wait waits for the answer.
func (h *Held) wait(ctx context.Context) (Answer, error) {
	answered := make(chan struct{})
	defer context.AfterFunc(ctx, func() { h.End(ctx.Err()) })()
	h.Then(func() { close(answered) })
	<-answered
	return h.Answer()
}

// pause returns the time to the next tick.
func (h *Held) pause() time.Duration {
	return min(time.Until(h.until), h.fleet.options.PollInterval)
}

// tick ends the wait in time. Before, it notes that the device is there: one that waits is not silent.
func (h *Held) tick() {
	w := &h.fleet.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case h.then == nil:
	case time.Now().Before(h.until):
		h.fleet.sightings.note(h.id, h.fleet.options.Now(), nil)
		h.timer.Reset(h.pause())
	default:
		h.over = true
		w.call(h)
	}
}

// serve lets held polls look, one after the other, until none is left or one is answered.
func (f *Fleet) serve(ctx context.Context) {
	for {
		h, looks := f.waiting.next()
		if h == nil {
			return
		}
		if looks {
			offer, tried, err := f.look(ctx, h.id)
			f.waiting.mu.Lock()
			if !h.over {
				h.answer.Offer, h.err = offer, err
				h.over = err != nil || offer != nil && offer.Revision != tried
			}
			f.waiting.mu.Unlock()
		}
		if then := f.waiting.looked(h); then != nil {
			f.sightings.note(h.id, f.options.Now(), nil) // it was there until now
			then()
			return
		}
	}
}
