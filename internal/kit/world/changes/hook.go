package changes

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"aspects-poc/internal/kit/world/facts"
)

// A Hook is one run of a snap's hook.
type Hook struct {
	Snap   facts.Snap
	Name   string
	Cookie string // for snapctl; valid until the hook has ended
}

// A Runner runs hooks.
type Runner interface {
	// RunHook runs a hook to its end and returns what it printed to standard output and error. An error means that the hook
	// failed; its text, such as "exit status 3", is shown if the hook printed nothing. RunHook must end the hook when ctx ends.
	RunHook(ctx context.Context, hook Hook) (output []byte, err error)
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context, hook Hook) (output []byte, err error)

// RunHook calls the function.
func (f RunnerFunc) RunHook(ctx context.Context, hook Hook) ([]byte, error) { return f(ctx, hook) }

func hookTask(snap, hook string, do func(ctx context.Context, c *change) error) task {
	return task{kind: "run-hook", summary: fmt.Sprintf("Run hook %s of snap %q", hook, snap), do: do, undone: true,
		snap: snap, hook: hook}
}

// runHook runs a hook of a snap, if the snap has it, and performs what the hook has requested. tx is nil for hooks that are not a
// view's. The caller is the hook's task, which has its turn in the snap's queue.
func (p *performer) runHook(ctx context.Context, c *change, instance, name string, tx *transaction) error {
	snap, err := p.facts.Now().Snap(instance)
	if err != nil || !snap.Has(name) {
		return nil //nolint:nilerr // the snap was removed or refreshed after the plan
	}
	limit := p.options.HookLimit
	if name == "configure" {
		limit /= 2
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	life, end := context.WithCancel(ctx)
	defer end()

	h := &Context{Snap: instance, Hook: name, change: c, tx: tx, life: life}
	cookie := p.contexts.add(h)
	p.queues.setOwner(instance, h)
	began := p.options.Now()
	var output []byte
	if p.options.Runner != nil {
		output, err = p.options.Runner.RunHook(limited, Hook{Snap: snap, Name: name, Cookie: cookie})
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
	p.contexts.remove(cookie)
	h.calls.Wait()
	p.queues.setOwner(instance, nil)

	err = p.endHook(h, output, err)
	e := h.event(p.options.Now(), err)
	e.Output, e.Cause, e.Took = printed, cause, e.Time.Sub(began)
	p.events.report(e)
	if err != nil {
		return &reportedError{err}
	}
	// After the hook, as on snapd: a service that reads the confdb while it starts would wait for the hook.
	for _, action := range h.actions {
		p.ControlService(ctx, instance, action)
	}
	return nil
}

// endHook adds the sets of a hook to its transaction and to the snap's options. It returns an error if the hook failed or rejected the
// transaction.
func (p *performer) endHook(h *Context, output []byte, err error) error {
	if err != nil {
		return &hookError{h.Hook, outcome(output, err)}
	}
	if h.Is("change") && h.rejected != "" {
		return fmt.Errorf("cannot change confdb %s: %s rejected changes: %s", h.tx.id(), h.Snap, h.rejected)
	}
	if h.tx != nil {
		if err := h.tx.merge(h.set); err != nil {
			return err
		}
	}
	if _, err := p.facts.Now().Snap(h.Snap); h.config == nil || err != nil {
		return nil //nolint:nilerr // a hook of a snap that was removed
	}
	return p.step(h.change, func(d *facts.Draft) ([]facts.Undo, error) {
		undos, err := d.Configure(h.Snap, h.config)
		if h.Hook != "configure" { // as on snapd: what other hooks set stays, even if the change fails
			undos = nil
		}
		return undos, err
	})
}

// A hookError is the error of a hook that failed.
type hookError struct{ hook, outcome string }

func (e *hookError) Error() string { return fmt.Sprintf("run hook %q: %s", e.hook, e.outcome) }

// A reportedError is the error of a hook whose event has reported it.
type reportedError struct{ error }

func (e *reportedError) Unwrap() error { return e.error }

// bare returns the text of an error without the hook, as snapd writes it in a message that names the hook already.
func bare(err error) string {
	if failed := (*hookError)(nil); errors.As(err, &failed) {
		return failed.outcome
	}
	return err.Error()
}

// ignoring returns a function that returns snapd's message about the failure of a hook that does not fail its change.
func ignoring(hook string) func(error) string {
	return func(err error) string { return fmt.Sprintf("ignoring failure in hook %q: %s", hook, bare(err)) }
}

// outcome returns the output of a failed hook in the form that snapd shows it.
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
