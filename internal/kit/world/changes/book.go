package changes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/kit/world/facts"
)

// A journal is the changes and notices as state.json has them.
type journal struct {
	Changes    []*record `json:"changes"` // oldest first
	LastChange int       `json:"last-change"`
	LastTask   int       `json:"last-task"`
	Notices    []*Notice `json:"notices"`
	LastNotice int       `json:"last-notice"`
}

// A book is the journal of a running machine. Use it only with the store's lock: Records.open and bookOf return it.
type book struct {
	journal
	now   func() time.Time
	limit int           // of ready changes
	clock time.Time     // of the last notice
	moved chan struct{} // closed and replaced whenever the status of a change changes
}

// bookOf returns the book during an update.
func bookOf(d *facts.Draft) *book { return d.Journal.(*book) }

// keepFor is the age at which a ready change is removed.
const keepFor = 24 * time.Hour

func (b *book) find(id string) (*record, error) {
	for _, c := range b.Changes {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, noChange(id)
}

func (b *book) add(kind, summary string) *record {
	b.prune()
	b.LastChange++
	c := &record{Change: Change{ID: strconv.Itoa(b.LastChange), Kind: kind, Summary: summary, Status: Do, Spawned: b.now()}}
	b.Changes = append(b.Changes, c)
	return c
}

// addPlan adds a change with its tasks. abort ends them.
func (b *book) addPlan(p plan, abort context.CancelFunc) (c *record, numbers []int) {
	c = b.add(p.kind, p.summary)
	c.Data, c.abort = p.data, abort
	return c, b.plan(c, p.tasks)
}

// addReady adds a change that has ended at once.
func (b *book) addReady(kind, summary string, data map[string]any) *record {
	c := b.add(kind, summary)
	c.Data = data
	b.finish(c)
	return c
}

// remove removes a change. Its ID is not used again.
func (b *book) remove(c *record) {
	b.Changes = slices.DeleteFunc(b.Changes, func(other *record) bool { return other == c })
}

// plan adds tasks to a change and returns their numbers.
func (b *book) plan(c *record, tasks []task) []int {
	numbers := make([]int, len(tasks))
	for i, t := range tasks {
		b.LastTask++
		numbers[i] = len(c.Tasks)
		c.undoable = append(c.undoable, t.undone)
		c.Tasks = append(c.Tasks, Task{ID: strconv.Itoa(b.LastTask), Kind: t.kind, Summary: t.summary, Status: Do,
			Spawned: b.now(), Affects: t.affects})
	}
	return numbers
}

// prune removes ready changes that are old or too many.
func (b *book) prune() {
	now := b.now()
	ready := 0
	for _, c := range b.Changes {
		if c.Ready {
			ready++
		}
	}
	b.Changes = slices.DeleteFunc(b.Changes, func(c *record) bool {
		ended := c.Ended
		if ended.IsZero() {
			ended = c.Spawned
		}
		gone := c.Ready && (now.Sub(ended) > keepFor || ready > b.limit)
		if gone {
			ready--
		}
		return gone
	})
}

// move sets the status of a change, adds a notice, and wakes the waiting calls.
func (b *book) move(c *record, status string) {
	if c.Status != status {
		c.Status = status
		b.moves(c)
	}
}

// moves adds a notice about a new status of a change, and wakes the waiting calls.
func (b *book) moves(c *record) {
	b.notify(c)
	close(b.moved)
	b.moved = make(chan struct{})
}

// notify adds a notice about a new status of a change. No two notices have the same time, so that clients can ask for later ones.
func (b *book) notify(c *record) {
	now := b.now().UTC()
	if !now.After(b.clock) {
		now = b.clock.Add(time.Nanosecond)
	}
	b.clock = now
	i := slices.IndexFunc(b.Notices, func(n *Notice) bool { return n.Type == changeUpdate && n.Key == c.ID })
	if i < 0 {
		b.LastNotice++
		b.Notices = slices.DeleteFunc(b.Notices, func(n *Notice) bool { return now.Sub(n.LastOccurred) > n.ExpireAfter })
		b.Notices = append(b.Notices, &Notice{ID: strconv.Itoa(b.LastNotice), Type: changeUpdate, Key: c.ID,
			FirstOccurred: now, ExpireAfter: noticesFor})
		i = len(b.Notices) - 1
	}
	n := b.Notices[i]
	n.LastOccurred, n.LastRepeated = now, now
	n.Occurrences++
	n.LastData = map[string]string{"kind": c.Kind}
}

func (b *book) done(c *record, task int, status string) {
	c.Tasks[task].Status = status
	if c.Tasks[task].Ended.IsZero() {
		c.Tasks[task].Ended = b.now()
	}
}

func (b *book) logErrors(c *record, task int, texts []string) {
	for _, text := range texts {
		c.Tasks[task].Log = append(c.Tasks[task].Log, errorLine(b.now(), text))
	}
}

func errorLine(at time.Time, text string) string {
	return at.UTC().Format(time.RFC3339) + " ERROR " + text
}

func (b *book) unwind(c *record) {
	c.abort()
	c.unwound = true
	for i, task := range c.Tasks {
		switch {
		case task.Status == Do:
			b.done(c, i, Hold)
		case task.Status == Done && c.undoable[i]:
			b.done(c, i, Undone)
		}
	}
}

// outcomes are the statuses of ended tasks. A change ends with the first of them that one of its tasks has.
var outcomes = []string{Failed, Undone, Done, Hold}

func (b *book) finish(c *record) {
	c.Status = Done
	for _, status := range outcomes {
		if slices.ContainsFunc(c.Tasks, func(t Task) bool { return t.Status == status }) {
			c.Status = status
			break
		}
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
		c.Err = allOf(failed)
	}
	c.Ready, c.Ended = true, b.now()
	b.moves(c)
}

// refail turns a change that has ended into one whose last task has failed.
func (b *book) refail(c *record, err error) {
	last := len(c.Tasks) - 1
	b.logErrors(c, last, []string{err.Error()})
	b.done(c, last, Failed)
	b.finish(c)
}

func allOf(failed []string) string {
	return "cannot perform the following tasks:\n" + strings.Join(failed, "\n")
}

// interrupt ends a change that an earlier process left unfinished.
func (c *record) interrupt(now time.Time) {
	const cause = "the imitated machine was stopped meanwhile"
	var failed []string
	for i := range c.Tasks {
		switch task := &c.Tasks[i]; task.Status {
		case Do:
			task.Status = Hold
		case Doing:
			task.Status = Failed
			task.Log = append(task.Log, errorLine(now, cause))
			failed = append(failed, fmt.Sprintf("- %s (%s)", task.Summary, cause))
		}
	}
	c.Ready, c.Status, c.Ended = true, Failed, now
	c.Err = allOf(failed)
}
