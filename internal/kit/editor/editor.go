// Package editor answers what an editor asks about confdb-schemas, snaps, hooks and test scripts: what is wrong, what could be
// written here, what this is, where it is used. Its main type is Workspace. It writes no files: changes are answers, too.
//
//	w := editor.New("/home/me/thermostat")
//	w.Set("/home/me/thermostat/thermostat.yaml", text) // what the user has not saved
//	project := w.Load()
//	findings := project.Findings()
//	items := project.Complete(file, at)
//
// Positions are those of package document: lines and columns from 1, in characters. Package lsp speaks with editors.
package editor

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
)

// A Workspace is the folders that an editor has open, and the texts that are not saved. It is safe for concurrent use.
type Workspace struct {
	mutex   sync.Mutex // guards all below
	roots   []string
	buffers map[string][]byte
	found   []string              // files of interest on disk, as of the last Scan
	parsed  map[string]parsed     // confdb-schemas, by file
	snaps   map[string]*lint.Snap // as they could be read last, by file
}

// A parsed is a file with confdb-schemas as it was read last.
type parsed struct {
	text  []byte
	docs  []*document.Document // of the last text that could be read
	err   error                // why the present text cannot be read
	whole bool                 // docs are those of the present text
}

// New returns a workspace of some folders. Scan finds what is in them.
func New(roots ...string) *Workspace {
	w := &Workspace{buffers: map[string][]byte{}, parsed: map[string]parsed{}, snaps: map[string]*lint.Snap{}}
	for _, root := range roots {
		w.roots = append(w.roots, filepath.Clean(root))
	}
	return w
}

// Contains reports whether a file is in a folder of the workspace, by its path.
func (w *Workspace) Contains(file string) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.contains(file)
}

func (w *Workspace) contains(file string) bool {
	return slices.ContainsFunc(w.roots, func(root string) bool {
		below, err := filepath.Rel(root, file)
		return err == nil && filepath.IsLocal(below)
	})
}

// Set sets the text of a file that an editor has open. For a file outside of all folders it adds the folder of the project
// around it.
func (w *Workspace) Set(file string, text []byte) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.buffers[file] = text
	if !w.contains(file) {
		w.roots = append(w.roots, projectOf(file))
	}
}

// Drop forgets the text of a file: the disk has it.
func (w *Workspace) Drop(file string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.buffers, file)
}

// Buffer returns the text of a file that an editor has open.
func (w *Workspace) Buffer(file string) ([]byte, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	text, open := w.buffers[file]
	return text, open
}

// projectOf returns the folder of the project that a single file belongs to: the one around its snap folder, or the one that it
// is in.
func projectOf(file string) string {
	dir := filepath.Dir(file)
	for range 3 {
		switch filepath.Base(dir) {
		case "hooks", "snap", "meta", "tests":
			dir = filepath.Dir(dir)
		}
	}
	return dir
}

// Limits of a scan: of a folder that is no project, such as a home, a part must do.
const (
	maxEntries = 20_000
	maxDepth   = 8
)

// skipped are folders that have no sources.
var skipped = []string{".git", "node_modules", "prime", "stage", "parts", "build", "dist", "bin", "vendor", ".venv", "__pycache__"}

// Scan looks at the disk for confdb-schemas, snaps and test scripts. It ends early in a folder with too many files.
func (w *Workspace) Scan() {
	w.mutex.Lock()
	roots := slices.Clone(w.roots)
	w.mutex.Unlock()
	var found []string
	left := maxEntries
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error { // what cannot be read is not there
			if left--; left < 0 {
				return fs.SkipAll
			}
			if err != nil {
				return nil
			}
			if entry.IsDir() {
				below, _ := filepath.Rel(root, path)
				if path != root && (slices.Contains(skipped, entry.Name()) || strings.Count(below, string(filepath.Separator)) >= maxDepth) {
					return fs.SkipDir
				}
				return nil
			}
			if kindOf(path) != other && entry.Type().IsRegular() && !slices.Contains(found, path) {
				found = append(found, path)
			}
			return nil
		})
	}
	w.mutex.Lock()
	w.found = found
	w.mutex.Unlock()
}

