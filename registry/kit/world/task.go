package world

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// A task is a step of a transaction or of what happens to a snap, as it is planned.
type task struct {
	kind, summary string
	do            func(ctx context.Context) error // nil: nothing
	// tolerant tasks may fail: it is only logged.
	tolerant func(err error) string
	// recover is asked when the task has failed; it returns tasks that put back what was done before the change fails.
	recover func() []task
	undone  bool // can be undone, which is then told
}

func hookTask(instance, hook string, do func(ctx context.Context) error) task {
	return task{kind: "run-hook", summary: "Run hook " + hook + " of snap " + quote(instance), do: do, undone: true}
}

// perform runs tasks of a change one after the other and gives them their statuses; the error is that of the first one
// that failed. The caller does not have the lock.
func (w *World) perform(ctx context.Context, c *change, tasks []task, numbers []int) error {
	for i, t := range tasks {
		number := numbers[i]
		w.locked(func() {
			c.Tasks[number].Status = Doing
			w.move(c, Doing)
		})
		err := ctx.Err()
		if err == nil && t.do != nil {
			err = t.do(ctx)
		}
		if err != nil && t.tolerant != nil && ctx.Err() == nil {
			text := t.tolerant(err)
			w.locked(func() { w.log(c, number, "ERROR", text) })
			err = nil
		}
		if err == nil {
			w.locked(func() { w.endTask(c, number, Done) })
			continue
		}
		if t.recover != nil {
			err = w.putBack(ctx, c, t, number, err)
			number = len(c.Tasks) - 1
		}
		w.locked(func() {
			w.log(c, number, "ERROR", err.Error())
			w.endTask(c, number, Failed)
			for j, other := range numbers {
				switch c.Tasks[other].Status {
				case Do:
					w.endTask(c, other, Hold)
				case Done:
					if j <= i && tasks[j].undone {
						w.endTask(c, other, Undone)
					}
				}
			}
		})
		return err
	}
	return nil
}

// putBack runs the tasks that a failed one wants run; the last of them then fails in its place, as on snapd.
func (w *World) putBack(ctx context.Context, c *change, failed task, number int, cause error) error {
	tasks := failed.recover()
	if len(tasks) == 0 {
		return cause
	}
	numbers := w.plan(c, tasks)
	w.locked(func() { w.endTask(c, number, Undone) })
	for i, t := range tasks {
		w.locked(func() { c.Tasks[numbers[i]].Status = Doing })
		if err := t.do(ctx); err != nil {
			w.locked(func() { w.log(c, numbers[i], "ERROR", ignoring(t.summary)(err)) })
		}
		if i < len(tasks)-1 {
			w.locked(func() { w.endTask(c, numbers[i], Undone) })
		}
	}
	return errors.New(bare(cause))
}

// plan adds tasks to a change.
func (w *World) plan(c *change, tasks []task) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.planned(c, tasks)
}

func (w *World) planned(c *change, tasks []task) []int {
	numbers := make([]int, len(tasks))
	for i, t := range tasks {
		numbers[i] = w.add(c, t.kind, t.summary)
	}
	return numbers
}

func (w *World) locked(act func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	act()
}

// ignoring words a failure of a hook that nobody waits for.
func ignoring(summary string) func(error) string {
	hook, _, _ := strings.Cut(strings.TrimPrefix(summary, "Run hook "), " ")
	return func(err error) string { return "ignoring failure in hook " + quote(hook) + ": " + bare(err) }
}

func quote(text string) string { return `"` + text + `"` }

// start runs tasks of a change of their own in the background and ends the change with them. ended is called after the
// last task and before the change is ready. The change is on disk before anybody is told of it; if it cannot be stored
// that is the error, and there is no change. The caller has the lock.
func (w *World) start(c *change, tasks []task, ended func(err error)) error {
	numbers := w.planned(c, tasks)
	if err := w.save(); err != nil {
		w.forget(c)
		return err
	}
	w.move(c, Doing)
	w.running.Add(1)
	ctx, abort := context.WithCancel(w.life)
	c.abort = abort
	go func() {
		defer w.running.Done()
		defer abort()
		err := w.perform(ctx, c, tasks, numbers)
		c.joined.Wait() // what hooks of it began and did not wait for
		if ended != nil {
			w.locked(func() { ended(err) })
			w.flush()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.settle(c, err)
	}()
	return nil
}

// settle ends a change whose tasks are over. The caller has the lock.
func (w *World) settle(c *change, err error) {
	if err != nil {
		w.takeBack(c)
	}
	undos := c.Undo
	c.Undo = nil
	w.finish(c)
	unstored := w.save()
	if unstored == nil || len(undos) == 0 {
		return // what it did is on disk; the record of it will be with what is stored next
	}
	// The next start would put back what it did, and so must this one.
	c.Undo, c.Ready = undos, false
	w.takeBack(c)
	last := len(c.Tasks) - 1
	w.log(c, last, "ERROR", unstored.Error())
	w.endTask(c, last, Failed)
	w.finish(c)
	_ = w.save() // as above
}

// forget takes back that there is a change. Its ID is not used again. The caller has the lock.
func (w *World) forget(c *change) {
	w.state.Changes = slices.DeleteFunc(w.state.Changes, func(other *change) bool { return other == c })
}

// join runs tasks in the background as part of the change of a hook that asked for them. A failure ends the hook itself,
// as its change fails. The caller has the lock.
func (w *World) join(h *hookContext, tasks []task, ended func(err error)) {
	numbers := w.planned(h.change, tasks)
	h.change.joined.Add(1)
	go func() {
		defer h.change.joined.Done()
		err := w.perform(w.life, h.change, tasks, numbers)
		if err != nil {
			h.abort(errAborted)
		}
		w.locked(func() { ended(err) })
		w.flush()
	}()
}

var errLate = errors.New("it takes too long")

// await waits for something until the limit of snapctl, which is errLate. The caller has the lock, which is given up
// meanwhile.
func (w *World) await(ctx context.Context, done <-chan struct{}) error {
	w.mu.Unlock()
	defer w.mu.Lock()
	limit := time.NewTimer(w.options.WriteLimit)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-limit.C:
		return errLate
	case <-ctx.Done():
		return ctx.Err()
	}
}
