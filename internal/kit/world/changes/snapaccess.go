package changes

import (
	"context"
	"fmt"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A Caller is a snap that makes an access through snapctl.
type Caller struct {
	Snap string
	Hook *Context      // the hook that calls; nil for apps and services
	Wait time.Duration // longest wait for the turn; negative means the default
}

func (m *Manager) waitOf(from Caller) time.Duration {
	if from.Wait < 0 && from.Hook != nil && from.Hook.Hook == "configure" {
		return m.options.AccessTimeout / 2
	}
	return from.Wait
}

// GetFor returns the values that a snap reads outside of a transaction: the stored ones as load-view and query-view
// hooks change them. If one of these hooks fails, it returns the stored values and no error, as snapd does.
func (m *Manager) GetFor(ctx context.Context, from Caller, id backend.ViewID, requests []string,
	options confdb.ReadOptions) (*confdb.Schema, databag.Bag, error) {
	read, err := m.planRead(ctx, id, from.Snap, requests, m.waitOf(from), options)
	if err != nil {
		m.events.report(Event{Kind: Refused, Time: m.options.Now(), View: id, By: from.Snap, Read: true, Requests: requests, Err: err.Error()})
		return nil, databag.Bag{}, err
	}
	t := read.tx
	if len(read.tasks) == 0 {
		t.access.Direct = true
		now := m.options.Now()
		m.events.later(t.endEvent("", now, now, nil))
		t.release()
		m.events.flush()
		return t.schema, t.before, nil
	}
	failed, err := m.carryOut(ctx, from, read)
	if err != nil {
		return nil, databag.Bag{}, err
	}
	if failed {
		return t.schema, t.before, nil
	}
	return t.schema, t.staged(), nil
}

// SetFor writes values for a snap outside of a transaction, and waits for the end. If a hook refuses, it returns no error, as snapd
// does.
func (m *Manager) SetFor(ctx context.Context, from Caller, id backend.ViewID, values map[string]any) error {
	write, err := m.planWrite(ctx, id, from.Snap, values, m.waitOf(from), true)
	if err != nil {
		m.events.report(Event{Kind: Refused, Time: m.options.Now(), View: id, By: from.Snap, Values: values, Err: err.Error()})
		return err
	}
	_, err = m.carryOut(ctx, from, write)
	return err
}

// carryOut runs a transaction of a snap and waits for its end: as a change of its own or, if a hook makes the access, as part of the
// hook's change. failed reports whether the transaction has failed.
func (m *Manager) carryOut(ctx context.Context, from Caller, p plan) (failed bool, err error) {
	ended := make(chan error, 1)
	p.ended = func(err error) { ended <- err }
	var c *change
	if from.Hook != nil {
		c = from.Hook.change
		m.join(c, p)
	} else if c, err = m.begin(p); err != nil {
		return false, err
	}
	limit := time.NewTimer(m.options.WriteLimit)
	defer limit.Stop()
	select {
	case err := <-ended:
		m.events.flush()
		return err != nil, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-limit.C:
		verb := "write"
		if p.tx.access.Read {
			verb = "read"
		}
		return false, fmt.Errorf("cannot %s confdb view %s: timed out (%s) waiting for change %s", verb, p.tx.view, m.options.WriteLimit, c.ID)
	}
}
