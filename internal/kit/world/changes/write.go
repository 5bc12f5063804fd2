package changes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// Access are options of a read or write of the administrator over snapd's REST API. The zero value waits as long as snapd does, and
// has no constraints.
type Access struct {
	Constraints map[string]any // of a read: parameter or placeholder -> scalar
	// Timeout is the longest wait for other accesses to the confdb, at least 0; nil means 10 min.
	Timeout *time.Duration
}

func (a Access) wait() time.Duration {
	if a.Timeout == nil {
		return -1
	}
	return *a.Timeout
}

// Set begins to write values through a view, as PUT does, and returns the ID of the change, in which hooks may still refuse.
// nil unsets. If it returns an *facts.Error there is no change.
func (m *Manager) Set(ctx context.Context, id backend.ViewID, values map[string]any, access Access) (string, error) {
	c, err := m.set(ctx, id, values, access)
	if err != nil {
		err = refusal(err, false)
		m.events.report(Event{Kind: Refused, Time: m.options.Now(), View: id, Values: values, Err: err.Error()})
		return "", err
	}
	return c.ID, nil
}

func (m *Manager) set(ctx context.Context, id backend.ViewID, values map[string]any, access Access) (*change, error) {
	if err := m.checkEnabled(); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, badRequest("cannot write confdb: request body contains no values")
	}
	write, err := m.planWrite(ctx, id, "", values, access.wait(), false)
	if err != nil {
		return nil, err
	}
	return m.begin(write)
}

func (p *performer) checkEnabled() error {
	if err := p.Closed(); err != nil {
		return err
	}
	if !p.facts.Now().Enabled() {
		return badRequest(`feature flag "confdb" is disabled: set 'experimental.confdb' to true`)
	}
	return nil
}

// planWrite waits for the turn at the confdb, makes all checks that snapd makes before there is a change, and plans the change,
// on the facts of one moment. It returns an *facts.Error, or one of the engine.
func (m *Manager) planWrite(ctx context.Context, id backend.ViewID, by string, values map[string]any, wait time.Duration,
	exact bool) (plan, error) {
	if _, err := m.facts.Now().Schema(id); err != nil { // without a wait for the turn
		return plan{}, err
	}
	release, err := m.waitAccess(ctx, id, by, true, wait)
	if err != nil {
		return plan{}, err
	}
	now := m.facts.Now()
	t, err := checkWrite(now, id, by, values, exact)
	if err != nil {
		release()
		return plan{}, err
	}
	t.release = release
	return plan{kind: "set-confdb", summary: fmt.Sprintf("Set confdb through %q", id), tx: t,
		tasks: m.writeTasks(now, t)}, nil
}

func checkWrite(now *facts.Facts, id backend.ViewID, by string, values map[string]any, exact bool) (*transaction, error) {
	schema, err := now.Schema(id)
	if err != nil {
		return nil, err
	}
	custodians := now.Custodians(id)
	t := newTransaction(id, schema, by, now.Bag(schema.ID()), Event{Values: values})
	t.tx.Exact = exact
	if err := t.tx.Write(id.View, values); err != nil {
		return nil, err
	}
	if len(custodians) == 0 {
		return nil, internal(fmt.Sprintf("cannot write confdb view %s: no custodian snap connected", id))
	}
	ephemeral, err := t.tx.Ephemeral()
	if err != nil {
		return nil, err
	}
	if ephemeral && !anyHas(now, custodians, "save-view-") {
		return nil, internal(fmt.Sprintf("cannot write confdb view %s: write might change ephemeral data but no custodians "+
			"has a save-view hook", id))
	}
	t.written = t.tx.Altered()
	return t, nil
}

// anyHas reports whether a snap has the hook of this kind for its plug.
func anyHas(now *facts.Facts, plugs []facts.Connection, prefix string) bool {
	return slices.ContainsFunc(plugs, func(c facts.Connection) bool { return now.HasHook(c.Snap, prefix+c.Plug) })
}

// The tasks at the beginning and the end of each transaction.
var (
	clearOnError = task{kind: "clear-confdb-tx-on-error", undone: true,
		summary: "Clears the ongoing confdb transaction from state (on error)"}
	clearAtEnd = task{kind: "clear-confdb-tx", summary: "Clears the ongoing confdb transaction from state"}
)

// writeTasks plans a write as snapd 2.77 does: change-view and save-view hooks of the custodians, commit, observe-view hooks of
// snaps whose views may show what was written, except for the snap that writes.
func (m *Manager) writeTasks(now *facts.Facts, t *transaction) []task {
	tasks := []task{clearOnError}
	custodians := now.Custodians(t.view)
	for _, at := range custodians {
		if now.HasHook(at.Snap, "change-view-"+at.Plug) {
			tasks = append(tasks, m.viewHook(t, at, "change"))
		}
	}
	var saved []facts.Connection // whose save-view hook has begun
	for _, at := range custodians {
		if !now.HasHook(at.Snap, "save-view-"+at.Plug) {
			continue
		}
		save := m.viewHook(t, at, "save")
		run := save.do
		save.do = func(ctx context.Context, c *change) error {
			saved = append(saved, at)
			return run(ctx, c)
		}
		save.recover = func() []task {
			t.reset()
			var again []task
			for _, at := range slices.Backward(saved) {
				again = append(again, m.viewHook(t, at, "save"))
			}
			return again
		}
		tasks = append(tasks, save)
	}
	savers := anyHas(now, custodians, "save-view-")
	tasks = append(tasks, task{kind: "commit-confdb-tx", summary: fmt.Sprintf("Commit changes to confdb (%s)", t.view),
		do: func(_ context.Context, c *change) error { return m.commit(c, t, savers) }})
	for _, at := range observers(now, t) {
		observe := m.viewHook(t, at, "observe")
		observe.tolerant = ignoring(observe.hook)
		tasks = append(tasks, observe)
	}
	return append(tasks, clearAtEnd)
}

// viewHook plans a hook of a transaction, such as change-view-PLUG.
func (p *performer) viewHook(t *transaction, at facts.Connection, kind string) task {
	name := kind + "-view-" + at.Plug
	return hookTask(at.Snap, name, func(ctx context.Context, c *change) error { return p.runHook(ctx, c, at.Snap, name, t) })
}

// observers returns the connected plugs, of other snaps than the one that writes, whose views may show what it has written.
func observers(now *facts.Facts, t *transaction) []facts.Connection {
	affected := t.schema.Affected(t.written)
	return slices.DeleteFunc(now.Connections(), func(c facts.Connection) bool {
		id, ok := c.Plugged.ID()
		return !ok || id.Account != t.view.Account || id.Schema != t.view.Schema || !slices.Contains(affected, id.View) ||
			t.by != "" && c.Snap == t.by
	})
}

// refusal turns an error of the engine into one of snapd's REST API. read reports whether the access was a read.
func refusal(err error, read bool) error {
	var refused *confdb.Error
	if !errors.As(err, &refused) {
		return err
	}
	e := &facts.Error{Status: http.StatusInternalServerError, Message: refused.Message}
	switch refused.Kind {
	case confdb.NoView, confdb.NoMatch:
		e.Status, e.Kind = http.StatusBadRequest, facts.KindOptionNotAvailable
	case confdb.NoData:
		e.Status, e.Kind = http.StatusBadRequest, facts.KindOptionNotFound
	case confdb.UnconstrainedParams, confdb.UnmatchedConstraints:
		e.Status = http.StatusBadRequest
	case confdb.BadRequest:
		if !read {
			e.Status = http.StatusBadRequest
		}
	}
	return e
}