// A kind is what a file is by its name.
type kind int

const (
	other  kind = iota
	schema      // may be a confdb-schema
	snap        // a snap's file
	hook
	test // a test script
)

func kindOf(file string) kind {
	base, dir := filepath.Base(file), filepath.Base(filepath.Dir(file))
	switch ext := filepath.Ext(base); {
	case base == "snapcraft.yaml", base == "snap.yaml" && dir == "meta":
		return snap
	case dir == "hooks" && slices.Contains([]string{"snap", "meta"}, filepath.Base(filepath.Dir(filepath.Dir(file)))):
		return hook
	case ext == ".txtar", ext == ".txt" && dir == "tests":
		return test
	case ext == ".yaml", ext == ".yml", ext == ".json", ext == ".assert":
		return schema
	}
	return other
}

// read returns the text of a file: what the editor has, or else what is on disk, up to the size of a document.
func (w *Workspace) read(file string) ([]byte, error) {
	if text, open := w.Buffer(file); open {
		return text, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > document.MaxSize {
		return nil, errors.New("it is no file, or too large")
	}
	return os.ReadFile(file)
}

// looks matches what every confdb-schema has, so that other YAML is not parsed.
func looks(text []byte) bool {
	return bytes.Contains(text, []byte("views")) && (bytes.Contains(text, []byte("storage")) || bytes.Contains(text, []byte("rules")))
}

// schemas reads a file with confdb-schemas. Of a text that cannot be read, docs are those before it became so.
func (w *Workspace) schemas(file string) (parsed, bool) {
	text, err := w.read(file)
	if err != nil {
		return parsed{}, false
	}
	w.mutex.Lock()
	known, before := w.parsed[file]
	w.mutex.Unlock()
	if before && bytes.Equal(known.text, text) {
		return known, true
	}
	if !looks(text) && !before {
		return parsed{}, false
	}
	docs, err := document.ParseSchemas(file, text)
	next := parsed{text: text, docs: docs, err: err, whole: err == nil}
	if err != nil {
		next.docs = known.docs
		if next.docs == nil {
			next.docs = mended(file, text)
		}
	} else if !before && docs[0].Headers.Get("views") == nil {
		return parsed{}, false // some other YAML
	}
	w.mutex.Lock()
	w.parsed[file] = next
	w.mutex.Unlock()
	return next, true
}

// snap reads a snap's file and its hooks. If they cannot be read, it returns the snap as it was before, with the error.
func (w *Workspace) snap(file string) (*lint.Snap, error) {
	found, err := lint.ReadSnapWith(file, w.read)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err != nil {
		return w.snaps[file], err
	}
	w.snaps[file] = found
	return found, nil
}

// mended reads what it can of a text that was broken from the beginning: it leaves out lines at which reading fails.
func mended(file string, text []byte) []*document.Document {
	rows := bytes.Split(bytes.Clone(text), []byte("\n"))
	deadline := time.Now().Add(50 * time.Millisecond)
	for range 20 {
		docs, err := document.ParseSchemas(file, bytes.Join(rows, []byte("\n")))
		if err == nil {
			return docs
		}
		var refused *document.Error
		if !errors.As(err, &refused) || refused.Pos.Line < 1 || refused.Pos.Line > len(rows) || time.Now().After(deadline) {
			return nil
		}
		rows[refused.Pos.Line-1] = nil
	}
	return nil
}

// files returns the files of interest, on disk and in the editor, sorted.
func (w *Workspace) files() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	all := map[string]bool{}
	for _, file := range w.found {
		all[file] = true
	}
	for file := range w.buffers {
		if kindOf(file) != other {
			all[file] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// open returns the files that the editor has open, sorted.
func (w *Workspace) open() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Sorted(maps.Keys(w.buffers))
}

// Text returns the text of a file with its lines, or an empty one.
func (w *Workspace) Text(file string) *edit.Text {
	text, err := w.read(file)
	if err != nil {
		return edit.NewText(nil)
	}
	return edit.NewText(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
}
