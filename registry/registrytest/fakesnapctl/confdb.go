package fakesnapctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/internal/snapctlcmd"
)

// A hookContext is what a hook's cookie stands for: a transaction, as far as it has come when the hook begins.
type hookContext struct {
	hook   string
	before databag.Bag // committed before the transaction
	staged databag.Bag

	// What the hook asked for; guarded by the server's mutex.
	view     string         // of the last set
	values   map[string]any // of the last set; nil for none
	poisoned error          // a set that was refused for its value stays in the transaction all the same
	rejected string         // the reason given to fail
}

func (h *hookContext) is(kinds ...string) bool {
	return h != nil && slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(h.hook, kind+"-view-") })
}

// target resolves the plug that a confdb command names, after all checks that come before the data.
func (s *Server) target(d snapctlcmd.Dialect, argument string, write bool) (Plug, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimPrefix(argument, ":")
	plug, found := s.plugs[name]
	if !found {
		return Plug{}, fmt.Errorf("cannot find plug :%s for snap %q", name, s.snap)
	}
	if plug.Interface != "confdb" {
		return Plug{}, fmt.Errorf("cannot use --view with non-%s plug :%s", d.Noun, name)
	}
	if !s.enabled {
		return Plug{}, errors.New(d.Disabled())
	}
	if d.Connected && !s.connected[name] {
		return Plug{}, fmt.Errorf("cannot access confdb through unconnected plug :%s", name)
	}
	if s.unknown || plug.Account != s.schema.Account || plug.Schema != s.schema.Name {
		return Plug{}, errors.New(d.UnknownSchema(plug.Account, plug.Schema))
	}
	if !slices.Contains(s.schema.Views(), plug.View) {
		return Plug{}, errors.New(d.UnknownView(plug.Account, plug.Schema, plug.View))
	}
	if needs := d.Readers || write && d.Hooks; needs && !s.custodian[plug.View] {
		return Plug{}, errors.New(d.NoCustodian(plug.id(), write))
	}
	return plug, nil
}

func (p Plug) id() string { return p.Account + "/" + p.Schema + "/" + p.View }

// take waits for this caller's turn at the confdb.
func (s *Server) take(ctx context.Context, d snapctlcmd.Dialect, plug Plug, write bool, wait time.Duration) error {
	if d.Refuses {
		select {
		case s.turn <- struct{}{}:
			return nil
		default:
			if write {
				return fmt.Errorf("cannot write confdb through view %s: ongoing transaction", plug.id())
			}
			return fmt.Errorf("cannot access confdb view %s: ongoing write transaction", plug.id())
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-timer.C:
		verb := "read"
		if write {
			verb = "write"
		}
		return fmt.Errorf("cannot %s %s: timed out waiting for access", verb, plug.id())
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) get(ctx context.Context, d snapctlcmd.Dialect, caller *hookContext, c *snapctlcmd.Command) (string, error) {
	keys := c.Positional[1:]
	switch {
	case c.Has("d") && c.Has("t"):
		return "", errors.New("cannot use -d and -t together")
	case c.Has("default") && len(keys) > 1:
		return "", errors.New("cannot use --default with more than one confdb request")
	}
	before := c.Has("previous") || c.Has("pristine")
	if before && !caller.is("change", "save", "observe") {
		return "", errors.New("cannot use --previous outside of save-view, change-view or observe-view hooks")
	}
	constraints, err := c.Constraints()
	if err != nil {
		return "", err
	}
	plug, err := s.target(d, c.Positional[0], false)
	if err != nil {
		return "", err
	}
	var bag databag.Bag
	switch {
	case caller == nil || !caller.is("change", "save", "observe", "load", "query"):
		if d.Refuses || d.Queues {
			if err := s.take(ctx, d, plug, false, c.Wait); err != nil {
				return "", err
			}
			defer func() { <-s.turn }()
		}
		if bag, err = s.load(plug.View); err != nil {
			s.change(func() { bag = s.bag }) // yes: a failing load-view hook is not told
		}
	default:
		s.mu.Lock()
		rejected := caller.rejected
		s.mu.Unlock()
		if rejected != "" {
			return "", errors.New("cannot read from aborted transaction")
		}
		if bag = caller.staged; before {
			bag = caller.before
		}
	}
	s.mu.Lock()
	options := confdb.ReadOptions{Constraints: constraints, Unprivileged: s.uid != 0 && d.Queues}
	s.mu.Unlock()
	if d.Lenient && len(keys) > 1 {
		keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
			_, err := s.schema.ReadsEphemeral(plug.View, []string{key}, options)
			var refused *confdb.Error
			return errors.As(err, &refused) && refused.Kind == confdb.NoMatch
		})
		if len(keys) == 0 {
			return "", fmt.Errorf("cannot get \"%s\" through %s: %s", strings.Join(c.Positional[1:], `", "`), s.schema.ID()+"/"+plug.View, d.NoData)
		}
	}
	if _, err := s.schema.ReadsEphemeral(plug.View, keys, options); err != nil {
		return "", errors.New(d.Reworded(err.Error()))
	}
	found, err := s.schema.Read(bag, plug.View, keys, options)
	var refused *confdb.Error
	if errors.As(err, &refused) && refused.Kind == confdb.NoData && c.Has("default") && len(keys) == 1 {
		value, err := c.Value(c.Flags["default"][0])
		if err != nil {
			return "", err
		}
		return c.Print(map[string]any{keys[0]: value}, keys)
	}
	if err != nil {
		return "", errors.New(d.Reworded(err.Error()))
	}
	document, ok := found.(map[string]any)
	if !ok {
		return snapctlcmd.Indented(found)
	}
	return c.Print(document, keys)
}

