package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"aspects-poc/internal/kit/hookrun"
	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
)

// A machine is the imitated machine of one script.
type machine struct {
	*world.World
	suite  *suite
	ctx    context.Context // ends with the script; testscript's commands get none
	dir    string          // of the script
	runner *hookrun.Runner // nil until a snap with files is installed
	uses   []string        // files of the project that find has returned

	mu  sync.Mutex // guards ran, printed, warnings and moved
	ran map[string]int
	// printed has the lines that hooks have printed since the last takePrinted.
	printed []string
	// warnings are those of Result.
	warnings []string
	// moved is closed and replaced with each event except reads.
	moved chan struct{}
}

type machineKey struct{}

// setup opens a script's machine, with the schemas and snaps of the run. It returns the machine also with an error, if the machine
// has been opened.
func (s *suite) setup(env *testscript.Env) (*machine, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	m := &machine{suite: s, ctx: ctx, dir: env.WorkDir, ran: map[string]int{}, moved: make(chan struct{})}
	w, err := world.Open("", changes.Options{Context: ctx, Runner: m, Services: m, Observe: m.observe})
	if err != nil {
		cancel()
		return nil, err
	}
	m.World = w
	env.Values[machineKey{}] = m
	env.Setenv("PROJECT", s.options.Project)
	env.Setenv("HOME", env.WorkDir)
	env.Defer(func() {
		cancel()
		_ = w.Close() // in memory
		if m.runner != nil {
			_ = m.runner.Close() // its folder is in the script's
		}
	})
	return m, m.furnish()
}

// furnish gives the machine the schemas and snaps of the run.
func (m *machine) furnish() error {
	if err := m.Facts.SetSystem(map[string]any{"experimental.confdb": true}); err != nil {
		return err
	}
	for _, schema := range m.suite.options.Schemas {
		if err := m.Facts.SetSchema(schema); err != nil {
			return err
		}
	}
	for _, snap := range m.suite.snaps {
		if err := m.install(snap); err != nil {
			return err
		}
	}
	for _, snap := range m.suite.snaps {
		if err := m.connectAll(snap.Instance()); err != nil {
			return err
		}
	}
	return nil
}

func machineOf(ts *testscript.TestScript) *machine { return ts.Value(machineKey{}).(*machine) }

// observe records an event of the machine.
func (m *machine) observe(e changes.Event) {
	m.suite.coverage.observe(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Kind == changes.HookRan {
		m.ran[e.Snap+" "+e.Hook]++
		for line := range strings.Lines(strings.TrimSpace(e.Output)) {
			m.printed = append(m.printed, fmt.Sprintf("%s of %s prints: %s", e.Hook, e.Snap, strings.TrimRight(line, "\r\n")))
		}
		if e.Cause != "" {
			failed := fmt.Sprintf("%s of %s fails: %s", e.Hook, e.Snap, e.Cause)
			m.printed = append(m.printed, failed)
			if strings.HasPrefix(e.Hook, "observe-view-") { // snapd only logs that
				m.warnings = append(m.warnings, strings.TrimSpace(failed+"\n"+e.Output))
			}
		}
		if e.Rejected != "" {
			m.printed = append(m.printed, fmt.Sprintf("%s of %s refuses: %s", e.Hook, e.Snap, e.Rejected))
		}
	}
	if !e.Read { // await itself reads
		close(m.moved)
		m.moved = make(chan struct{})
	}
}

// takePrinted returns the lines in printed and empties it.
func (m *machine) takePrinted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	printed := m.printed
	m.printed = nil
	return printed
}

// warned returns the warnings so far.
func (m *machine) warned() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.warnings)
}

// RunHook runs a hook as a process.
func (m *machine) RunHook(ctx context.Context, hook changes.Hook) ([]byte, error) {
	if m.runner == nil {
		return nil, nil // all snaps were declared without files
	}
	return m.runner.RunHook(ctx, hook)
}

// Service performs an action on a service if Options.RunServices is set.
func (m *machine) Service(ctx context.Context, action string, snap facts.Snap, service string) error {
	if m.runner == nil {
		return nil
	}
	return m.runner.Service(ctx, action, snap, service)
}

// Active reports whether a service runs.
func (m *machine) Active(instance, service string) (active, known bool) {
	if m.runner == nil {
		return false, false
	}
	return m.runner.Active(instance, service)
}

