package changes

import (
	"context"
	"errors"
	"sync"
	"time"

	"aspects-poc/internal/kit/world/facts"
)

// A performer runs tasks, also those with hooks, and records their results.
//
// It has many methods because it has those of the Records, which own what is stored: it owns what runs.
type performer struct {
	*Records
	options  Options
	facts    *facts.Store
	events   events
	queues   queues          // of the hooks of a snap
	contexts contexts        // of running hooks
	life     context.Context // of hooks and changes; ends with Close. A field, as changes outlive the calls that begin them
	end      context.CancelFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	running sync.WaitGroup // changes; none is added after closed
}

// A plan is a change that is not begun.
type plan struct {
	kind, summary string
	data          map[string]any
	tasks         []task
	tx            *transaction    // ends after the last task; nil: none
	ended         func(err error) // called after the last task, before the change is ready; nil: nothing
	cleanup       func()          // called when the change is ready; nil: nothing
}

// A task is a step of a plan.
type task struct {
	kind, summary string
	do            func(ctx context.Context, c *change) error // nil: nothing
	// tolerant words the error of a task that may fail: it is only logged. nil: the change fails.
	tolerant func(err error) string
	// recover returns tasks that put back what was done when the task has failed, before the change fails. nil: none.
	recover func() []task
	undone  bool   // can be undone; its status is then Undone
	affects string // the snap that it installs or removes
	// snap and hook are set for a task that runs a hook. It waits until no other hook of the snap runs.
	snap, hook string
}

// A change is a plan that runs.
//
// It has many fields because it has those of its record.
type change struct {
	*record
	life   context.Context // of the tasks; ends when one of them fails
	joined sync.WaitGroup  // transactions that hooks of the change began
}

// errHeld is the error of a task whose change failed or was aborted before the task's turn.
var errHeld = errors.New("held back, as its change has failed or was aborted before")

// errStopped is the error of changes that run when the machine is closed.
var errStopped = errors.New("the imitated machine is stopped")

// begin runs a plan in the background. The change is on disk before begin returns; if the disk refuses, there is no change, and
// the plan's transaction has ended.
func (p *performer) begin(plan plan) (begun *change, err error) {
	defer func() {
		if err != nil && plan.tx != nil {
			plan.tx.release()
		}
	}()
	if err := p.enter(); err != nil {
		return nil, err
	}
	c := &change{}
	var numbers []int
	life, abort := context.WithCancel(p.life)
	c.life = life
	if err := p.facts.Update(func(d *facts.Draft) error {
		c.record, numbers = bookOf(d).addPlan(plan, abort)
		d.IfRefused(func(d *facts.Draft, _ error) { bookOf(d).remove(c.record) })
		return nil
	}); err != nil {
		abort()
		p.running.Done()
		return nil, err
	}
	p.start(c.record)
	if plan.tx != nil {
		p.events.later(plan.tx.event(AccessBegan, c.ID, p.options.Now()))
	}
	go func() {
		defer p.running.Done()
		defer abort()
		err := p.perform(c, plan.tasks, numbers)
		c.joined.Wait() // transactions that hooks began and did not wait for
		p.conclude(c, plan, err)
		p.endChange(c, err)
		if plan.cleanup != nil {
			plan.cleanup()
		}
	}()
	return c, nil
}

// join runs the tasks of a plan in the background as part of the change of a running hook. If they fail, so does the change,
// and if the change fails, the tasks that have not begun are held back.
func (p *performer) join(c *change, plan plan) {
	p.events.later(plan.tx.event(AccessBegan, c.ID, p.options.Now()))
	numbers := p.plan(c.record, plan.tasks)
	c.joined.Go(func() { p.conclude(c, plan, p.perform(c, plan.tasks, numbers)) })
}

// perform runs tasks one after the other and returns the error of the first one that fails. Then the change has failed, and its tasks
// that have not begun are held back, also those that joined it.
func (p *performer) perform(c *change, tasks []task, numbers []int) error {
	for i, t := range tasks {
		number := numbers[i]
		leave, err := p.waitTurn(c, t)
		if err != nil {
			return p.holdBack(c, number, err)
		}
		p.doing(c.record, number)
		if t.do != nil {
			err = t.do(c.life, c)
		}
		var survived []string
		if err != nil && t.tolerant != nil && c.life.Err() == nil {
			survived = []string{t.tolerant(err)}
			err = nil
		}
		if err == nil {
			p.done(c.record, number, Done, survived...)
			leave()
			continue
		}
		if t.recover != nil {
			number, survived, err = p.recover(c, t, number, err)
		}
		p.fail(c.record, number, err, survived...)
		leave()
		return err
	}
	return nil
}

