package world

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
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

// A Change is snapd's record of something that is under way or over.
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
	// Affects is the snap that a step of its life is about, "" for other steps.
	Affects string `json:"affects,omitempty"`
}

type change struct {
	Change
	Undo     []undo             `json:"undo,omitempty"` // what it has done so far, while it is not ready
	undoable []bool             // by task
	joined   sync.WaitGroup     // transactions that hooks of it began
	life     context.Context    // of its tasks; ends when one of them fails
	abort    context.CancelFunc // ends life
	unwound  bool               // one of them has failed, or somebody aborted it: what was done is put back
	cleanup  func() error       // called when it is over
}

// Change returns a change by its ID.
func (w *World) Change(id string) (Change, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.find(id)
	if err != nil {
		return Change{}, err
	}
	return c.copied(), nil
}

func (w *World) find(id string) (*change, error) {
	for _, c := range w.state.Changes {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("cannot find change with id %q", id)}
}

// Changes returns all changes, oldest first.
func (w *World) Changes() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	list := make([]Change, 0, len(w.state.Changes))
	for _, c := range w.state.Changes {
		list = append(list, c.copied())
	}
	return list
}

func (c *change) copied() Change {
	copied := c.Change
	copied.Tasks = slices.Clone(c.Tasks)
	for i, task := range copied.Tasks {
		copied.Tasks[i].Log = slices.Clone(task.Log)
	}
	copied.Data = maps.Clone(c.Data)
	return copied
}

// Wait waits until a change is ready and returns it.
func (w *World) Wait(ctx context.Context, id string) (Change, error) {
	for {
		w.mu.Lock()
		c, err := w.find(id)
		if err != nil {
			w.mu.Unlock()
			return Change{}, err
		}
		if c.Ready {
			defer w.mu.Unlock()
			return c.copied(), nil
		}
		moved := w.moved
		w.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// spawn records a change. The caller has the lock.
func (w *World) spawn(kind, summary string) *change {
	w.prune()
	w.state.LastChange++
	c := &change{Change: Change{ID: strconv.Itoa(w.state.LastChange), Kind: kind, Summary: summary, Status: Do,
		Spawned: w.options.Now()}}
	w.state.Changes = append(w.state.Changes, c)
	return c
}

// add adds a task to a change and returns its index.
func (w *World) add(c *change, t task) int {
	w.state.LastTask++
	c.undoable = append(c.undoable, t.undone)
	c.Tasks = append(c.Tasks, Task{ID: strconv.Itoa(w.state.LastTask), Kind: t.kind, Summary: t.summary, Status: Do,
		Spawned: w.options.Now(), Affects: t.affects})
	return len(c.Tasks) - 1
}

// move gives a change another status and tells those that wait.
func (w *World) move(c *change, status string) {
	if c.Status == status {
		return
	}
	c.Status = status
	w.note(c)
	w.wake()
}

func (w *World) wake() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// outcomes are the statuses of tasks of which a change that is over gets the first that one of them has.
var outcomes = []string{Failed, Undone, Done, Hold}

// finish ends a change with what its tasks came to.
func (w *World) finish(c *change) {
	status := Done
	for _, status = range outcomes {
		if slices.ContainsFunc(c.Tasks, func(t Task) bool { return t.Status == status }) {
			break
		}
	}
	if len(c.Tasks) == 0 {
		status = Done
	}
	var failed []string
	for _, task := range c.Tasks {
		if task.Status != Failed {
			continue
		}
		for _, line := range task.Log {
			if _, text, found := strings.Cut(line, " ERROR "); found {
				failed = append(failed, fmt.Sprintf("- %s (%s)", task.Summary, text))
			}
		}
	}
	if failed != nil {
		c.Err = "cannot perform the following tasks:\n" + strings.Join(failed, "\n")
	}
	c.Ready, c.Ended = true, w.options.Now()
	c.Status = status
	w.note(c)
	w.wake()
}

// end gives a task its last status.
func (w *World) endTask(c *change, task int, status string) {
	c.Tasks[task].Status = status
	if c.Tasks[task].Ended.IsZero() {
		c.Tasks[task].Ended = w.options.Now()
	}
}

// log adds a line to a task's log.
func (w *World) log(c *change, task int, level, text string) {
	line := w.options.Now().UTC().Format(time.RFC3339) + " " + level + " " + text
	c.Tasks[task].Log = append(c.Tasks[task].Log, line)
}

// interrupt ends a change whose process has gone.
func (c *change) interrupt(now time.Time) {
	if c.Ready {
		return
	}
	const cause = "the imitated machine was stopped meanwhile"
	var failed []string
	for i := range c.Tasks {
		switch task := &c.Tasks[i]; task.Status {
		case Do:
			task.Status = Hold
		case Doing:
			task.Status = Failed
			task.Log = append(task.Log, now.UTC().Format(time.RFC3339)+" ERROR "+cause)
			failed = append(failed, fmt.Sprintf("- %s (%s)", task.Summary, cause))
		}
	}
	c.Ready, c.Status, c.Ended = true, Failed, now
	c.Err = "cannot perform the following tasks:\n" + strings.Join(failed, "\n")
}

// prune forgets ready changes that are old, or too many.
func (w *World) prune() {
	now := w.options.Now()
	ready := 0
	for _, c := range w.state.Changes {
		if c.Ready {
			ready++
		}
	}
	w.state.Changes = slices.DeleteFunc(w.state.Changes, func(c *change) bool {
		ended := c.Ended
		if ended.IsZero() {
			ended = c.Spawned
		}
		gone := c.Ready && (now.Sub(ended) > keepFor || ready > w.options.KeepChanges)
		if gone {
			ready--
		}
		return gone
	})
}
