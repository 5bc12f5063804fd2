package embedded_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// faultyDisk fails at the step with the number failAt, counted from arm; 0 means that no step fails. After a crash every
// later step fails as well and has no effect, as if the process had ended.
type faultyDisk struct {
	embedded.Disk
	err error

	mu      sync.Mutex // guards what follows
	failAt  int
	crash   bool
	steps   []string
	crashed bool
}

type faultyFile struct {
	embedded.Handle
	disk *faultyDisk
}

var errInjected = errors.New("injected")

func (d *faultyDisk) arm(failAt int, crash bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.crash, d.steps, d.crashed = failAt, crash, nil, false
}

func (d *faultyDisk) step(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return errInjected
	}
	d.steps = append(d.steps, name)
	if len(d.steps) != d.failAt {
		return nil
	}
	d.crashed = d.crash
	return d.err
}

func (d *faultyDisk) Create(path string, mode fs.FileMode) (embedded.Handle, error) {
	if err := d.step("create"); err != nil {
		return nil, err
	}
	file, err := d.Disk.Create(path, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, d}, nil
}

func (d *faultyDisk) Link(path, name string) error {
	if err := d.step("link"); err != nil {
		return err
	}
	return d.Disk.Link(path, name)
}

func (d *faultyDisk) Rename(from, to string) error {
	if err := d.step("rename to " + filepath.Base(to)); err != nil {
		return err
	}
	return d.Disk.Rename(from, to)
}

func (d *faultyDisk) Remove(path string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	return d.Disk.Remove(path)
}

func (d *faultyDisk) SyncDir(path string) error {
	if err := d.step("sync directory"); err != nil {
		return err
	}
	return d.Disk.SyncDir(path)
}

// Write stores half of the text before it fails, as a full disk does.
func (f *faultyFile) Write(text []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		n, _ := f.Handle.Write(text[:len(text)/2])
		return n, err
	}
	return f.Handle.Write(text)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.step("sync"); err != nil {
		return err
	}
	return f.Handle.Sync()
}

var steps = []string{"create", "write", "sync", "remove", "link", "rename to confdb.json.previous",
	"rename to confdb.json", "sync directory"}

func TestStepsOfACommit(t *testing.T) {
	d := &faultyDisk{Disk: embedded.RealDisk()}
	b, err := embedded.OpenOn(t.Context(), filepath.Join(t.TempDir(), "confdb.json"), standard, d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }() // only read
	set(t, b, map[string]any{"count": json.Number("0")})
	d.arm(0, false)
	set(t, b, map[string]any{"count": json.Number("1")})
	if !slices.Equal(d.steps, steps) {
		t.Errorf("steps %q, want %q", d.steps, steps)
	}
	d.arm(0, false)
	set(t, b, map[string]any{"count": json.Number("1")})
	if len(d.steps) > 0 {
		t.Errorf("a set that changes nothing: %q", d.steps)
	}
}

// TestEachStepFails lets each step fail: the error says so, nothing changes in memory or on disk, no file is left behind, and the
// next set succeeds. Only if the directory cannot be synced, the new state stays, and the error says so.
func TestEachStepFails(t *testing.T) {
	for i, step := range steps {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "confdb.json")
			d := &faultyDisk{Disk: embedded.RealDisk(), err: &fs.PathError{Op: "x", Path: "y", Err: syscall.ENOSPC}}
			b, err := embedded.OpenOn(t.Context(), path, standard, d)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }() // only read at the end
			set(t, b, map[string]any{"count": json.Number("0")})
			set(t, b, map[string]any{"count": json.Number("1")})
			d.arm(i+1, false)
			err = b.Set(t.Context(), view("all"), map[string]any{"count": json.Number("2")})
			want := `{"count":1}`
			if step == "sync directory" {
				want = `{"count":2}`
				wantError(t, err, backend.ErrUnknown, path, "may not survive a power cut: no space left on device")
			} else {
				wantError(t, err, backend.ErrStorage, path, "no space left on device; nothing was changed",
					"(try: free space where it is: df -h "+dir+")")
			}
			wantError(t, err, syscall.ENOSPC)
			wantDocument(t, b, "all", want)
			wantDocument(t, reopened(t, path), "all", want)
			if names := files(t, dir); !slices.Equal(names,
				[]string{"confdb.json", "confdb.json.lock", "confdb.json.previous"}) {
				t.Errorf("files left: %q", names)
			}
			d.arm(0, false)
			set(t, b, map[string]any{"count": json.Number("2")})
			if step == "sync directory" && !slices.Equal(d.steps, []string{"sync", "sync directory"}) {
				t.Errorf("set again, which changes nothing but was not durable: %q", d.steps)
			}
			wantDocument(t, reopened(t, path), "all", `{"count":2}`)
		})
	}
}