// install installs a snap. The first snap with files starts the runner of hooks.
func (m *machine) install(snap facts.Snap) error {
	if snap.Dir != "" && m.runner == nil {
		runner, err := hookrun.New(hookrun.Options{Dir: m.dir, Snapctl: m.suite.options.Program,
			RunServices: m.suite.options.RunServices})
		if err != nil {
			return err
		}
		m.runner = runner
		if err := runner.Serve(m.World); err != nil {
			return err
		}
	}
	m.suite.coverage.addSnap(snap)
	if snap.Dir != "" {
		if err := m.runner.Prepare(snap); err != nil {
			return err
		}
	}
	return m.Changes.Complete(m.ctx)(m.Changes.Install(snap))
}

// runApp runs an app of a snap to its end. If the app fails, the error has its standard error.
func (m *machine) runApp(name string, arguments []string, out *bytes.Buffer) error {
	if m.runner == nil {
		return errors.New("no snap with files is installed")
	}
	program, err := m.runner.Program(name, false, arguments)
	if err != nil {
		return err
	}
	command := exec.CommandContext(m.ctx, program.Args[0], program.Args[1:]...)
	var failed bytes.Buffer
	command.Env, command.Dir, command.Stdout, command.Stderr = program.Env, m.dir, out, &failed
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(failed.Bytes()))
	}
	return nil
}

// load reads a snap's source for this script.
func (m *machine) load(dir, key string) (facts.Snap, error) {
	found, err := source.Load(m.find(dir), source.Options{Stage: filepath.Join(m.dir, ".snaps"), Account: m.suite.options.Account})
	if err != nil {
		return facts.Snap{}, err
	}
	found.Snap.Key = key
	return found.Snap, nil
}

// find returns the path of one of the script's files or, if there is none of the name, of a file of the project.
func (m *machine) find(path string) string {
	if own := filepath.Join(m.dir, path); !filepath.IsAbs(path) && exists(own) {
		return own
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(m.suite.options.Project, path)
	}
	m.uses = append(m.uses, path)
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// connectAll connects the confdb plugs of a snap that are not connected.
func (m *machine) connectAll(instance string) error {
	snap, err := m.Snap(instance)
	if err != nil {
		return err
	}
	connected := m.Facts.Now().Connections()
	for _, name := range sorted(snap.Plugs) {
		if snap.Plugs[name].Interface != "confdb" || slices.ContainsFunc(connected, func(c facts.Connection) bool {
			return c.Snap == instance && c.Plug == name
		}) {
			continue
		}
		if err := m.Changes.Complete(m.ctx)(m.Changes.Connect(instance, name)); err != nil {
			return err
		}
	}
	return nil
}

// view returns the ID of a view, given as VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW. It returns an error if a shorter form
// fits several confdb-schemas.
func (m *machine) view(name string) (backend.ViewID, error) {
	parts := strings.Split(name, "/")
	if len(parts) == 3 {
		return backend.ViewID{Account: parts[0], Schema: parts[1], View: parts[2]}, nil
	}
	var found []backend.ViewID
	for _, schema := range m.Facts.Now().Schemas() {
		id := backend.ViewID{Account: schema.Parsed.Account, Schema: schema.Parsed.Name, View: parts[len(parts)-1]}
		if len(parts) == 2 && parts[0] != id.Schema || !slices.Contains(schema.Parsed.Views(), id.View) {
			continue
		}
		found = append(found, id)
	}
	switch len(found) {
	case 0:
		return backend.ViewID{}, fmt.Errorf("no known confdb-schema has a view %q: add one with the command schema", name)
	case 1:
		return found[0], nil
	default:
		return backend.ViewID{}, fmt.Errorf("several confdb-schemas have a view %q: name it ACCOUNT/SCHEMA/VIEW", name)
	}
}

// set writes as the administrator does, and waits for the end.
func (m *machine) set(id backend.ViewID, values map[string]any) error {
	change, err := m.Changes.Set(m.ctx, id, values, changes.Access{})
	if err != nil {
		return err
	}
	ready, err := m.Changes.Wait(m.ctx, change)
	if err != nil {
		return err
	}
	if ready.Status != changes.Done {
		return errors.New(ready.Err)
	}
	return nil
}

// An errNoData means that a read found no data.
type errNoData struct{ message string }

func (e *errNoData) Error() string { return e.message }

// get reads as the administrator does.
func (m *machine) get(id backend.ViewID, requests []string) (map[string]any, error) {
	change, err := m.Changes.Get(m.ctx, id, requests, changes.Access{})
	if err != nil {
		return nil, err
	}
	ready, err := m.Changes.Wait(m.ctx, change)
	if err != nil {
		return nil, err
	}
	if ready.Status != changes.Done {
		return nil, errors.New(ready.Err)
	}
	if refused, ok := ready.Data["error"].(map[string]any); ok {
		return nil, &errNoData{fmt.Sprint(refused["message"])}
	}
	values, ok := ready.Data["values"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the view shows %v, which is not an object", ready.Data["values"])
	}
	return values, nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
