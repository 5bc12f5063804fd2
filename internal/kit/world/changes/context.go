package changes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A Context is a running hook. It decides what the hook may do, and records what the hook has requested through snapctl.
type Context struct {
	Snap, Hook string

	change *change
	tx     *transaction // nil for hooks that are not a view's
	life   context.Context
	calls  sync.WaitGroup // running calls of snapctl: on snapd they outlive their caller, and the hook ends after them

	mu       sync.Mutex     // guards what follows until calls have ended
	set      *set           // the last one
	sets     []Assignment   // for the hook's event
	gets     []Lookup       // for the hook's event
	rejected string         // the reason given to fail
	config   map[string]any // options that are stored when the hook has ended
	actions  []Action       // for services; performed when the hook has ended
}

// contexts are the running hooks by cookie.
type contexts struct {
	mu       sync.Mutex // guards byCookie
	byCookie map[string]*Context
}

func (c *contexts) add(h *Context) (cookie string) {
	cookie = facts.NewCookie()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byCookie[cookie] = h
	return cookie
}

func (c *contexts) remove(cookie string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byCookie, cookie)
}

// EnterHook returns the running hook with a cookie, or nil if there is none. The hook does not end before leave is called.
func (p *performer) EnterHook(cookie string) (h *Context, leave func()) {
	p.contexts.mu.Lock()
	defer p.contexts.mu.Unlock()
	h = p.contexts.byCookie[cookie]
	if h == nil {
		return nil, func() {}
	}
	h.calls.Add(1)
	return h, h.calls.Done
}

// Life returns the context that ends when the hook is killed. On snapd a call of snapctl outlives the program that calls.
func (h *Context) Life() context.Context { return h.life }

// Is reports whether this is a view's hook of one of the kinds, such as "change".
func (h *Context) Is(kinds ...string) bool {
	for _, kind := range kinds {
		if h != nil && h.tx != nil && strings.HasPrefix(h.Hook, kind+"-view-") {
			return true
		}
	}
	return false
}

// Within reports whether an access belongs to the transaction of the hook. It returns an error if the transaction is at another
// confdb-schema. verb is "read" or "write". h may be nil.
func (h *Context) Within(id backend.ViewID, verb string) (bool, error) {
	if h == nil || h.tx == nil {
		return false, nil
	}
	if h.tx.id() != id.Account+"/"+id.Schema {
		return false, fmt.Errorf("cannot %s confdb view %s: ongoing transaction for %s", verb, id, h.tx.id())
	}
	return true, nil
}

// Reads records a read of the hook through a view of its transaction. Call refused if the read is refused.
func (h *Context) Reads(view string, requests []string) (refused func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := len(h.gets)
	h.gets = append(h.gets, Lookup{View: view, Requests: requests})
	return func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.gets[i].Err = err.Error()
	}
}

// Values returns the schema and the values that the hook reads: those of its transaction without its own sets or, with previous, those
// before the transaction. It returns an error after the hook has rejected the transaction.
func (h *Context) Values(now *facts.Facts, previous bool) (*confdb.Schema, databag.Bag, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.rejected != "":
		return nil, databag.Bag{}, errors.New("cannot read from aborted transaction")
	case previous:
		return h.tx.schema, h.tx.before, nil
	case h.tx.committed():
		return h.tx.schema, now.Bag(h.tx.id()), nil
	default:
		return h.tx.schema, h.tx.staged(), nil
	}
}

// Stage records a set or unset of a hook of a view.
func (h *Context) Stage(view string, values map[string]any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.Is("change", "load", "query") {
		return fmt.Errorf("cannot modify confdb in %q hook", h.Hook)
	}
	if h.rejected != "" {
		return errors.New("cannot write to aborted transaction")
	}
	h.set = h.tx.try(view, values) // replaces an earlier set
	assigned := Assignment{View: view, Values: values}
	if h.set.refused != nil {
		assigned.Err = h.set.refused.Error()
	}
	h.sets = append(h.sets, assigned)
	return h.set.refused
}

// Reject makes the transaction fail with a reason when the hook has ended.
func (h *Context) Reject(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rejected = reason
}

// Options returns the options of the hook's snap with those that the hook has set.
func (h *Context) Options(now *facts.Facts) (map[string]any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return facts.Patched(now.Config(h.Snap), h.config)
}

// Configure records options to be stored when the hook has ended.
func (h *Context) Configure(now *facts.Facts, values map[string]any) error {
	if _, err := facts.Patched(now.Config(h.Snap), values); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.config == nil {
		h.config = map[string]any{}
	}
	maps.Copy(h.config, values)
	return nil
}

// Defer records what is to be done with a service when the hook has ended.
func (h *Context) Defer(action Action) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.actions = append(h.actions, action)
}

// event returns the event of a hook that has ended.
func (h *Context) event(now time.Time, err error) Event {
	e := Event{Kind: HookRan, Time: now, Change: h.change.ID, Snap: h.Snap, Hook: h.Hook, Sets: h.sets, Gets: h.gets}
	if h.tx != nil {
		e.View, e.By, e.Read = h.tx.view, h.tx.by, h.tx.access.Read
	}
	if err != nil {
		e.Err, e.Rejected = err.Error(), h.rejected
	}
	return e
}
