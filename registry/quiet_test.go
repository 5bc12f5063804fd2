package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry"
)

// snapshot returns everything below a folder: names, modes, times and contents.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(content)
		}
		found[strings.TrimPrefix(path, dir)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lookAt opens a registry and makes all calls that change nothing. With writes, it also makes writes that are refused or change
// nothing. It ignores errors.
func lookAt(t *testing.T, address string, options registry.Options, writes bool) (errs []error) {
	t.Helper()
	reg, err := registry.Open(t.Context(), address, options)
	if err != nil {
		return []error{err}
	}
	defer func() { errs = append(errs, reg.Close()) }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, name := range []string{"control", "other/lamp/control", "acme/lamp/control", "acme/lamp/nonsense"} {
		view := reg.View(name)
		_, err := view.Get(ctx)
		errs = append(errs, err)
		_, err = view.Get(ctx, "brightness")
		errs = append(errs, err, view.Read(ctx, &map[string]any{}))
		_, err = view.Watch(ctx)
		errs = append(errs, err)
		if !writes {
			continue
		}
		errs = append(errs, view.Set(ctx, map[string]any{"brightness": "very"}), view.Unset(ctx, "color"))
		errs = append(errs, view.Update(ctx, nil, func(map[string]any) (map[string]any, error) { return nil, nil }))
	}
	_, err = reg.Status(ctx)
	return append(errs, err)
}

// Reads of a registry never write, whatever the state of its file: no content, no time and no other file changes.
func TestReadsWriteNothing(t *testing.T) {
	lamps := parseSchemas(t, lamp)
	doors := parseSchemas(t, strings.ReplaceAll(strings.ReplaceAll(lamp, "name: lamp", "name: door"), "acme", "other"))
	later := parseSchemas(t, strings.Replace(lamp, "name: lamp", "name: lamp\nrevision: 7", 1))

	stored := func(t *testing.T, path string, schemas []registry.Schema) {
		reg := open(t, "file:"+path, registry.Options{Schemas: schemas})
		for _, brightness := range []int{10, 20} {
			if err := reg.View("control").Set(t.Context(), map[string]any{"brightness": brightness}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(t *testing.T, path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
	}{
		{"nothing", func(*testing.T, string) {}},
		{"not even the folder", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"data of its own schema", func(t *testing.T, path string) { stored(t, path, lamps) }},
		{"data of another schema", func(t *testing.T, path string) { stored(t, path, doors) }},
		{"data of a later revision", func(t *testing.T, path string) { stored(t, path, later) }},
		{"data in a folder that nobody may write", func(t *testing.T, path string) {
			stored(t, path, lamps)
			if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Dir(path), 0o700) })
		}},
		{"data without a lock file", func(t *testing.T, path string) {
			stored(t, path, lamps)
			if err := os.Remove(path + ".lock"); err != nil {
				t.Fatal(err)
			}
		}},
		{"an empty file", func(t *testing.T, path string) { put(t, path, "") }},
		{"half a file", func(t *testing.T, path string) {
			stored(t, path, lamps)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, path, string(text[:len(text)/2]))
		}},
		{"only the state before", func(t *testing.T, path string) {
			stored(t, path, lamps)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"another program's file", func(t *testing.T, path string) { put(t, path, "{}\n") }},
		{"a later format", func(t *testing.T, path string) { put(t, path, "aspects-poc-confdb 9 x\n{}\n") }},
		{"a file of c2fd671", func(t *testing.T, path string) {
			text, err := os.ReadFile(filepath.Join("testdata", "c2fd671.json"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, path, string(text))
		}},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for brings, schemas := range map[string][]registry.Schema{"none": nil, "lamp": lamps, "both": append(lamps, doors...)} {
			t.Run(c.name+"/"+brings, func(t *testing.T) {
				root := t.TempDir()
				path := filepath.Join(root, "state", "reg.json")
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				c.prepare(t, path)
				before := snapshot(t, root)
				// Whoever writes to a file that is there makes its lock, also if it is refused then.
				_, there := before["/state/reg.json"]
				_, locked := before["/state/reg.json.lock"]
				errs := lookAt(t, "file:"+path, registry.Options{Schemas: schemas}, locked || !there)
				if diff := cmp.Diff(before, snapshot(t, root)); diff != "" {
					t.Errorf("changed (-before +after):\n%s\nerrors: %v", diff, errors.Join(errs...))
				}
			})
		}
	}
}

// A read of a missing file says so in its error, which is ErrNoData: a program on a new machine then uses its defaults.
func TestFileThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "typo", "reg.json")
	reg := open(t, "file:"+path, registry.Options{Schemas: parseSchemas(t, lamp)})
	for _, requests := range [][]string{nil, {"brightness"}, {"brightness", "color"}} {
		_, err := reg.View("control").Get(t.Context(), requests...)
		if !errors.Is(err, registry.ErrNoData) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+" is not there") {
			t.Errorf("get %q: %v", requests, err)
		}
	}
	if _, err := reg.View("control").Get(t.Context(), "nonsense"); !errors.Is(err, registry.ErrNoMatch) {
		t.Errorf("get what no rule matches: %v", err)
	}
	status, err := reg.Status(t.Context())
	if err != nil || len(status.Warnings) != 1 || !strings.Contains(status.Warnings[0], path+" is not there") {
		t.Errorf("status %+v, %v", status, err)
	}
	bare := open(t, "file:"+path, registry.Options{})
	if _, err := bare.View("acme/lamp/control").Get(t.Context()); !errors.Is(err, registry.ErrNoSchema) ||
		!strings.Contains(err.Error(), path+" is not there") {
		t.Errorf("without a schema: %v", err)
	}
}

// A watch waits for a missing file, which any process may create, and does not create it.
func TestWatchOfAFileThatIsNotThere(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "state", "reg.json")
	options := registry.Options{Schemas: parseSchemas(t, lamp)}
	events, err := open(t, "file:"+path, options).View("state").Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(root); err != nil || len(names) > 0 {
		t.Errorf("there is %v, %v", names, err)
	}
	// As another process would, whose store is another one: under another name, and moved there.
	elsewhere := filepath.Join(root, "elsewhere", "reg.json")
	if err := open(t, "file:"+elsewhere, options).View("control").Set(t.Context(), map[string]any{"brightness": 3}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Dir(elsewhere), filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if event := <-events; event.Err != nil || event.View.View != "state" {
		t.Errorf("event %+v", event)
	}
}

// A file of commit c2fd671 is read, and written, in the same format.
func TestFileOfC2fd671(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "c2fd671.json"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "registry.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	const views = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN/network/"
	reg := open(t, "file:"+path, registry.Options{}) // its schema is in it
	before, err := reg.View(views + "control-device").Get(t.Context())
	if err != nil || before["server-url"] == nil {
		t.Fatalf("%v, %v", before, err)
	}
	if err := reg.View(views+"control-device").Set(t.Context(), map[string]any{"server-url": "http://other.example"}); err != nil {
		t.Fatal(err)
	}
	again := open(t, "file:"+path, registry.Options{})
	after, err := again.View(views + "control-device").Get(t.Context())
	if err != nil || after["server-url"] != "http://other.example" {
		t.Errorf("%v, %v", after, err)
	}
}
