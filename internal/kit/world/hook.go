package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Hook is one run of a snap's hook.
type Hook struct {
	Snap   Snap
	Name   string
	Cookie string // for snapctl; valid until the hook has ended
}

// A Runner runs hooks.
type Runner interface {
	// RunHook runs a hook to its end and returns what it printed to standard output and error together. An error means
	// that it failed; its text is shown if it printed nothing, such as "exit status 3". When ctx ends, so must the hook.
	RunHook(ctx context.Context, hook Hook) (output []byte, err error)
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context, hook Hook) (output []byte, err error)

// RunHook calls the function.
func (f RunnerFunc) RunHook(ctx context.Context, hook Hook) ([]byte, error) { return f(ctx, hook) }

// Services starts and stops services of snaps.
type Services interface {
	// Service starts, stops or restarts ("start", "stop", "restart") a service and returns when that is done.
	Service(ctx context.Context, action string, snap Snap, service string) error
}

// A hookContext is what a hook's cookie stands for while it runs. The world's lock guards it.
type hookContext struct {
	snap   string
	hook   string
	change *change
	tx     *transaction // nil in other hooks than those of views
	life   context.Context
	calls  sync.WaitGroup // of snapctl that are under way: on snapd they outlive who called, and the hook is not over before

	set      *set           // the last one
	sets     []Assignment   // all of them, for observers of the world
	gets     []Lookup       // likewise
	rejected string         // the reason given to fail
	config   map[string]any // options set, to be stored when the hook has ended
	actions  []action       // for services, to be done when the hook has ended
}

type action struct {
	name, service string
	ServiceOptions
}

// is tells whether this is a view's hook of one of these kinds.
func (h *hookContext) is(kinds ...string) bool {
	for _, kind := range kinds {
		if h.tx != nil && strings.HasPrefix(h.hook, kind+"-view-") {
			return true
		}
	}
	return false
}

// A turn is who runs of a snap's hooks: one at a time.
type turn struct {
	token chan struct{} // which a running hook holds
	owner *hookContext  // for those that wait
}

// queue waits until no other hook of a snap runs, or the change is over.
func (w *World) queue(c *change, instance, hook string) (done func(), err error) {
	w.mu.Lock()
	t := w.busy[instance]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		w.busy[instance] = t
	}
	w.mu.Unlock()
	noticed := time.NewTimer(w.options.NoticeWaits)
	defer noticed.Stop()
	for {
		select {
		case t.token <- struct{}{}:
			return func() { <-t.token }, nil
		case <-noticed.C:
			w.mu.Lock()
			e := Event{Kind: Waits, Time: w.options.Now(), Change: c.ID, Snap: instance, Hook: hook}
			if t.owner != nil {
				e.For = t.owner.hook
				e.Forever = t.owner.change == c
			}
			w.later(e)
			w.mu.Unlock()
			w.flush()
		case <-c.life.Done():
			return nil, errHeld
		}
	}
}

