// Package rolestest runs roles in tests. A Store is an embedded registry in memory that several roles share;
// Store.Start runs a role's command and counts its accesses. A Snap is a role's snap on an imitated snapd.
package rolestest

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
	"aspects-poc/registry/registrytest"
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// A Store is a registry in memory.
type Store struct {
	t        *testing.T
	backend  *embedded.Backend
	Registry *registry.Registry // for the test; not counted
}

// shared is a backend that its users do not close.
type shared struct{ *embedded.Backend }

func (shared) Close() error { return nil }

// New returns an empty store with the network schema. It is closed at the end of the test.
func New(t *testing.T) *Store {
	t.Helper()
	b, err := embedded.OpenMemory(t.Context(), embedded.Options{Documents: []json.RawMessage{network.Document("")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Store{t: t, backend: b, Registry: registry.New(shared{b}, defaults())}
}

func defaults() registry.ViewID {
	return registry.ViewID{Account: network.AccountID, Schema: network.Name}
}

// Set writes through a view. An error ends the test.
func (s *Store) Set(view string, values map[string]any) {
	s.t.Helper()
	if err := s.Registry.View(view).Set(context.Background(), values); err != nil {
		s.t.Fatal(err)
	}
}

// JSON returns what request paths show through a view as JSON, or the text of the error.
func (s *Store) JSON(view string, requests ...string) string {
	text, err := s.Registry.View(view).Raw(context.Background(), requests...)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A Run is a running or finished role.
type Run struct {
	Counter *registrytest.Counter
	Out     *Buffer // standard output
	Err     *Buffer // standard error

	end  context.CancelFunc
	done chan struct{}
	code int
}

// Options change the environment of a role. The zero value is right for most tests.
type Options struct {
	// Open replaces the opening of the store. It may call open.
	Open func(open func() (*registry.Registry, error)) (*registry.Registry, error)
	// Env are environment variables.
	Env map[string]string
	// Plain removes transactions over several views, atomic updates and announced changes: only what every backend
	// has remains.
	Plain bool
	// Refuse makes writes through these views fail; only with Plain.
	Refuse map[string]error
	// Hooks is Plain in a snap whose hooks announce changes.
	Hooks bool
	// Write, if not nil, runs each write. It may skip it, or return an error of its own after it.
	Write func(write func() error) error
}

// Start runs a role's command until Stop or its end. The first word is the role's name.
func (s *Store) Start(role roles.Role, options Options, words ...string) *Run {
	var below backend.Backend = shared{s.backend}
	switch {
	case options.Hooks:
		below = hooked{plain{s.backend, options.Refuse}}
	case options.Plain:
		below = plain{s.backend, options.Refuse}
	}
	if options.Write != nil {
		below = Writing(below, options.Write)
	}
	counter := registrytest.Counting(below)
	run := &Run{Counter: counter, Out: &Buffer{}, Err: &Buffer{}, done: make(chan struct{})}
	open := func() (*registry.Registry, error) { return registry.New(counter.Backend(), defaults()), nil }
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: run.Out, Stderr: run.Err,
		Getenv: func(name string) string { return options.Env[name] },
		Open: func(context.Context, string, ...registry.Options) (*registry.Registry, error) {
			if options.Open != nil {
				return options.Open(open)
			}
			return open()
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	run.end = cancel
	go func() {
		defer close(run.done)
		run.code = roles.Run(ctx, env, append([]string{roles.Program}, words...), role)
	}()
	return run
}

// plain hides the optional abilities of an embedded backend: transactions over several views, atomic updates and
// announced changes.
type plain struct {
	below  *embedded.Backend
	refuse map[string]error
}

func (p plain) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (
	map[string]any, error,
) {
	return p.below.Get(ctx, view, requests, options)
}

func (p plain) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	if err := p.refuse[view.View]; err != nil {
		return err
	}
	return p.below.Set(ctx, view, values)
}

func (p plain) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	return p.below.Watch(ctx, view)
}

func (p plain) Status(ctx context.Context) (backend.Status, error) {
	status, err := p.below.Status(ctx)
	status.Capabilities = backend.Capabilities{}
	return status, err
}

func (plain) Close() error { return nil }

// hooked is plain with hooks that announce every change.
type hooked struct{ plain }

func (h hooked) Status(ctx context.Context) (backend.Status, error) {
	status, err := h.plain.Status(ctx)
	status.Capabilities.Hooks = true
	return status, err
}

func (h hooked) Hints(ctx context.Context, view backend.ViewID) (<-chan struct{}, error) {
	events, err := h.below.Watch(ctx, view)
	if err != nil {
		return nil, err
	}
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		for range events {
			select {
			case hints <- struct{}{}:
			default: // a hint is already waiting
			}
		}
	}()
	return hints, nil
}

// Wait waits until the run ends and returns its exit code.
func (r *Run) Wait() int {
	<-r.done
	r.end()
	return r.code
}

// Interrupt ends the run as SIGTERM does.
func (r *Run) Interrupt() { r.end() }

// Stop interrupts the run and returns its exit code.
func (r *Run) Stop() int {
	r.end()
	return r.Wait()
}

// A Buffer is an output that can be read during the run.
type Buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *Buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Take returns what was written since the last Take.
func (b *Buffer) Take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}