// TestDeathAtEachStep lets a process die at each step: the file has the whole old or the whole new state, and the next commit
// removes leftovers.
func TestDeathAtEachStep(t *testing.T) {
	for i, step := range steps {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "confdb.json")
			d := &faultyDisk{Disk: embedded.RealDisk(), err: errInjected}
			dying, err := embedded.OpenOn(t.Context(), path, standard, d)
			if err != nil {
				t.Fatal(err)
			}
			set(t, dying, map[string]any{"count": json.Number("0")})
			set(t, dying, map[string]any{"count": json.Number("1")})
			d.arm(i+1, true)
			if err := dying.Set(t.Context(), view("all"), map[string]any{"count": json.Number("2")}); err == nil {
				t.Fatal("no error")
			}
			if err := dying.Close(); err != nil {
				t.Fatal(err)
			}

			b := openFile(t, path, standard)
			want := `{"count":1}`
			if step == "sync directory" {
				want = `{"count":2}`
			}
			wantDocument(t, b, "all", want)
			for n := range 2 {
				set(t, b, map[string]any{"count": json.Number(fmt.Sprint(n + 3))})
				if names := files(t, dir); !slices.Equal(names,
					[]string{"confdb.json", "confdb.json.lock", "confdb.json.previous"}) {
					t.Errorf("files left: %q", names)
				}
			}
			previous, err := os.ReadFile(path + ".previous")
			if err != nil {
				t.Fatal(err)
			}
			copied := filepath.Join(t.TempDir(), "confdb.json")
			put(t, copied, previous)
			wantDocument(t, openFile(t, copied, standard), "all", `{"count":3}`)
		})
	}
}

// On a disk without links, the previous state is a copy.
func TestDiskWithoutLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	d := &faultyDisk{Disk: embedded.RealDisk(), err: &os.LinkError{Op: "link", Err: syscall.EPERM}}
	b, err := embedded.OpenOn(t.Context(), path, standard, d)
	if err != nil {
		t.Fatal(err)
	}
	set(t, b, map[string]any{"count": json.Number("1")})
	d.arm(slices.Index(steps, "link")+1, false)
	set(t, b, map[string]any{"count": json.Number("2")})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".previous", path); err != nil {
		t.Fatal(err)
	}
	wantDocument(t, openFile(t, path, standard), "all", `{"count":1}`)
}

// In a read-only directory, reads succeed, and the error of a set says why it fails.
func TestReadOnlyDirectory(t *testing.T) {
	_, path := stored(t)
	d := &faultyDisk{Disk: embedded.RealDisk(), err: &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}}
	d.arm(1, false)
	// A later revision counts for reading, though it is not stored.
	b, err := embedded.OpenOn(t.Context(), path, embedded.Options{Documents: later()}, d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() // only read
	if got := document(t, b, "notes"); got != `{"note":"äöü \u003c/script\u003e"}` {
		t.Errorf("notes: %s", got)
	}
	if status, err := b.Status(t.Context()); err != nil || len(status.Warnings) != 0 {
		t.Errorf("status %+v, %v", status, err)
	}
	d.arm(1, false)
	err = b.Set(t.Context(), view("all"), map[string]any{"count": json.Number("2")})
	wantError(t, err, backend.ErrStorage, path, "read-only file system", "writable for this user")
	// Once it can be written, the schema goes with the data.
	d.arm(0, false)
	set(t, b, map[string]any{"count": json.Number("2")})
	wantDocument(t, reopened(t, path), "notes", `{"note":"äöü \u003c/script\u003e"}`)

	if os.Geteuid() == 0 {
		t.Log("root writes everywhere: real permissions are not tried")
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	b = openFile(t, filepath.Join(dir, "confdb.json"), standard)
	err = b.Set(t.Context(), view("all"), map[string]any{"count": json.Number("2")})
	wantError(t, err, backend.ErrStorage, "permission denied", dir)
}

func later() []json.RawMessage { return []json.RawMessage{lab(2, "")} }

// reopened opens a copy of the file as another process would do: handles of this process share a store.
func reopened(t *testing.T, path string) *embedded.Backend {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "confdb.json")
	put(t, copied, text)
	return openFile(t, copied, embedded.Options{})
}
