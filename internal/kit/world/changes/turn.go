package changes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
)

// turns gives one writer, or any number of readers, access to a confdb at a time, in the order in which they ask.
type turns struct {
	mu     sync.Mutex // guards what follows
	byName map[string]*access
}

// An access has the users of one confdb, and the waiters for it.
type access struct {
	writing bool
	reading int
	last    string // description of the waiter that was admitted last
	queue   []*waiter
}

type waiter struct {
	name  string // of the confdb: ACCOUNT/NAME
	write bool
	who   string        // description of the access, for people
	ready chan struct{} // closed when it is admitted
}

// enter adds a waiter, which may be admitted at once.
func (t *turns) enter(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[w.name] == nil {
		t.byName[w.name] = &access{}
	}
	t.byName[w.name].queue = append(t.byName[w.name].queue, w)
	t.byName[w.name].advance()
}

// release ends the access of a waiter that was admitted.
func (t *turns) release(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.byName[w.name]
	if w.write {
		a.writing = false
	} else {
		a.reading--
	}
	a.advance()
	if !a.writing && a.reading == 0 && len(a.queue) == 0 {
		delete(t.byName, w.name)
	}
}

// cancel ends the wait of a waiter. If the waiter was admitted meanwhile, it changes nothing and returns true.
func (t *turns) cancel(w *waiter) (admitted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.admitted() {
		return true
	}
	a := t.byName[w.name]
	a.queue = slices.DeleteFunc(a.queue, func(other *waiter) bool { return other == w })
	a.advance() // a reader behind it may be admitted now
	return false
}

// last returns the description of the waiter that was admitted last.
func (t *turns) last(w *waiter) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byName[w.name].last
}

func (w *waiter) admitted() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// advance admits waiters as far as possible.
func (a *access) advance() {
	for len(a.queue) > 0 {
		first := a.queue[0]
		if a.writing || first.write && a.reading > 0 {
			return
		}
		if first.write {
			a.writing = true
		} else {
			a.reading++
		}
		a.queue, a.last = a.queue[1:], first.who
		close(first.ready)
	}
}

// waitAccess waits for the turn at the confdb of a view. The caller calls release to end the turn. by is the snap that makes the
// access, "" for the administrator. wait is the longest wait; a negative one means the default.
func (m *Manager) waitAccess(ctx context.Context, id backend.ViewID, by string, write bool, wait time.Duration) (release func(), err error) {
	me := &waiter{name: id.Account + "/" + id.Schema, write: write, ready: make(chan struct{})}
	verb, gets := "read", "gets"
	if write {
		verb, gets = "write", "sets"
	}
	me.who = fmt.Sprintf("%s %s %s/%s", cmp.Or(by, "the administrator"), gets, id.Schema, id.View)
	release = func() { m.turns.release(me) }
	m.turns.enter(me)
	if me.admitted() {
		return release, nil
	}
	if wait < 0 {
		wait = m.options.AccessTimeout
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	noticed := time.NewTimer(m.options.NoticeWaits)
	defer noticed.Stop()
	late := false
	for err == nil && !late {
		select {
		case <-me.ready:
			return release, nil
		case <-noticed.C:
			m.events.report(Event{Kind: WaitsTurn, Time: m.options.Now(), View: id, By: by, Read: !write, For: m.turns.last(me)})
		case <-limit.C:
			late = true
		case <-ctx.Done():
			err = ctx.Err()
		case <-m.life.Done():
			err = facts.ErrClosed
		}
	}
	admitted := m.turns.cancel(me)
	switch {
	case admitted && late: // at the last moment
		return release, nil
	case admitted:
		release()
	case late:
		err = internal(fmt.Sprintf("cannot %s %s: timed out waiting for access", verb, id))
	}
	return nil, err
}
