// Package embedded is the registry's backend for machines without a snapd: the confdb engine around a file that any
// number of processes share, or around memory.
//
//	b, err := embedded.Open(ctx, "/var/lib/thing/confdb.json", embedded.Options{Documents: schemas})
//	defer b.Close()
//
// A set that returned is on disk, whole, and the state before it is kept beside it. Readers take no lock: they look
// whether the file is the one they know. Writers of all processes wait for each other on PATH.lock, which stays there,
// empty. The file tells of the last commits, so that watchers in other processes learn of each one.
//
// On snapd, ephemeral data needs a custodian's hooks to load and save it. There are no custodians here: ephemeral data
// is kept like any other. Everybody reads as an administrator, secrets included; who may read the file reads all.
package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"aspects-poc/registry/backend"
)

// Options say how to open a store. The zero value knows only the confdb-schemas that the file holds.
type Options struct {
	// Documents are confdb-schemas as JSON in the form that `snap sign` takes. One that the store does not hold, or
	// holds in an earlier revision, is stored; a later revision in the store stays.
	Documents []json.RawMessage
	// AccessTimeout is how long a write waits for other writers; 0 means 30 s.
	AccessTimeout time.Duration
}

const defaultAccessTimeout = 30 * time.Second

// Backend is an open store. It is safe for concurrent use.
type Backend struct {
	store    *store
	patience time.Duration
	// brought are the schemas of Options.Documents that could not be stored, as the directory is read-only.
	brought  map[string]*schema
	warnings []string

	life context.Context // ends with Close; carried here because Close has no context and calls of any context wait
	end  context.CancelFunc

	mu     sync.Mutex // guards closed, and calls.Add against calls.Wait
	closed bool
	calls  sync.WaitGroup // calls and watches that run
}

var (
	_ backend.Backend     = (*Backend)(nil)
	_ backend.Updater     = (*Backend)(nil)
	_ backend.MultiSetter = (*Backend)(nil)
)

// Open opens the store in a file, which is made if there is none, as is its directory. A damaged file is ErrCorrupt.
func Open(ctx context.Context, path string, options Options) (*Backend, error) {
	return open(ctx, path, options, realDisk{})
}

func open(ctx context.Context, path string, options Options, d disk) (*Backend, error) {
	s, err := share(path, d)
	if err != nil {
		return nil, describe(err, "open", backend.ViewID{}, nil)
	}
	return start(ctx, s, options)
}

// OpenMemory opens an empty store in memory, which nobody else sees and which ends with Close.
func OpenMemory(ctx context.Context, options Options) (*Backend, error) {
	return start(ctx, newStore(nil), options)
}

func start(ctx context.Context, s *store, options Options) (*Backend, error) {
	b := &Backend{store: s, patience: options.AccessTimeout, brought: map[string]*schema{}}
	if b.patience == 0 {
		b.patience = defaultAccessTimeout
	}
	b.life, b.end = context.WithCancel(context.Background())
	_, err := s.load()
	if err == nil {
		err = b.acknowledge(ctx, options.Documents)
	}
	if err != nil {
		b.end()
		return nil, errors.Join(describe(err, "open", backend.ViewID{}, nil), s.release())
	}
	return b, nil
}

// DefaultPath returns the user's own store: aspects-poc/confdb.json in $XDG_STATE_HOME, or in ~/.local/state.
func DefaultPath(getenv func(string) string) (string, error) {
	const name = "aspects-poc/confdb.json"
	// The specification of base directories wants relative paths to be ignored.
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, name), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", name), nil
	}
	return "", errors.New("neither XDG_STATE_HOME nor HOME is set: name a file with file:PATH")
}

// Status tells of the file, and warns of data that the schema in force would refuse.
func (b *Backend) Status(context.Context) (backend.Status, error) {
	status := backend.Status{
		Backend: "mem", Dialect: "embedded engine, as confdb of snapd 2.77", Warnings: append([]string(nil), b.warnings...),
		Capabilities: backend.Capabilities{AtomicUpdate: true, MultiView: true, WatchPushed: true, SetConfirmed: true},
	}
	if b.store.file != nil {
		status.Backend, status.Address = "file", b.store.file.path
	}
	if polls := b.store.watchers.polls(); polls > 0 {
		status.Capabilities.WatchPushed, status.Capabilities.WatchEvery = false, polls
	}
	leave, err := b.enter("status", backend.ViewID{}, nil)
	if err != nil {
		return status, err
	}
	defer leave()
	st, err := b.store.load()
	if err != nil {
		status.Warnings = append(status.Warnings, describe(err, "read", backend.ViewID{}, nil).Error())
		return status, nil
	}
	status.Warnings = append(status.Warnings, b.misfits(st)...)
	return status, nil
}

// Close ends all watches and waits for them, and for calls that run. Calling it again does nothing.
func (b *Backend) Close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	b.end()
	b.calls.Wait()
	return b.store.release()
}

// enter notes a call that runs, and refuses it when the backend is closed. The caller calls what it returns at the end.
func (b *Backend) enter(op string, view backend.ViewID, requests []string) (leave func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, &backend.Error{Op: op, View: view, Requests: requests, Kind: backend.ErrOther,
			Reason: "the registry is closed", Err: fs.ErrClosed}
	}
	b.calls.Add(1)
	return b.calls.Done, nil
}

// until returns a context that ends with the caller's and with Close.
func (b *Backend) until(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// Watch sends an event for each commit, of whatever process, that changes what the view shows: one each, in order,
// with the commit's revision. A watcher that is very far behind gets one event for many commits.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	leave, err := b.enter("watch", view, nil)
	if err != nil {
		return nil, err
	}
	if err := b.watchable(ctx, view); err != nil {
		leave()
		return nil, describe(err, "watch", view, nil)
	}
	sub := newSubscriber(view)
	if err := b.store.watchers.subscribe(sub); err != nil {
		leave()
		return nil, describe(err, "watch", view, nil)
	}
	ctx, release := b.until(ctx)
	go func() {
		defer leave()
		defer release()
		sub.run(ctx, b.store.watchers)
	}()
	return sub.out, nil
}

func (b *Backend) watchable(ctx context.Context, view backend.ViewID) error {
	if err := ctx.Err(); err != nil {
		return interrupted(err)
	}
	st, err := b.store.load()
	if err != nil {
		return err
	}
	parsed, err := b.schema(st, view)
	if err != nil {
		return err
	}
	for _, name := range parsed.Views() {
		if name == view.View {
			return nil
		}
	}
	return &backend.Error{Kind: backend.ErrNoView,
		Message: fmt.Sprintf("cannot find view %q in confdb schema %s", view.View, key(view))}
}