// waitTurn waits until a task may begin. An error means that the change ended before.
func (p *performer) waitTurn(c *change, t task) (leave func(), err error) {
	if c.life.Err() != nil {
		return nil, errHeld
	}
	if t.hook == "" {
		return func() {}, nil
	}
	return p.waitQueue(c, t.snap, t.hook)
}

// waitQueue waits until no other hook of a snap runs. It returns errHeld if the change ends before.
func (p *performer) waitQueue(c *change, snap, hook string) (leave func(), err error) {
	queue := p.queues.of(snap)
	noticed := time.NewTimer(p.options.NoticeWaits)
	defer noticed.Stop()
	for {
		select {
		case queue.token <- struct{}{}:
			return func() { <-queue.token }, nil
		case <-noticed.C:
			e := Event{Kind: Waits, Time: p.options.Now(), Change: c.ID, Snap: snap, Hook: hook}
			if owner := p.queues.ownerOf(snap); owner != nil {
				e.For, e.Forever = owner.Hook, owner.change == c
			}
			p.events.report(e)
		case <-c.life.Done():
			return nil, errHeld
		}
	}
}

// holdBack ends a change before the task with a number begins, and returns the error for it.
func (p *performer) holdBack(c *change, number int, err error) error {
	if p.life.Err() != nil { // otherwise the record would say that somebody has aborted the change
		p.fail(c.record, number, errStopped)
		return errStopped
	}
	p.unwind(c.record)
	return err
}

// recover runs the tasks that restore what earlier tasks changed, after a task has failed. As on snapd, the last of them fails in the
// place of that task: recover returns its number, the errors that it has survived, and the error.
func (p *performer) recover(c *change, failed task, number int, cause error) (last int, survived []string, err error) {
	tasks := failed.recover()
	if len(tasks) == 0 {
		return number, nil, cause
	}
	numbers := p.plan(c.record, tasks)
	p.done(c.record, number, Undone)
	for i, t := range tasks {
		p.doing(c.record, numbers[i])
		// The failed task still has its turn among the hooks of its snap.
		leave, err := func() {}, error(nil)
		if t.snap != failed.snap {
			leave, err = p.waitTurn(c, t)
		}
		if err == nil {
			err = t.do(c.life, c)
			leave()
		}
		survived = nil
		if err != nil {
			survived = []string{ignoring(t.hook)(err)}
		}
		if i < len(tasks)-1 {
			p.done(c.record, numbers[i], Undone, survived...)
		}
	}
	return numbers[len(numbers)-1], survived, errors.New(bare(cause))
}

// conclude ends the transaction of a plan whose tasks have ended. The next access gets its turn at the confdb.
func (p *performer) conclude(c *change, plan plan, err error) {
	if plan.tx != nil {
		p.events.later(plan.tx.endEvent(c.ID, c.Spawned, p.options.Now(), err))
		plan.tx.release()
	}
	if plan.ended != nil {
		plan.ended(err)
	}
	p.events.flush()
}

// endChange ends a change whose tasks have ended. If the change has failed, it undoes the tasks.
func (p *performer) endChange(c *change, err error) {
	_ = p.facts.Apply(func(d *facts.Draft) { // on a full disk the record is stored with the next write
		undos := c.takeUndo()
		if err != nil || c.unwound {
			d.Undo(undos)
			undos = nil
		}
		bookOf(d).finish(c.record)
		if len(undos) > 0 {
			d.IfRefused(func(d *facts.Draft, unstored error) { // undo it now, as the next process would do
				d.Undo(undos)
				bookOf(d).refail(c.record, unstored)
			})
		}
	})
}

// step performs a part of a change. The part and its undo are written to disk together.
func (p *performer) step(c *change, act func(*facts.Draft) ([]facts.Undo, error)) error {
	return p.facts.Update(func(d *facts.Draft) error {
		undos, err := act(d)
		if err == nil {
			before := c.Undo
			c.Undo = append(c.Undo, undos...)
			d.IfRefused(func(*facts.Draft, error) { c.Undo = before })
		}
		return err
	})
}

// Close ends the hooks that run and waits for their changes to end. What was committed stays.
func (p *performer) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
}

// Closed returns facts.ErrClosed after Close, otherwise nil.
func (p *performer) Closed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return facts.ErrClosed
	}
	return nil
}

// enter adds one to the running changes. It returns facts.ErrClosed after Close.
func (p *performer) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return facts.ErrClosed
	}
	p.running.Add(1)
	return nil
}