func (s *Server) set(ctx context.Context, d snapctlcmd.Dialect, caller *hookContext, c *snapctlcmd.Command) error {
	values, err := c.Pairs(c.Positional[1:])
	if err != nil {
		return fmt.Errorf("cannot set %s plug: %w", c.Positional[0], err)
	}
	return s.write(ctx, d, caller, c, values)
}

func (s *Server) unset(ctx context.Context, d snapctlcmd.Dialect, caller *hookContext, c *snapctlcmd.Command) error {
	values, err := c.Unset()
	if err != nil {
		return err
	}
	return s.write(ctx, d, caller, c, values)
}

func (s *Server) write(ctx context.Context, d snapctlcmd.Dialect, caller *hookContext, c *snapctlcmd.Command, values map[string]any) error {
	plug, err := s.target(d, c.Positional[0], true)
	if err != nil {
		return err
	}
	if caller != nil {
		return s.stage(d, caller, plug, values)
	}
	if err := s.take(ctx, d, plug, true, c.Wait); err != nil {
		return err
	}
	tx, err := s.begin(plug.View, values)
	if err != nil {
		<-s.turn
		return errors.New(d.Reworded(err.Error()))
	}
	s.mu.Lock()
	stall := s.stall
	s.lastID++
	id := s.lastID
	s.mu.Unlock()
	s.changes.Add(1)
	done := make(chan struct{})
	go func() {
		defer s.changes.Done()
		defer close(done)
		defer func() { <-s.turn }()
		if stall != nil {
			<-stall
		}
		// Whatever came of it: an app is told that it went well.
		_ = s.finish(tx, plug.View, false)
	}()
	if stall != nil && d.Queues {
		return fmt.Errorf("cannot write confdb view %s: timed out (2m0s) waiting for change %d", plug.id(), id)
	}
	<-done
	return nil
}

// begin applies values to what is stored, one after the other in random order.
func (s *Server) begin(view string, values map[string]any) (*confdb.Tx, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(s.bag, view, values)
}

func (s *Server) apply(bag databag.Bag, view string, values map[string]any) (*confdb.Tx, error) {
	tx := s.schema.Begin(bag)
	tx.Exact = true
	keys := sorted(values)
	s.random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		if err := tx.Write(view, map[string]any{key: values[key]}); err != nil {
			return nil, err
		}
	}
	return tx, nil
}

