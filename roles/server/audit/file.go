package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"

	"github.com/gofrs/flock"
)

// A File is a copy of the log as JSON lines. A server appends each record of the store, whoever made it. A second file
// with the suffix .position has the number of the last record on disk, so that a restart neither loses nor repeats a
// record.
type File struct {
	path  string
	store Store
	log   *slog.Logger

	lock   *flock.Flock // of the file with the position
	opened *os.File     // nil for none
	last   int64        // the number of the last record in the file
	failed bool         // the last write has failed, and the log has the error
}

const (
	positionSuffix = ".position"
	// lookEvery is the time between two reads of new records. filePage is the largest number of records in a read.
	lookEvery = time.Second
	filePage  = 500
	// longestLine is how much of the file's end is read at the start, in bytes. A record has some 6 kB at most.
	longestLine = 64 << 10
)

// ErrFileInUse means that another process appends to the file.
var ErrFileInUse = errors.New("another server writes to it; give each server a file of its own, which has all records")

// OpenFile opens the copy of a log in a file. It makes a missing file, which only this user can read. It returns
// ErrFileInUse if another process appends to the file.
func OpenFile(ctx context.Context, path string, store Store, log *slog.Logger) (*File, error) {
	f := &File{path: path, store: store, log: log}
	if err := f.begin(ctx); err != nil {
		return nil, fmt.Errorf("cannot use %q as file for the audit log: %w", path, errors.Join(err, f.close()))
	}
	return f, nil
}

func (f *File) begin(ctx context.Context) error {
	if err := regular.Check(f.path); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(f.path); err == nil {
		f.path = real
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return err
	case !taken:
		return ErrFileInUse
	}
	f.lock = lock
	if err := f.open(); err != nil {
		return err
	}
	if text, err := os.ReadFile(f.path + positionSuffix); err == nil {
		if f.last, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return fmt.Errorf("the file %s has no number; remove it, and the file gets all records again", f.path+positionSuffix)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	number, err := f.repair()
	if err != nil {
		return err
	}
	f.last = max(f.last, number)
	newest, err := f.store.LastRecord(ctx)
	if err != nil {
		return err
	}
	if newest < f.last {
		f.log.Warn("the audit log of the database ends before the one in the file: it is another database, or a copy of before; "+
			"the file gets all of its records", "file", f.path, "in-file", f.last, "in-database", newest)
		f.last = 0
	}
	return nil
}

// open opens the file. It makes a missing one.
func (f *File) open() (err error) {
	f.opened, err = os.OpenFile(f.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	return err
}

// repair removes a line that a crash has cut off. It returns the number of the last record in the file; 0 for none.
func (f *File) repair() (int64, error) {
	info, err := f.opened.Stat()
	if err != nil {
		return 0, err
	}
	start := max(0, info.Size()-longestLine)
	text := make([]byte, info.Size()-start)
	if _, err := f.opened.ReadAt(text, start); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	if end < len(text) {
		if end == 0 && start > 0 {
			return 0, errors.New("its end is no line of an audit log; name another file")
		}
		if err := f.opened.Truncate(start + int64(end)); err != nil {
			return 0, err
		}
	}
	if end == 0 {
		return 0, nil
	}
	var record struct{ Number int64 }
	line := text[bytes.LastIndexByte(text[:end-1], '\n')+1 : end]
	if err := json.Unmarshal(line, &record); err != nil || record.Number < 1 {
		return 0, errors.New("its last line is no record of an audit log; name another file")
	}
	return record.Number, nil
}

// Follow appends records until ctx ends, and then the records that are still missing. A failure such as a full disk
// loses no record, because Follow tries again.
func (f *File) Follow(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		f.catchUp(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
			f.catchUp(last)
			cancel()
			return
		case <-ticker.C:
		}
	}
}

// catchUp appends all new records.
func (f *File) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := f.store.Records(ctx, Filter{Ascending: true, After: f.last}, filePage)
		if err == nil && len(list) > 0 {
			err = f.append(list)
		}
		if err != nil {
			if ctx.Err() == nil && !f.failed {
				f.log.Error("cannot write the audit log to its file; no record is lost, and the server tries again", "file", f.path, "error", err)
				f.failed = true
			}
			return
		}
		if f.failed {
			f.log.Info("the audit log is written to its file again", "file", f.path)
			f.failed = false
		}
		if len(list) < filePage {
			return
		}
	}
}

// append writes all of the records to the file or none, and then the position.
func (f *File) append(list []Record) error {
	var lines bytes.Buffer
	for _, record := range list {
		line, err := json.Marshal(record.Shape())
		if err != nil {
			return err
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	if err := f.reopen(); err != nil {
		return err
	}
	info, err := f.opened.Stat()
	if err != nil {
		return err
	}
	_, err = f.opened.Write(lines.Bytes())
	if err == nil {
		err = f.opened.Sync()
	}
	if err != nil {
		return errors.Join(err, f.opened.Truncate(info.Size()))
	}
	f.last = list[len(list)-1].Number
	return durable.Write(f.path+positionSuffix, []byte(strconv.FormatInt(f.last, 10)+"\n"), 0o600)
}

// reopen opens the file again if the path has another file: a log rotation moves the old one away.
func (f *File) reopen() error {
	if f.opened != nil {
		opened, err := f.opened.Stat()
		if err != nil {
			return err
		}
		if there, err := os.Stat(f.path); err == nil && os.SameFile(opened, there) {
			return nil
		}
		if err := f.opened.Close(); err != nil {
			return err
		}
		f.opened = nil
	}
	return f.open()
}

// Close closes the file. Call it after Follow has returned.
func (f *File) Close() error {
	if err := f.close(); err != nil {
		return fmt.Errorf("cannot close the file of the audit log: %w", err)
	}
	return nil
}

func (f *File) close() (err error) {
	if f.opened != nil {
		err = f.opened.Close()
	}
	if f.lock != nil { // the file stays, because another server may be locking it
		err = errors.Join(err, f.lock.Unlock())
	}
	return err
}
