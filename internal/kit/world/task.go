package world

import (
	"context"
	"errors"
	"slices"
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
	undone  bool   // can be undone, which is then told
	affects string // the snap whose life it is a step of
	// hook and snap are of tasks that run one: they wait until no other hook of the snap runs.
	snap, hook string
}

func hookTask(instance, hook string, do func(ctx context.Context) error) task {
	return task{kind: "run-hook", summary: "Run hook " + hook + " of snap " + quote(instance), do: do, undone: true,
		snap: instance, hook: hook}
}

// errHeld is what becomes of tasks of a change that has failed, or was aborted, before it was their turn.
var errHeld = errors.New("held back, as its change has failed or was aborted before")

// errStopped is what becomes of a change when the machine is closed.
var errStopped = errors.New("the imitated machine is stopped")

// perform runs tasks of a change one after the other and gives them their statuses; the error is that of the first one
// that failed. When one fails, all of the change does: what has not begun is held back, also what other tasks of it
// joined. The caller does not have the lock.
func (w *World) perform(c *change, tasks []task, numbers []int) error {
	for i, t := range tasks {
		number := numbers[i]
		done, err := w.enter(c, t)
		if err != nil {
			return w.hold(c, number, err)
		}
		w.locked(func() {
			c.Tasks[number].Status = Doing
			w.move(c, Doing)
		})
		if t.do != nil {
			err = t.do(c.life)
		}
		if err != nil && t.tolerant != nil && c.life.Err() == nil {
			text := t.tolerant(err)
			w.locked(func() { w.log(c, number, "ERROR", text) })
			err = nil
		}
		if err == nil {
			w.locked(func() { w.endTask(c, number, Done) })
			done()
			continue
		}
		if t.recover != nil {
			err = w.putBack(c, t, number, err)
			number = len(c.Tasks) - 1
		}
		w.locked(func() { w.failed(c, number, err) })
		done()
		return err
	}
	return nil
}

// enter waits until a task may begin: one with a hook until no other hook of its snap runs. An error means that the
// change was over before.
func (w *World) enter(c *change, t task) (done func(), err error) {
	if c.life.Err() != nil {
		return nil, errHeld
	}
	if t.hook == "" {
		return func() {}, nil
	}
	return w.queue(c, t.snap, t.hook)
}

// hold is the end of tasks of which the first that is missing never begins.
func (w *World) hold(c *change, number int, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life.Err() != nil { // else the change would end as if somebody had wanted that
		err = errStopped
		w.failed(c, number, err)
		return err
	}
	w.unwind(c)
	return err
}

// failed is the end of a change's task, and with it of the change. The caller has the lock.
func (w *World) failed(c *change, number int, err error) {
	w.log(c, number, "ERROR", err.Error())
	w.endTask(c, number, Failed)
	w.unwind(c)
}

// unwind tells of a change that fails what was undone and what is held back. The caller has the lock.
func (w *World) unwind(c *change) {
	c.abort()
	c.unwound = true
	for i, task := range c.Tasks {
		switch {
		case task.Status == Do:
			w.endTask(c, i, Hold)
		case task.Status == Done && c.undoable[i]:
			w.endTask(c, i, Undone)
		}
	}
}

// putBack runs the tasks that a failed one wants run; the last of them then fails in its place, as on snapd.
func (w *World) putBack(c *change, failed task, number int, cause error) error {
	tasks := failed.recover()
	if len(tasks) == 0 {
		return cause
	}
	numbers := w.plan(c, tasks)
	w.locked(func() { w.endTask(c, number, Undone) })
	for i, t := range tasks {
		w.locked(func() { c.Tasks[numbers[i]].Status = Doing })
		// The failed task still has its turn among the hooks of its snap; those of another one wait for theirs.
		done, err := func() {}, error(nil)
		if t.snap != failed.snap {
			done, err = w.enter(c, t)
		}
		if err == nil {
			err = t.do(c.life)
			done()
		}
		if err != nil {
			w.locked(func() { w.log(c, numbers[i], "ERROR", ignoring(t.hook)(err)) })
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
		numbers[i] = w.add(c, t)
	}
	return numbers
}

func (w *World) locked(act func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	act()
}

// ignoring words a failure of a hook that nobody waits for.
func ignoring(hook string) func(error) string {
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
	c.life, c.abort = context.WithCancel(w.life)
	go func() {
		defer w.running.Done()
		defer c.abort()
		err := w.perform(c, tasks, numbers)
		c.joined.Wait() // what hooks of it began and did not wait for
		if ended != nil {
			w.locked(func() { ended(err) })
			w.flush()
		}
		w.locked(func() { w.settle(c, err) })
		if c.cleanup != nil {
			_ = c.cleanup() // what it ended with is told by its tasks
		}
	}()
	return nil
}

// settle ends a change whose tasks are over. The caller has the lock.
func (w *World) settle(c *change, err error) {
	if err != nil || c.unwound {
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
// as its change fails, and so does the hook's failure end what of them has not begun. The caller has the lock.
func (w *World) join(h *hookContext, tasks []task, ended func(err error)) {
	numbers := w.planned(h.change, tasks)
	h.change.joined.Add(1)
	go func() {
		defer h.change.joined.Done()
		err := w.perform(h.change, tasks, numbers)
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