// load returns what a read through a view sees: what is stored, and what the load-view hook sets on top of it.
func (s *Server) load(view string) (databag.Bag, error) {
	var bag databag.Bag
	s.change(func() { bag = s.bag })
	if !s.current().Readers {
		return bag, nil
	}
	h, err := s.runHook("load-view-", view, bag, bag)
	if err != nil || h == nil || h.values == nil {
		return bag, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.apply(bag, h.view, h.values)
	if err != nil {
		return bag, err
	}
	return tx.Bag(), nil
}

// stage is a set or unset in a hook.
func (s *Server) stage(d snapctlcmd.Dialect, caller *hookContext, plug Plug, values map[string]any) error {
	if !caller.is("change", "load", "query") {
		return fmt.Errorf("cannot modify %s in %q hook", d.Noun, caller.hook)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if caller.rejected != "" {
		return errors.New("cannot write to aborted transaction")
	}
	if _, err := s.apply(caller.staged, plug.View, values); err != nil {
		caller.poisoned = err
		return errors.New(d.Reworded(err.Error()))
	}
	caller.view, caller.values = plug.View, values // what it had set before is lost
	return nil
}

func (s *Server) fail(caller *hookContext, c *snapctlcmd.Command) error {
	if !caller.is("change") {
		return errors.New(`cannot use "snapctl fail" outside of a "change-view" hook`)
	}
	if len(c.Positional) != 1 {
		return errors.New("the required argument `:fail-reason` was not provided")
	}
	s.change(func() { caller.rejected = c.Positional[0] })
	return nil
}

// finish runs a write's change: hooks, commit, observers. The caller holds the turn.
func (s *Server) finish(tx *confdb.Tx, view string, byAdministrator bool) error {
	d := s.current()
	var before databag.Bag
	s.change(func() { before = s.bag })
	if d.Hooks {
		h, err := s.runHook("change-view-", view, before, tx.Bag())
		if err != nil {
			return err
		}
		if h != nil && h.poisoned != nil {
			return errors.New(strings.TrimPrefix(h.poisoned.Error(), "cannot write data: "))
		}
		if h != nil && h.values != nil {
			if err := tx.Write(h.view, h.values); err != nil {
				return err
			}
		}
		if _, err := s.runHook("save-view-", view, before, tx.Bag()); err != nil {
			return err
		}
	}
	s.mu.Lock()
	err := s.badCommit
	if err == nil {
		var bag databag.Bag
		if bag, err = tx.Commit(s.bag); err == nil {
			s.bag = bag
		}
	}
	after := s.bag
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if byAdministrator && d.Readers {
		for _, affected := range s.schema.Affected(tx.Altered()) {
			_, _ = s.runHook("observe-view-", affected, before, after) // a failing observer is ignored
		}
	}
	return nil
}

// runHook runs the hook of each connected plug of a view and returns what the last one asked for, nil without a hook.
func (s *Server) runHook(prefix, view string, before, staged databag.Bag) (*hookContext, error) {
	s.mu.Lock()
	var hook Hook
	var name string
	for _, plug := range sorted(s.plugs) {
		if s.plugs[plug].View == view && s.connected[plug] && s.hooks[prefix+plug] != nil {
			hook, name = s.hooks[prefix+plug], prefix+plug
		}
	}
	if hook == nil {
		s.mu.Unlock()
		return nil, nil
	}
	s.mu.Unlock()
	return s.call(name, hook, &hookContext{hook: name, before: before, staged: staged})
}

// call runs a hook with a cookie that is valid as long as it runs.
func (s *Server) call(name string, hook Hook, h *hookContext) (*hookContext, error) {
	s.mu.Lock()
	s.lastID++
	cookie := fmt.Sprintf("cookie-of-%s-%d", name, s.lastID)
	s.contexts[cookie] = h
	s.mu.Unlock()

	err := hook(HookCall{Name: name, Cookie: cookie})

	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.contexts, cookie)
	if h.rejected != "" {
		schema := s.schema.Account + "/" + s.schema.Name
		return nil, fmt.Errorf("cannot change confdb %s: %s rejected changes: %s", schema, s.snap, h.rejected)
	}
	if err != nil {
		return nil, fmt.Errorf("run hook %q: \n-----\n%v\n-----", name, err)
	}
	return h, nil
}
