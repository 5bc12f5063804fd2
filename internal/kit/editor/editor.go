// Package editor answers an editor's questions about confdb-schemas, snaps, hooks and test scripts: findings, completions,
// descriptions, references, and the edits of a rename. Its main types are Workspace and Project. It writes no files: it returns
// edits.
//
//	w := editor.New("/home/me/thermostat")
//	w.Set("/home/me/thermostat/thermostat.yaml", text) // what the user has not saved
//	project := w.Load()
//	findings := project.Findings()
//	items := project.Complete(file, at)
//
// Positions are those of package document: lines and columns from 1, in characters. Package lint finds the faults, and package lsp
// speaks the editors' protocol.
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

// A Workspace has the folders that an editor has open, and the texts that are not saved. It is safe for concurrent use.
type Workspace struct {
	mutex   sync.Mutex // guards all below
	roots   []string
	buffers map[string][]byte
	found   []string              // files of interest on disk, as of the last Scan
	parsed  map[string]parsed     // confdb-schemas, by file
	snaps   map[string]*lint.Snap // the last version that could be read, by file
}

// A parsed is the result of parsing a file with confdb-schemas.
type parsed struct {
	text  []byte
	docs  []*document.Document // of the last text that could be parsed
	err   error                // why the present text cannot be parsed
	whole bool                 // docs are those of the present text
}

// New returns a workspace of folders. Call Scan to find the files in them.
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

// Drop removes the text of a file that the editor has closed. From then on the text on disk counts.
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

// projectOf returns the folder of the project of a single file: the file's folder, or the one around a folder snap, meta, hooks or
// tests.
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

// Limits of a scan. A folder that is no project, such as a home, is scanned in part.
const (
	maxEntries = 20_000
	maxDepth   = 8
)

// skipped are folders that have no sources.
var skipped = []string{".git", "node_modules", "prime", "stage", "parts", "build", "dist", "bin", "vendor", ".venv", "__pycache__"}

// Scan searches the folders for confdb-schemas, snaps and test scripts. It ends early in a folder with too many files.
func (w *Workspace) Scan() {
	w.mutex.Lock()
	roots := slices.Clone(w.roots)
	w.mutex.Unlock()
	var found []string
	left := maxEntries
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error { // skips what cannot be read
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

// A kind is the kind of a file, by its name.
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

// read returns the text of a file: the editor's if it is open, otherwise that on disk. It returns an error for a file that is larger
// than a document may be.
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

// mayBeSchema reports whether a text has the words that every confdb-schema has. Other YAML is not parsed.
func mayBeSchema(text []byte) bool {
	return bytes.Contains(text, []byte("views")) && (bytes.Contains(text, []byte("storage")) || bytes.Contains(text, []byte("rules")))
}

// schemas parses a file with confdb-schemas. If that fails, docs are those of the last text that could be parsed. It returns false
// for a file that cannot be read or has no confdb-schema.
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
	if !mayBeSchema(text) && !before {
		return parsed{}, false
	}
	docs, err := document.ParseSchemas(file, text)
	next := parsed{text: text, docs: docs, err: err, whole: err == nil}
	if err != nil {
		next.docs = known.docs
		if next.docs == nil {
			next.docs = parseSound(file, text)
		}
	} else if !before && docs[0].Headers.Get("views") == nil {
		return parsed{}, false // some other YAML
	}
	w.mutex.Lock()
	w.parsed[file] = next
	w.mutex.Unlock()
	return next, true
}

// snap reads a snap's file and its hooks. If that fails, it returns the last version that could be read, with the error.
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

// parseSound parses a text without the lines at which parsing fails. It returns nil if it cannot find them all in time.
func parseSound(file string, text []byte) []*document.Document {
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
