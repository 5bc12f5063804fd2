package changes

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"aspects-poc/internal/kit/world/facts"
)

// The statuses of changes and tasks, as snapd names them.
const (
	Do     = "Do"
	Doing  = "Doing"
	Done   = "Done"
	Hold   = "Hold"
	Undone = "Undone"
	Failed = "Error"
)

// A Change is snapd's record of an act, running or ended.
type Change struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"` // "set-confdb", "get-confdb", "install-snap", …
	Summary string         `json:"summary"`
	Status  string         `json:"status"`
	Ready   bool           `json:"ready"`
	Err     string         `json:"err,omitempty"`
	Spawned time.Time      `json:"spawn-time"`
	Ended   time.Time      `json:"ready-time,omitzero"`
	Tasks   []Task         `json:"tasks,omitempty"`
	Data    map[string]any `json:"data,omitempty"` // of a read: "values", or "error" with kind and message; of a snap's life: "snap-names"
}

// A Task is a step of a change.
type Task struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // "run-hook", "commit-confdb-tx", …
	Summary string    `json:"summary"`
	Status  string    `json:"status"`
	Log     []string  `json:"log,omitempty"`
	Spawned time.Time `json:"spawn-time"`
	Ended   time.Time `json:"ready-time,omitzero"`
	// Affects is the snap that the step installs or removes; "" for other steps.
	Affects string `json:"affects,omitempty"`
}

// Records has the changes and notices of a machine. It runs nothing. It is safe for concurrent use. Its state is the journal of a
// facts.Store, under the store's lock, so that a change and its effects on the facts are stored together.
type Records struct{ store *facts.Store }

// newRecords reads the records in state.json, and undoes unfinished changes.
func newRecords(store *facts.Store, options Options) (*Records, error) {
	b := &book{now: options.Now, limit: options.KeepChanges, moved: make(chan struct{})}
	if err := store.SetJournal(b); err != nil {
		return nil, err
	}
	for _, c := range slices.Backward(b.Changes) {
		if !c.Ready {
			store.Amend(func(d *facts.Draft) { d.Undo(c.takeUndo()) })
			c.interrupt(b.now())
		}
	}
	for _, notice := range b.Notices {
		if notice.LastOccurred.After(b.clock) {
			b.clock = notice.LastOccurred
		}
	}
	return &Records{store}, nil
}

// open returns the book, which belongs to the caller until done is called.
func (r *Records) open() (b *book, done func()) {
	journal, unlock := r.store.Lock()
	return journal.(*book), unlock
}

// Change returns a change. It returns an *facts.Error if there is none with the ID.
func (r *Records) Change(id string) (Change, error) {
	b, done := r.open()
	defer done()
	c, err := b.find(id)
	if err != nil {
		return Change{}, err
	}
	return c.copied(), nil
}

// Changes returns all changes, oldest first.
func (r *Records) Changes() []Change {
	b, done := r.open()
	defer done()
	b.prune()
	list := make([]Change, 0, len(b.Changes))
	for _, c := range b.Changes {
		list = append(list, c.copied())
	}
	return list
}

// Wait waits until a change is ready and returns it.
func (r *Records) Wait(ctx context.Context, id string) (Change, error) {
	for {
		c, moved, err := r.current(id)
		if err != nil || c.Ready {
			return c, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// current returns a change, and a channel that is closed when the status of a change next changes.
func (r *Records) current(id string) (Change, <-chan struct{}, error) {
	b, done := r.open()
	defer done()
	c, err := b.find(id)
	if err != nil {
		return Change{}, nil, err
	}
	return c.copied(), b.moved, nil
}

// Abort ends a change as `snap abort` does: it kills the running hook and undoes the tasks, as when a hook fails. It
// returns before that is done.
func (r *Records) Abort(id string) (Change, error) {
	b, done := r.open()
	defer done()
	c, err := b.find(id)
	if err != nil {
		return Change{}, err
	}
	if c.Ready {
		return Change{}, facts.BadRequest(fmt.Sprintf("cannot abort change %s with nothing pending", id))
	}
	if c.abort != nil {
		c.abort()
	}
	return c.copied(), nil
}

// addHeld records a change whose tasks never run. snapd leaves one behind when a read without hooks fails.
func (r *Records) addHeld(kind, summary string) {
	b, done := r.open()
	defer done()
	c := b.add(kind, summary)
	c.Ready, c.Status = true, Hold
}

// start records that a change runs.
func (r *Records) start(c *record) {
	b, done := r.open()
	defer done()
	b.move(c, Doing)
}

// plan adds tasks to a change and returns their numbers.
func (r *Records) plan(c *record, tasks []task) []int {
	b, done := r.open()
	defer done()
	return b.plan(c, tasks)
}

// setData sets the data of a change.
func (r *Records) setData(c *record, data map[string]any) {
	_, done := r.open()
	defer done()
	c.Data = data
}

// doing records that a task runs.
func (r *Records) doing(c *record, task int) {
	b, done := r.open()
	defer done()
	c.Tasks[task].Status = Doing
	b.move(c, Doing)
}

// done records the last status of a task, and the errors that the task has survived. Both appear at once, since the snap command
// prints the log of a running task.
func (r *Records) done(c *record, task int, status string, survived ...string) {
	b, done := r.open()
	defer done()
	b.logErrors(c, task, survived)
	b.done(c, task, status)
}

// fail records that a task has failed, and with it the change. survived are the errors that the task has survived before.
func (r *Records) fail(c *record, task int, err error, survived ...string) {
	b, done := r.open()
	defer done()
	b.logErrors(c, task, append(survived, err.Error()))
	b.done(c, task, Failed)
	b.unwind(c)
}

// unwind records, for a change that fails, which tasks are undone and which are held back.
func (r *Records) unwind(c *record) {
	b, done := r.open()
	defer done()
	b.unwind(c)
}

// A record is a change with the state that only this package uses.
type record struct {
	Change
	Undo     []facts.Undo       `json:"undo,omitempty"` // undoes what the change has done so far; none once it is ready
	undoable []bool             // by task
	unwound  bool               // a task has failed, or somebody aborted the change
	abort    context.CancelFunc // ends the tasks; nil before the start
}

func (c *record) copied() Change {
	copied := c.Change
	copied.Tasks = slices.Clone(c.Tasks)
	for i, task := range copied.Tasks {
		copied.Tasks[i].Log = slices.Clone(task.Log)
	}
	copied.Data = maps.Clone(c.Data)
	return copied
}

func (c *record) takeUndo() []facts.Undo {
	undos := c.Undo
	c.Undo = nil
	return undos
}

func noChange(id string) error {
	return &facts.Error{Status: http.StatusNotFound, Message: fmt.Sprintf("cannot find change with id %q", id)}
}