// runHook runs a hook of a snap, if the snap has it, and takes over what it asked for. Its task has waited for its turn
// (queue). The caller does not have the lock.
func (w *World) runHook(ctx context.Context, c *change, instance, name string, tx *transaction) error {
	w.mu.Lock()
	snap := w.state.Snaps[instance]
	if snap == nil || !snap.Has(name) {
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	limit := w.options.HookLimit
	if name == "configure" {
		limit /= 2
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	life, end := context.WithCancel(ctx)
	defer end()

	h := &hookContext{snap: instance, hook: name, change: c, tx: tx, life: life}
	cookie := newCookie()
	w.mu.Lock()
	w.contexts[cookie] = h
	w.busy[instance].owner = h
	run := Hook{Snap: snap.copied(), Name: name, Cookie: cookie}
	w.mu.Unlock()

	began := w.options.Now()
	var output []byte
	var err error
	if w.options.Runner != nil {
		output, err = w.options.Runner.RunHook(limited, run)
	}
	printed, cause := string(output), ""
	switch {
	case err == nil:
	case ctx.Err() != nil:
		cause = "aborted"
		output = append(output, "\n<"+cause+">"...)
	case limited.Err() != nil:
		cause = fmt.Sprintf("exceeded maximum runtime of %s", limit)
		output = append(output, "\n<"+cause+">"...)
		end()
	default:
		cause = err.Error()
	}
	w.locked(func() { delete(w.contexts, cookie) })
	h.calls.Wait()

	w.mu.Lock()
	w.busy[instance].owner = nil
	err = w.conclude(h, output, err)
	actions := h.actions
	w.mu.Unlock()
	w.tell(h.event(began, w.options.Now(), printed, cause, err))
	if err != nil {
		return &toldError{err}
	}
	// Now, as on snapd: a service that reads the confdb while it starts would wait for the hook.
	for _, action := range actions {
		w.act(ctx, instance, action)
	}
	return nil
}

// conclude is the end of a hook. The caller has the lock.
func (w *World) conclude(h *hookContext, output []byte, err error) error {
	if err != nil {
		return &hookError{h.hook, outcome(output, err)}
	}
	if h.is("change") && h.rejected != "" {
		return fmt.Errorf("cannot change confdb %s: %s rejected changes: %s", h.tx.id(), h.snap, h.rejected)
	}
	if h.tx != nil {
		if err := h.tx.merge(h.set); err != nil {
			return err
		}
	}
	if h.config == nil || w.state.Snaps[h.snap] == nil {
		return nil
	}
	return w.stepped(h.change, func() ([]undo, error) {
		undos, err := w.configured(h.snap, h.config)
		if h.hook != "configure" { // what others set stays, as on snapd, whatever becomes of the change
			undos = nil
		}
		return undos, err
	})
}

// A hookError is what a hook ended with.
type hookError struct{ hook, outcome string }

func (e *hookError) Error() string { return fmt.Sprintf("run hook %q: %s", e.hook, e.outcome) }

// A toldError is one that the event of its hook has told of.
type toldError struct{ error }

func (e *toldError) Unwrap() error { return e.error }

// bare words an error without the hook, as snapd does where its own words name it.
func bare(err error) string {
	if failed := (*hookError)(nil); errors.As(err, &failed) {
		return failed.outcome
	}
	return err.Error()
}

// outcome is how snapd tells what a failed hook printed.
func outcome(output []byte, err error) string {
	output = bytes.TrimSpace(output)
	switch {
	case len(output) == 0:
		return err.Error()
	case bytes.ContainsRune(output, '\n'):
		return fmt.Sprintf("\n-----\n%s\n-----", output)
	default:
		return string(output)
	}
}

func (h *hookContext) event(began, ended time.Time, printed, cause string, err error) Event {
	e := Event{Kind: HookRan, Time: ended, Change: h.change.ID, Snap: h.snap, Hook: h.hook, Took: ended.Sub(began),
		Sets: h.sets, Gets: h.gets, Output: printed, Cause: cause}
	if h.tx != nil {
		e.View, e.By, e.Read = h.tx.view, h.tx.by, h.tx.read
	}
	if err != nil {
		e.Err, e.Rejected = err.Error(), h.rejected
	}
	return e
}

// act does what was asked for a service.
func (w *World) act(ctx context.Context, instance string, a action) {
	w.mu.Lock()
	snap := w.state.Snaps[instance]
	if snap == nil {
		w.mu.Unlock()
		return
	}
	_, name, _ := strings.Cut(a.service, ".")
	service, found := snap.Services[name]
	if !found {
		w.mu.Unlock()
		return
	}
	service.Disabled = service.Disabled && !(a.name == "start" && a.Enable) || a.name == "stop" && a.Disable
	service.Running = a.name != "stop" && service.Daemon != "oneshot"
	snap.Services[name] = service
	copied := snap.copied()
	w.mu.Unlock()
	e := Event{Kind: ServiceAsked, Time: w.options.Now(), Snap: instance, Service: name, Action: a.name}
	if w.options.Services != nil {
		if err := w.options.Services.Service(ctx, a.name, copied, name); err != nil {
			e.Err = err.Error()
		}
	}
	w.tell(e)
}
