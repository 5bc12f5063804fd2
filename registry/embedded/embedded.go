// Package embedded is the registry's backend for machines without snapd: the engine of package confdb with a file
// that any number of processes share, or with memory. Its main type is Backend.
//
//	b, err := embedded.Open(ctx, "/var/lib/thing/confdb.json", embedded.Options{Documents: schemas})
//	defer b.Close()
//
// Open and reads write nothing. The first Set makes the file and its folders, and stores the data's confdb-schema in
// it. When Set returns, the whole state is on disk, and the previous state is in PATH.previous. Readers take no lock;
// they check whether the file has changed. Writers of all processes wait for each other with a lock on PATH.lock, an
// empty file that stays. The file records the last commits, so that watchers in other processes learn of each one.
//
// There are no custodians. So ephemeral data is stored like other data; snapd needs a custodian's hooks to load and
// save it. Every reader is an administrator and sees secrets; file permissions decide who may read.
package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

// Options are options of Open and OpenMemory. Without Documents the store knows only the confdb-schemas in its file.
type Options struct {
	// Documents are confdb-schemas as JSON in the form for `snap sign`. A document is in force if the store does not
	// hold its confdb-schema or holds an earlier revision. It is stored with the first data that is written by it.
	Documents []json.RawMessage
	// AccessTimeout is how long a write waits for other writers; 0 means 30 s.
	AccessTimeout time.Duration
}

const defaultAccessTimeout = 30 * time.Second

// A Backend is an open store. It is safe for concurrent use.
type Backend struct {
	store    *store
	patience time.Duration
	given    map[string]*schema // Options.Documents by ACCOUNT/NAME; fixed after Open
	life     *calls.Life
}

var (
	_ backend.Backend     = (*Backend)(nil)
	_ backend.Updater     = (*Backend)(nil)
	_ backend.MultiSetter = (*Backend)(nil)
)

// Open opens the store in a file. The file need not exist. The error is ErrCorrupt for a damaged file, and
// ErrBadRequest for a document that is no confdb-schema or contradicts the stored one of the same revision.
func Open(ctx context.Context, path string, options Options) (*Backend, error) {
	return open(ctx, path, options, realDisk{})
}

func open(ctx context.Context, path string, options Options, d disk) (*Backend, error) {
	s, err := share(path, d)
	if err != nil {
		return nil, Describe(err, "open", backend.ViewID{}, nil)
	}
	return start(ctx, s, options)
}

// OpenMemory opens an empty store in memory. Nobody else sees it, and it ends with Close.
func OpenMemory(ctx context.Context, options Options) (*Backend, error) {
	return start(ctx, newStore(nil), options)
}

func start(ctx context.Context, s *store, options Options) (*Backend, error) {
	b := &Backend{store: s, patience: options.AccessTimeout, given: map[string]*schema{}, life: calls.NewLife()}
	if b.patience == 0 {
		b.patience = defaultAccessTimeout
	}
	if err := b.begin(ctx, options.Documents); err != nil {
		b.life.Close()
		_ = s.release() // nothing was written
		return nil, err
	}
	return b, nil
}

func (b *Backend) begin(ctx context.Context, documents []json.RawMessage) error {
	_, call, err := b.life.Begin(ctx, calls.About{Op: "open"})
	if err != nil {
		return err
	}
	defer call.End()
	st, err := b.store.load()
	if err == nil {
		err = b.addDocuments(st, documents)
	}
	return Describe(err, "open", backend.ViewID{}, nil)
}

// DefaultPath returns the path of the user's own store: aspects-poc/confdb.json in $XDG_STATE_HOME or ~/.local/state.
// It returns an error if neither that variable nor HOME is an absolute path.
func DefaultPath(getenv func(string) string) (string, error) {
	const name = "aspects-poc/confdb.json"
	// The XDG base directory specification says to ignore relative paths.
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, name), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", name), nil
	}
	return "", errors.New("neither XDG_STATE_HOME nor HOME is set: name a file with file:PATH")
}

// Status describes the store. It warns if the file does not exist, cannot be read, or holds data that the schema in
// force refuses.
func (b *Backend) Status(ctx context.Context) (backend.Status, error) {
	_, call, err := b.life.Begin(ctx, calls.About{Op: "open"})
	if err != nil {
		return backend.Status{}, err
	}
	defer call.End()
	status := backend.Status{
		Backend: "mem", Generation: "embedded engine, as confdb of snapd 2.77",
		Capabilities: backend.Capabilities{AtomicUpdate: true, MultiView: true, WatchPushed: true, SetConfirmed: true},
	}
	if b.store.file != nil {
		status.Backend, status.Address = "file", b.store.file.path
	}
	if polls := b.store.watchers.polls(); polls > 0 {
		status.Capabilities.WatchPushed, status.Capabilities.WatchEvery = false, polls
	}
	st, err := b.store.load()
	if err != nil {
		status.Warnings = append(status.Warnings, Describe(err, "read", backend.ViewID{}, nil).Error())
		return status, nil
	}
	status.Schemas = b.known(st)
	if b.store.absent(st) {
		status.Warnings = append(status.Warnings, b.store.file.path+" is not there: the first set makes it")
	}
	status.Warnings = append(status.Warnings, b.misfits(st)...)
	return status, nil
}

// Close ends all watches and calls, and waits for them. Later calls of Close do nothing.
func (b *Backend) Close() error {
	if !b.life.Close() {
		return nil
	}
	return b.store.release()
}

// Watch sends one event for each commit of any process that changes what the view shows, in order, with the commit's
// revision. A watcher that is far behind gets one event for many commits. If the file does not exist, Watch waits for
// it.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	_, call, err := b.life.Begin(ctx, calls.About{Op: "watch", View: view})
	if err != nil {
		return nil, err
	}
	defer call.End()
	if err := b.watchable(view); err != nil {
		return nil, Describe(err, "watch", view, nil)
	}
	sub := newSubscriber(b, view)
	if err := b.store.watchers.subscribe(sub); err != nil {
		return nil, Describe(err, "watch", view, nil)
	}
	ctx, done := b.life.Watch(ctx)
	go func() {
		defer done()
		sub.run(ctx, b.store.watchers)
	}()
	return sub.out, nil
}

func (b *Backend) watchable(view backend.ViewID) error {
	if err := view.Check(); err != nil {
		return err
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
