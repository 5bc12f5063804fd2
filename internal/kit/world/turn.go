package world

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"aspects-poc/registry/backend"
)

// turns is who may access one confdb: one writer, or any number of readers whose hooks run. Whoever comes waits behind
// those that wait already.
type turns struct {
	writing bool
	reading int
	last    string // who was let in last
	queue   []*waiter
}

type waiter struct {
	write bool
	who   string        // and what for
	ready chan struct{} // closed when it is its turn
}

// take waits for the turn at a view's confdb. A negative wait means the default. The caller has the lock, which is given
// up meanwhile; release gives the turn back and wants the lock.
func (w *World) take(ctx context.Context, id backend.ViewID, by string, write bool, wait time.Duration) (release func(), err error) {
	name := id.Account + "/" + id.Schema
	t := w.turns[name]
	if t == nil {
		t = &turns{}
		w.turns[name] = t
	}
	release = func() { w.release(name, write) }
	verb := "read"
	me := &waiter{write: write, who: cmp.Or(by, "the administrator") + " gets " + id.Schema + "/" + id.View, ready: make(chan struct{})}
	if write {
		verb = "write"
		me.who = cmp.Or(by, "the administrator") + " sets " + id.Schema + "/" + id.View
	}
	t.queue = append(t.queue, me)
	t.advance()
	if me.goes() {
		return release, nil
	}
	late := internal(fmt.Sprintf("cannot %s %s: timed out waiting for access", verb, id))
	if wait < 0 {
		wait = w.options.AccessTimeout
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	noticed := time.NewTimer(w.options.NoticeWaits)
	defer noticed.Stop()
	w.mu.Unlock()
	for waiting := true; waiting; {
		waiting = false
		select {
		case <-me.ready:
		case <-timer.C:
			err = late
		case <-ctx.Done():
			err = ctx.Err()
		case <-w.life.Done():
			err = errClosed
		case <-noticed.C:
			w.locked(func() {
				w.later(Event{Kind: WaitsTurn, Time: w.options.Now(), View: id, By: by, Read: !write, For: t.last})
			})
			w.flush()
			waiting = true
		}
	}
	w.mu.Lock()
	if me.goes() {
		if err != nil && err != error(late) {
			release()
			return nil, err
		}
		return release, nil // it came to its turn at the last moment
	}
	t.queue = slices.DeleteFunc(t.queue, func(other *waiter) bool { return other == me })
	t.advance() // who waited behind may go now
	return nil, err
}

func (m *waiter) goes() bool {
	select {
	case <-m.ready:
		return true
	default:
		return false
	}
}

// advance lets those go that can.
func (t *turns) advance() {
	for len(t.queue) > 0 {
		first := t.queue[0]
		if t.writing || first.write && t.reading > 0 {
			return
		}
		if first.write {
			t.writing = true
		} else {
			t.reading++
		}
		t.queue, t.last = t.queue[1:], first.who
		close(first.ready)
	}
}

func (w *World) release(name string, write bool) {
	t := w.turns[name]
	if write {
		t.writing = false
	} else {
		t.reading--
	}
	t.advance()
	if !t.writing && t.reading == 0 && len(t.queue) == 0 {
		delete(w.turns, name)
	}
}
