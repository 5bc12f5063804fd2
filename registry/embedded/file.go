package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"aspects-poc/registry/backend"
)

// A file is a store's place on disk. Next to PATH there are PATH.previous with the previous state, and PATH.lock,
// which is empty and which writers lock. During a commit, or after a killed one, there are also PATH.new and
// PATH.previous.new; the next commit replaces them.
type file struct {
	path string // absolute, without symbolic links
	disk disk
}

func (f file) dir() string      { return filepath.Dir(f.path) }
func (f file) previous() string { return f.path + ".previous" }
func (f file) lock() string     { return f.path + ".lock" }

// read returns the state in the file. If the file never existed, the state is empty. known is the last state that was read, or nil.
func (f file) read(known *state) (*state, error) {
	// Stat first: opening a named pipe would wait for its other end.
	switch info, err := os.Stat(f.path); {
	case errors.Is(err, fs.ErrNotExist):
		return f.missing(known)
	case err != nil:
		return nil, f.unreadable(err)
	case !info.Mode().IsRegular():
		return nil, f.noFile(info)
	}
	in, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing(known)
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	s, err := f.readFrom(in, known)
	if err != nil {
		_ = in.Close() // only read
		return nil, err
	}
	return s, nil
}

func (f file) readFrom(in *os.File, known *state) (*state, error) {
	info, err := in.Stat()
	if err != nil {
		return nil, f.unreadable(err)
	}
	text := make([]byte, info.Size())
	if n, err := io.ReadFull(in, text); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		text = text[:n] // somebody truncated it meanwhile; the checksum will not match
	} else if err != nil {
		return nil, f.unreadable(err)
	}
	s, err := decode(text, known)
	if err != nil {
		return nil, f.damaged(err)
	}
	s.info, s.file = info, in
	return s, nil
}

func (f file) missing(known *state) (*state, error) {
	if _, err := os.Stat(f.previous()); err == nil {
		return nil, f.damaged(errMissing)
	}
	if known != nil && known.info != nil {
		return nil, &backend.Error{Kind: backend.ErrCorrupt, Reason: fmt.Sprintf("%s was removed while in use", f.path),
			Remedy: "put it back, or restart the programs that use it to begin without data"}
	}
	return empty(), nil
}

// A commit is stage, publish and syncNames: it writes a new file to disk, renames it to PATH, and syncs the folder.
// At every moment PATH holds either the whole new state or the whole previous one. If stage or publish fails, nothing
// has changed.

// A staged file is complete and waits for publish.
type staged struct {
	out  handle
	info os.FileInfo
}

func (f file) fresh() string { return f.path + ".new" }

// stage writes the new file and waits until it is on disk. It also gives the current file, if any, the name
// PATH.previous.
func (f file) stage(text []byte, old os.FileInfo) (*staged, error) {
	mode := fs.FileMode(0o600)
	if old != nil {
		mode = old.Mode().Perm()
	}
	out, err := f.disk.Create(f.fresh(), mode)
	if err != nil {
		return nil, f.unwritable(err)
	}
	s := &staged{out: out}
	if _, err := out.Write(text); err != nil {
		return nil, f.abandon(s, err)
	}
	if err := out.Sync(); err != nil {
		return nil, f.abandon(s, err)
	}
	if s.info, err = out.Stat(); err != nil {
		return nil, f.abandon(s, err)
	}
	if old != nil {
		if err := f.linkPrevious(old); err != nil {
			return nil, f.abandon(s, err)
		}
	}
	return s, nil
}

// publish renames a staged file to PATH.
func (f file) publish(s *staged) error {
	if err := f.disk.Rename(f.fresh(), f.path); err != nil {
		return f.abandon(s, err)
	}
	return nil
}

// syncNames waits until the names are on disk. If it fails, the error is ErrUnknown: the new state is in place and
// visible to other processes, but a power cut may undo it.
func (f file) syncNames() error {
	err := f.disk.SyncDir(f.dir())
	if err == nil {
		return nil
	}
	return &backend.Error{Kind: backend.ErrUnknown, Err: err, Reason: fmt.Sprintf(
		"%s was written, but may not survive a power cut: %v", f.path, cause(err)),
		Remedy: "check the disk with dmesg, then set it again"}
}

// abandon removes a staged file and returns the error. It ignores failures of its own: the next commit cleans up as
// well.
func (f file) abandon(s *staged, err error) error {
	_ = s.out.Close()
	_ = f.disk.Remove(f.fresh())
	return f.unwritable(err)
}

// linkPrevious gives the current file the second name PATH.previous.
func (f file) linkPrevious(current os.FileInfo) (err error) {
	second := f.previous() + ".new"
	// A killed writer may have left it, and link does not replace files.
	if err := f.disk.Remove(second); err != nil {
		return err
	}
	// A killed writer may have linked it already. A rename between two names of one file does nothing and leaves both.
	if kept, err := os.Stat(f.previous()); err == nil && os.SameFile(kept, current) {
		return nil
	}
	defer func() {
		if err != nil {
			_ = f.disk.Remove(second) // the first error counts
		}
	}()
	err = f.disk.Link(f.path, second)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK) {
		// FAT has no second names, and the kernel may refuse to link another user's file.
		err = f.copy(second, current.Mode().Perm())
	}
	if err != nil {
		return err
	}
	return f.disk.Rename(second, f.previous())
}

func (f file) copy(name string, mode fs.FileMode) error {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	out, err := f.disk.Create(name, mode)
	if err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}

// syncState syncs the file of a state that another process has written. That process may have been killed between its rename
// and its sync of the folder.
func (f file) syncState(s *state) error {
	if s.durable || s.info == nil {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return f.unwritable(err)
	}
	if err := f.disk.SyncDir(f.dir()); err != nil {
		return f.unwritable(err)
	}
	return nil
}
