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

// A store holds the current state of a file, or of memory alone. All Backends of this process with the same file
// share one store: one state, one open file, one inotify instance.
type store struct {
	file *file // nil for memory

	// turn holds a token while this process writes. It is a channel, since a wait for it ends with the context.
	turn chan struct{}
	// encoder has the text of the last commit. Only the writer uses it.
	encoder encoder

	// current is replaced under loading and read without it.
	current atomic.Pointer[state]
	loading sync.Mutex

	watchers *watchers
	users    int // number of Backends; guarded by stores.mu
}

// stores are the open files of this process, by canonical path. A program that opens one file many times would
// otherwise hold many parsed copies and exhaust the 128 inotify instances that Linux allows a user.
var stores = struct {
	mu     sync.Mutex
	byPath map[string]*store
}{byPath: map[string]*store{}}

// share returns the store of a file, and makes it if the file is not open yet.
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

// release ends a Backend's use of the store. The last Backend closes the file.
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

// canonical returns an absolute path without symbolic links, so that all names of a file share a store and a rename
// does not replace a link. No part of the path needs to exist.
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
		if err != nil { // no link, or unreadable; opening the file reports it
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

// mostLinks is how many symbolic links Linux follows in one path.
const mostLinks = 40

// load returns the current state. It reads the file only if it has changed.
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
		_ = old.file.Close() // nothing was written since it was synced
	}
}

// change runs one transaction: it locks, passes the current state to next and stores the result; nil changes nothing.
// Memory changes only after the disk has.
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
		return err // the last moment before anything happens
	}
	if s.file == nil {
		if after != nil {
			s.current.Store(after)
			s.watchers.poke()
		}
		return nil
	}
	if after == nil {
		if err := s.file.syncState(st); err != nil {
			return err
		}
		st.durable = true
		return nil
	}
	return s.store(st, after)
}

// prepare makes the folder of a file that does not exist yet, unless the transaction is refused or changes nothing.
// It returns false if there is nothing to do.
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

// absent reports whether the state's file does not exist yet.
func (s *store) absent(st *state) bool { return s.file != nil && st.info == nil }

// store writes a state and makes it current. The caller holds the lock.
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
	err = s.file.syncNames()
	after.durable = err == nil
	s.watchers.poke()
	return err
}

// publish renames a staged file to PATH and makes its state current. It holds loading, so that readers of the new
// file get this state instead of parsing the file.
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

// fresh reports whether the file still holds the state.
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
