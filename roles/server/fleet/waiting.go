package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// mostLooking is the number of held polls that are evaluated at once. A change wakes all of them, and each evaluation
// needs memory.
const mostLooking = 64

// waiting has the held polls, at most one of each device. A held poll needs no goroutine: polls that must be evaluated
// or answered are in a queue, which a few goroutines serve.
type waiting struct {
	limit int
	serve func() // serves the queue until it is empty, in its own goroutine

	mu       sync.Mutex // guards the fields below, and the marked fields of Held
	of       map[uuid.UUID]*Held
	queue    []*Held
	servers  int // number of goroutines in serve
	released bool
}

// A Held is a poll whose answer waits. It does not have the device's report, which would need memory meanwhile.
type Held struct {
	fleet *Fleet
	id    uuid.UUID
	until time.Time

	// The lock of waiting guards the fields below.
	then     func()      // nil before Then, and when it is called
	timer    *time.Timer // until the end of the wait, or until the next time to record that the device is there
	queued   bool        // in the queue, or served
	woken    bool        // something may have changed since the last evaluation
	over     bool        // it is answered without another evaluation
	replaced bool        // a newer poll of the device has replaced it
	answer   Answer
	err      error
}

// join holds a poll of a device, and ends an older one. It returns nil if no more polls may be held. Call Then or leave
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

// call queues a held poll. The caller holds the lock.
func (w *waiting) call(h *Held) {
	if h.queued || h.then == nil {
		return
	}
	h.queued = true
	w.queue = append(w.queue, h)
	w.help()
}

// help starts a goroutine if the queue is not empty. The caller holds the lock.
func (w *waiting) help() {
	if len(w.queue) > 0 && w.servers < mostLooking {
		w.servers++
		go w.serve()
	}
}

// next returns the next poll of the queue, and whether it must be evaluated; nil if there is none.
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

// evaluated ends the evaluation of a poll. If the wait is over, it returns the function to call. The calling goroutine
// then leaves the queue, because the answer may take long.
func (w *waiting) evaluated(h *Held) (then func()) {
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

// release ends all waits, and all later ones at once.
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

// Then calls answer when there is an offer of a revision that the device has not tried, when a newer poll of the device
// arrives, or when the wait is over. Answer then returns the answer. answer runs in its own goroutine. Call Then once.
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

// End ends the wait with an error, because the device has left.
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

// tick ends the wait in time. Before that it records that the device is there, so that a device with a held poll is not
// silent.
func (h *Held) tick() {
	w := &h.fleet.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case h.then == nil:
	case time.Now().Before(h.until):
		h.fleet.sightings.add(h.id, h.fleet.options.Now(), nil)
		h.timer.Reset(h.pause())
	default:
		h.over = true
		w.call(h)
	}
}

// serve evaluates held polls, one after the other, until none is left or one is answered.
func (f *Fleet) serve(ctx context.Context) {
	for {
		h, looks := f.waiting.next()
		if h == nil {
			return
		}
		if looks {
			offer, tried, err := f.decide(ctx, h.id)
			f.waiting.mu.Lock()
			if !h.over {
				h.answer.Offer, h.err = offer, err
				h.over = err != nil || offer != nil && offer.Revision != tried
			}
			f.waiting.mu.Unlock()
		}
		if then := f.waiting.evaluated(h); then != nil {
			f.sightings.add(h.id, f.options.Now(), nil) // the device was there until now
			then()
			return
		}
	}
}
