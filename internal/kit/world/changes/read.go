package changes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// Get begins to read request paths through a view, as GET does; no requests are the whole view. It returns the ID of the
// change whose Data will have "values", or "error" where nothing is stored. The change is ready at once unless a custodian has
// load-view or query-view hooks. If Get returns an *facts.Error there is no such change.
func (m *Manager) Get(ctx context.Context, id backend.ViewID, requests []string, access Access) (string, error) {
	c, err := m.get(ctx, id, requests, access)
	if err != nil {
		m.events.report(Event{Kind: Refused, Time: m.options.Now(), View: id, Read: true, Requests: requests, Err: err.Error()})
		return "", err
	}
	m.events.flush()
	return c.ID, nil
}

func (m *Manager) get(ctx context.Context, id backend.ViewID, requests []string, access Access) (*record, error) {
	if err := m.checkEnabled(); err != nil {
		return nil, err
	}
	options := confdb.ReadOptions{Constraints: access.Constraints}
	read, err := m.planRead(ctx, id, "", requests, access.wait(), options)
	if err != nil {
		return nil, refusal(err, true)
	}
	t := read.tx
	if len(read.tasks) == 0 {
		defer t.release()
		data, err := t.result(requests, options)
		if err != nil {
			m.addHeld(read.kind, read.summary) // snapd leaves such a change behind
			return nil, refusal(err, true)
		}
		var c *record
		_ = m.facts.Apply(func(d *facts.Draft) { c = bookOf(d).addReady(read.kind, read.summary, data) }) // a full disk prevents no read
		t.access.Direct = true
		m.events.later(t.endEvent(c.ID, c.Spawned, m.options.Now(), nil))
		return c, nil
	}
	read.tasks = append(read.tasks, task{kind: "load-confdb-change", summary: "Load confdb data into the change",
		do: func(_ context.Context, c *change) error {
			data, err := t.result(requests, options)
			if err == nil {
				m.setData(c.record, data)
			}
			return err
		}})
	c, err := m.begin(read)
	if err != nil {
		return nil, err
	}
	return c.record, nil
}

// result returns the data for the change of a read: the values of the transaction, or the error that there are none.
func (t *transaction) result(requests []string, options confdb.ReadOptions) (map[string]any, error) {
	values, err := t.schema.Read(t.staged(), t.view.View, requests, options)
	if err = t.schema.DaemonError(t.view.View, requests, options, err); err == nil {
		return map[string]any{"values": values}, nil
	}
	if refused := (*confdb.Error)(nil); errors.As(err, &refused) && refused.Kind == confdb.NoData {
		return map[string]any{"error": map[string]any{"kind": facts.KindOptionNotFound, "message": refused.Message}}, nil
	}
	return nil, err
}

// planRead waits for the turn at the confdb, makes all checks that snapd makes before it reads, and plans the change, on the
// facts of one moment. The plan has no tasks if no hook runs. The error is an *facts.Error, or one of the engine.
func (m *Manager) planRead(ctx context.Context, id backend.ViewID, by string, requests []string, wait time.Duration,
	options confdb.ReadOptions) (plan, error) {
	if _, err := m.facts.Now().Schema(id); err != nil { // without a wait for the turn
		return plan{}, err
	}
	release, err := m.waitAccess(ctx, id, by, false, wait)
	if err != nil {
		return plan{}, err
	}
	now := m.facts.Now()
	custodians := now.Custodians(id)
	t, err := checkRead(now, custodians, id, by, requests, options)
	if err != nil {
		release()
		return plan{}, err
	}
	t.release = release
	return plan{kind: "get-confdb", summary: fmt.Sprintf("Get confdb through %q", id), tx: t,
		tasks: m.readTasks(now, custodians, t)}, nil
}

func checkRead(now *facts.Facts, custodians []facts.Connection, id backend.ViewID, by string, requests []string,
	options confdb.ReadOptions) (*transaction, error) {
	schema, err := now.Schema(id)
	if err != nil {
		return nil, err
	}
	if len(custodians) == 0 {
		return nil, internal(fmt.Sprintf("cannot read confdb view %s: no custodian snap connected", id))
	}
	ephemeral, err := schema.ReadsEphemeral(id.View, requests, options)
	if err != nil {
		return nil, err
	}
	if ephemeral && !anyHas(now, custodians, "load-view-") {
		return nil, internal(fmt.Sprintf("cannot schedule tasks to read view %s: read might cover ephemeral data but no "+
			"custodian has a load-view hook", id))
	}
	return newTransaction(id, schema, by, now.Bag(schema.ID()), Event{Read: true, Requests: requests}), nil
}

// readTasks plans a read: load-view hooks of the custodians, then their query-view hooks; nothing if there are none.
func (m *Manager) readTasks(now *facts.Facts, custodians []facts.Connection, t *transaction) []task {
	var hooks []task
	for _, kind := range []string{"load", "query"} {
		for _, at := range custodians {
			if now.HasHook(at.Snap, kind+"-view-"+at.Plug) {
				hooks = append(hooks, m.viewHook(t, at, kind))
			}
		}
	}
	if hooks == nil {
		return nil
	}
	return append(append([]task{clearOnError}, hooks...), clearAtEnd)
}
