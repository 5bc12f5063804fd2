package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"aspects-poc/registry/backend"
)

// A store holds the current state of a file, or of nothing but memory. All handles that this process opened on one
// file share it: one state, one open file, one inotify instance.
type store struct {
	file *file // nil: in memory

	// turn is held by the one writer of this process. A channel, as waiting for it ends with the context.
	turn chan struct{}
	// encoder remembers what the last commit wrote; only the writer touches it.
	encoder encoder

	// current is replaced with loading held, and read without.
	current atomic.Pointer[state]
	loading sync.Mutex

	watchers *watchers
	users    int // handles; guarded by stores.mu
}

// stores are the files that this process has open, by canonical path. It is a package's variable because nothing less
// spans all that a process opens: a program that opens one file a thousand times would else hold a thousand parsed
// copies and exhaust the 128 inotify instances that Linux gives a user.
var stores = struct {
	mu     sync.Mutex
	byPath map[string]*store
}{byPath: map[string]*store{}}

// share returns the store of a file, which may be there already.
func share(path string, d disk) (*store, error) {
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	stores.mu.Lock()
	defer stores.mu.Unlock()
	s := stores.byPath[path]
	if s == nil {
		s = newStore(&file{path: path, disk: d})
		stores.byPath[path] = s
	}
	s.users++
	return s, nil
}

func newStore(f *file) *store {
	s := &store{file: f, turn: make(chan struct{}, 1)}
	s.watchers = &watchers{store: s, notify: newNotify, slowly: recheckEvery,
		poked: make(chan struct{}, 1), subscribers: map[*subscriber]struct{}{}}
	if f == nil {
		s.current.Store(empty())
	}
	return s
}

// release lets go of a store; the last one closes its file.
func (s *store) release() error {
	if s.file != nil {
		stores.mu.Lock()
		defer stores.mu.Unlock()
		if s.users--; s.users > 0 {
			return nil
		}
		delete(stores.byPath, s.file.path)
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if st := s.current.Swap(nil); st != nil && st.file != nil {
		return st.file.Close()
	}
	return nil
}

// canonical returns an absolute path without symbolic links, so that two names of a file share a store and a rename
// does not replace a link. Nothing of the path needs to be there, and nothing is made.
func canonical(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	root := string(filepath.Separator)
	real, links := root, 0
	for rest := strings.Split(absolute, root); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			real = filepath.Dir(real)
			continue
		}
		target, err := os.Readlink(filepath.Join(real, name))
		if err != nil { // no link, or nothing that can be looked at: whoever opens it says so
			real = filepath.Join(real, name)
			continue
		}
		if links++; links > mostLinks {
			return "", file{path: absolute}.unreadable(syscall.ELOOP)
		}
		if filepath.IsAbs(target) {
			real = root
		}
		rest = append(strings.Split(target, root), rest...)
	}
	return real, nil
}

// mostLinks is how many links one after another Linux follows.
const mostLinks = 40

// load returns the current state: the one in memory, unless the file is another one by now.
func (s *store) load() (*state, error) {
	st := s.current.Load()
	if s.file == nil {
		return st, nil
	}
	if s.fresh(st) {
		return st, nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if st = s.current.Load(); s.fresh(st) {
		return st, nil
	}
	next, err := s.file.read(st)
	if err != nil {
		return nil, err
	}
	s.install(next)
	return next, nil
}

// install replaces the current state. The caller holds loading.
func (s *store) install(next *state) {
	old := s.current.Swap(next)
	if old != nil && old.file != nil {
		_ = old.file.Close() // nothing was written through it since it was synced
	}
}

// change is one transaction: alone among all processes it hands the current state to next and stores what that
// returns; nil leaves all as it is. Nothing changes in memory unless the disk did first.
func (s *store) change(ctx context.Context, patience time.Duration, next func(*state) (*state, error)) error {
	if begun, err := s.prepare(next); err != nil || !begun {
		return err
	}
	unlock, err := s.lock(ctx, patience)
	if err != nil {
		return err
	}
	defer unlock()
	st, err := s.load()
	if err != nil {
		return err
	}
	after, err := next(st)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the last moment at which nothing has happened
	}
	if s.file == nil {
		if after != nil {
			s.current.Store(after)
			s.watchers.poke()
		}
		return nil
	}
	if after == nil {
		if err := s.file.settle(st); err != nil {
			return err
		}
		st.durable = true
		return nil
	}
	return s.store(st, after)
}

// prepare makes the directory of a file that is not there yet, if there is going to be something to store in it: a
// transaction that is refused, or that changes nothing, leaves no trace. It returns false for the latter.
func (s *store) prepare(next func(*state) (*state, error)) (bool, error) {
	if s.file == nil {
		return true, nil
	}
	st, err := s.load()
	if err != nil || st.info != nil {
		return err == nil, err
	}
	after, err := next(st)
	if err != nil || after == nil {
		return false, err
	}
	if err := makeDir(s.file.dir(), s.file.disk); err != nil {
		return false, s.file.unwritable(err)
	}
	return true, nil
}

// absent tells whether the file of a state is not there yet.
func (s *store) absent(st *state) bool { return s.file != nil && st.info == nil }

// store writes a state and makes it the current one. The caller has the lock.
func (s *store) store(before, after *state) error {
	text, err := encode(&s.encoder, after)
	if err != nil {
		return &backend.Error{Kind: backend.ErrOther, Reason: fmt.Sprintf("internal error: %v", err), Err: err}
	}
	staged, err := s.file.stage(text, before.info)
	if err != nil {
		return err
	}
	if err := s.publish(staged, after); err != nil {
		return err
	}
	err = s.file.settleNames()
	after.durable = err == nil
	s.watchers.poke()
	return err
}

// publish gives a staged file the name. Loading is held meanwhile, so that readers who find the new file find its
// state here as well, rather than parse what we know.
func (s *store) publish(staged *staged, after *state) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if err := s.file.publish(staged); err != nil {
		return err
	}
	after.info, after.file = staged.info, staged.out
	s.install(after)
	return nil
}

// fresh tells whether a state is what the file holds.
func (s *store) fresh(st *state) bool {
	if st == nil {
		return false
	}
	info, err := os.Stat(s.file.path)
	if err != nil {
		return st.info == nil && errors.Is(err, fs.ErrNotExist)
	}
	return st.is(info)
}
