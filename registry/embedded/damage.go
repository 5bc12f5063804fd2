package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"aspects-poc/registry/backend"
)

// damaged returns the error for a damaged file. If the previous state is intact, the remedy restores it.
func (f file) damaged(reason error) error {
	e := &backend.Error{Kind: backend.ErrCorrupt, Err: reason, Reason: fmt.Sprintf("%s is damaged: %v", f.path, reason)}
	if newer := (*formatError)(nil); errors.As(reason, &newer) {
		e.Reason = fmt.Sprintf("%s cannot be read: %v", f.path, reason)
		e.Remedy = "use the version of this program that wrote it"
		return e
	}
	if errors.Is(reason, errMissing) {
		e.Reason = fmt.Sprintf("%s %v", f.path, reason)
	}
	text, err := os.ReadFile(f.previous())
	if err == nil {
		var s *state
		if s, err = decode(text, nil); err == nil {
			e.Reason += fmt.Sprintf("; %s holds the state before, revision %d", f.previous(), s.revision)
			if info, err := os.Stat(f.previous()); err == nil {
				e.Reason += " of " + info.ModTime().UTC().Format(time.DateTime) + " UTC"
			}
			e.Remedy = "cp " + quote(f.previous()) + " " + quote(f.path)
			return e
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		e.Reason += fmt.Sprintf("; %s cannot be used either: %v", f.previous(), cause(err))
	}
	e.Remedy = "restore it from a backup, or to begin without data: mv " + quote(f.path) + " " + quote(f.path+".damaged")
	if errors.Is(reason, errMissing) {
		e.Remedy = "restore it from a backup, or to begin without data: rm " + quote(f.previous())
	}
	return e
}

// errMissing means that the file is gone but its previous state exists.
var errMissing = errors.New("is missing, though it was written before")

// noFile returns the error for a path that is not a regular file.
func (f file) noFile(info fs.FileInfo) error {
	what := "is not a file"
	if info.IsDir() {
		what = "is a folder"
	}
	return &backend.Error{Kind: backend.ErrBadRequest, Reason: f.path + " " + what, Remedy: "name a file with file:PATH"}
}

// notExist returns the cause of an error about a file that nobody has written yet.
func (f file) notExist() error {
	return &fs.PathError{Op: "open", Path: f.path, Err: fs.ErrNotExist}
}

// unreadable returns the error for a file that exists but cannot be read, or for an impossible path.
func (f file) unreadable(err error) error {
	for _, misspelt := range []error{syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL} {
		if errors.Is(err, misspelt) {
			return &backend.Error{Kind: backend.ErrBadRequest, Err: err, Remedy: "name a file with file:PATH",
				Reason: fmt.Sprintf("%q cannot be the path of a file: %v", f.path, cause(err))}
		}
	}
	e := &backend.Error{Kind: backend.ErrStorage, Err: err, Reason: fmt.Sprintf("%s cannot be read: %v", f.path,
		cause(err)), Remedy: "check the disk with: dmesg"}
	if errors.Is(err, fs.ErrPermission) {
		e.Kind, e.Remedy = backend.ErrUnauthorized, "run it as the owner of "+f.path+", or open another file with file:PATH"
	}
	return e
}

// unwritable returns the error for a commit that stored nothing.
func (f file) unwritable(err error) error {
	e := &backend.Error{Kind: backend.ErrStorage, Err: err, Reason: fmt.Sprintf(
		"%s cannot be written: %v; nothing was changed", f.path, cause(err))}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Remedy = "free space where it is: df -h " + quote(f.dir())
	case errors.Is(err, syscall.EFBIG):
		e.Remedy = "raise the limit on the size of files: ulimit -f unlimited"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		e.Remedy = "make " + quote(f.dir()) + " writable for this user, or open another file with file:PATH"
	case errors.Is(err, fs.ErrNotExist):
		e.Remedy = "mkdir -p " + quote(f.dir())
	default:
		e.Remedy = "check the disk with: dmesg"
	}
	return e
}

// cause returns an error without its operation and path, which the text names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

var plain = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quote quotes a path for a shell.
func quote(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
