package transcript

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/registrytest/testschema"
)

// A machine is the world on which a transcript is replayed.
type machine struct {
	*world.World
	scripts map[string]Script // by SNAP HOOK
	missing map[string]bool   // those without a file

	mu     sync.Mutex // guards what follows
	silent bool       // hooks do nothing
	hooks  []string
	calls  []Call
}

// Replay creates the given machine in memory, performs the steps on it, and returns the transcript with the observed results. It
// returns an error if the transcript is malformed.
func Replay(ctx context.Context, t Transcript) (Transcript, error) {
	m := &machine{scripts: map[string]Script{}, missing: map[string]bool{}}
	options := changes.Options{Runner: changes.RunnerFunc(m.run)}
	if t.Given.Deadlocks {
		// In the proportions of snapd's: two minutes to ten and ten.
		options.WriteLimit, options.AccessTimeout, options.HookLimit = 400*time.Millisecond, 2*time.Second, 2*time.Second
	}
	w, err := world.Open("", options)
	if err != nil {
		return Transcript{}, err
	}
	m.World = w
	seen := t
	seen.Steps = nil
	err = m.prepare(ctx, t.Given)
	for _, step := range t.Steps {
		if err != nil {
			break
		}
		step, err = m.step(ctx, step)
		seen.Steps = append(seen.Steps, step)
	}
	if err != nil {
		err = fmt.Errorf("cannot replay %q: %w", t.Name, err)
	}
	return seen, errors.Join(err, w.Close())
}

func (m *machine) prepare(ctx context.Context, given Given) error {
	document := testschema.Document()
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		return err
	}
	if err := m.Facts.Acknowledge(facts.Schema{Parsed: parsed, Document: document}); err != nil {
		return err
	}
	if err := m.Facts.SetSystem(map[string]any{"experimental.confdb": true}); err != nil {
		return err
	}
	for _, snap := range given.Snaps {
		if err := m.install(snap, parsed.Views()); err != nil {
			return err
		}
	}
	m.silent = true
	for _, command := range given.Before {
		if err := m.asRoot(ctx, command); err != nil {
			return err
		}
	}
	m.silent = false
	for _, snap := range given.Snaps {
		for _, plug := range snap.Disconnected {
			if err := m.Facts.Disconnect(snap.Name, plug); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *machine) install(declared Snap, all []string) error {
	snap := facts.Snap{Name: declared.Name, Plugs: map[string]facts.Plug{}}
	add := func(views []string, role string) {
		for _, view := range Views(views, all) {
			name := view
			if other := declared.Plugs[view]; other != "" {
				name = other
			}
			snap.Plugs[name] = facts.Plug{Interface: "confdb", Account: testschema.AccountID,
				View: testschema.Name + "/" + view, Role: role}
		}
	}
	add(declared.Custodian, facts.Custodian)
	add(declared.Uses, "")
	for hook, script := range declared.Hooks {
		snap.Hooks = append(snap.Hooks, hook)
		m.scripts[declared.Name+" "+hook] = script
	}
	for _, hook := range declared.Missing {
		snap.Hooks = append(snap.Hooks, hook)
		m.missing[declared.Name+" "+hook] = true
	}
	slices.Sort(snap.Hooks)
	if err := m.Facts.Install(snap); err != nil {
		return err
	}
	for name := range snap.Plugs {
		if err := m.Facts.Connect(snap.Name, name); err != nil {
			return err
		}
	}
	return nil
}

// run performs the script of a hook.
func (m *machine) run(ctx context.Context, hook changes.Hook) ([]byte, error) {
	id := hook.Snap.Instance() + " " + hook.Name
	if m.missing[id] {
		return nil, errors.New("cannot snap-exec: no such file or directory")
	}
	m.mu.Lock()
	script, silent := m.scripts[id], m.silent
	m.hooks = append(m.hooks, id)
	m.mu.Unlock()
	if silent {
		return nil, nil
	}
	for _, args := range script.Calls {
		output, err := m.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: args})
		if ctx.Err() != nil {
			break // the hook was killed before the answer
		}
		call := Call{Hook: id, Args: args, Stdout: output.Stdout}
		if err != nil {
			call.Error = err.Error()
		}
		m.mu.Lock()
		m.calls = append(m.calls, call)
		m.mu.Unlock()
	}
	if ctx.Err() != nil {
		return []byte(script.Print), ctx.Err()
	}
	if script.Exit != 0 {
		return []byte(script.Print), fmt.Errorf("exit status %d", script.Exit)
	}
	return []byte(script.Print), nil
}

func (m *machine) step(ctx context.Context, step Step) (Step, error) {
	if len(step.Args) == 0 && !strings.Contains(step.By, "/") {
		return Step{}, errors.New("a step without a command")
	}
	m.hooks, m.calls = nil, nil
	maps.Copy(m.scripts, step.Scripts)
	last := 0
	if changes := m.Changes.Changes(); len(changes) > 0 {
		last = len(changes)
	}
	seen := Step{By: step.By, Args: step.Args, Scripts: step.Scripts}
	var err error
	if step.By == "root" {
		err = m.asRoot(ctx, step.Args)
	} else {
		err = m.asSnap(ctx, step, &seen)
	}
	if refused := (*facts.Error)(nil); errors.As(err, &refused) {
		seen.Error = &refused.Message
	} else if err != nil {
		return Step{}, err
	}
	if changes := m.Changes.Changes(); len(changes) > last {
		ready, err := m.Changes.Wait(ctx, changes[len(changes)-1].ID) // snapctl does not wait for the very end
		if err != nil {
			return Step{}, err
		}
		seen.change(ready)
	}
	seen.Hooks, seen.Calls = m.hooks, m.calls
	if seen.Hooks == nil {
		seen.Hooks = []string{"-"}
	}
	seen.Stored = json.RawMessage(m.Facts.Now().Stored(testschema.AccountID, testschema.Name))
	return seen, nil
}

// change records the result of a change.
func (s *Step) change(c changes.Change) {
	s.Status, s.Err = c.Status, c.Err
	for _, task := range c.Tasks {
		s.Tasks = append(s.Tasks, task.Kind+"="+task.Status)
		for _, line := range task.Log {
			_, text, _ := strings.Cut(line, " ")
			s.Log = append(s.Log, text)
		}
	}
	if c.Data != nil {
		s.Data, _ = json.Marshal(c.Data) // JSON shapes
	}
}

func (m *machine) asRoot(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want COMMAND VIEW …, not %q", args)
	}
	view := backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: args[1]}
	var id string
	var err error
	switch values := map[string]any{}; args[0] {
	case "get":
		id, err = m.Changes.Get(ctx, view, args[2:], changes.Access{})
	case "unset":
		for _, key := range args[2:] {
			values[key] = nil
		}
		id, err = m.Changes.Set(ctx, view, values, changes.Access{})
	case "set":
		for _, pair := range args[2:] {
			key, text, _ := strings.Cut(pair, "=")
			var value any
			if jsonvalue.Decode([]byte(text), &value) != nil {
				value = text
			}
			values[key] = value
		}
		id, err = m.Changes.Set(ctx, view, values, changes.Access{})
	default:
		return fmt.Errorf("unknown command %q of snap", args[0])
	}
	if err != nil {
		return err
	}
	_, err = m.Changes.Wait(ctx, id)
	return err
}

func (m *machine) asSnap(ctx context.Context, step Step, seen *Step) error {
	snap, hook, inHook := strings.Cut(step.By, "/")
	if inHook {
		if len(step.Args) > 0 {
			m.scripts[snap+" "+hook] = Script{Calls: [][]string{step.Args}}
		}
		installed, err := m.Snap(snap)
		if err != nil {
			return err
		}
		if !installed.Has(hook) {
			installed.Hooks = append(installed.Hooks, hook)
			if err := m.Facts.Install(installed); err != nil {
				return err
			}
		}
		plug, connects := strings.CutPrefix(hook, "connect-plug-")
		switch {
		case connects:
			if err := m.Facts.Disconnect(snap, plug); err != nil {
				return err
			}
			err = m.Changes.Complete(ctx)(m.Changes.Connect(snap, plug))
		case hook == "configure":
			err = m.Changes.Complete(ctx)(m.Changes.Configure(snap, map[string]any{"option": true}))
		default:
			err = m.Changes.Complete(ctx)(m.Changes.Run(snap, hook))
		}
		if refused := (*facts.Error)(nil); errors.As(err, &refused) && refused.Status == 0 {
			return nil // the failure of its change is recorded
		}
		return err
	}
	cookie, err := m.Facts.Now().Cookie(snap)
	if err != nil {
		return err
	}
	output, err := m.Snapctl.Run(ctx, snapctl.Call{Cookie: cookie, Args: step.Args})
	if err == nil {
		seen.Stdout = &output.Stdout
	}
	return err
}
