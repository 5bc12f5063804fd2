package editor

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb"
)

// A Project has the contents of a workspace at one moment: its confdb-schemas, the snaps that use them, and their test scripts.
//
// It has many methods because there is one for each question of an editor. It is not safe for concurrent use.
type Project struct {
	workspace *Workspace
	Schemas   []*Schema
	Snaps     []*lint.Snap
	tests     []string
	broken    []lint.Finding // files that cannot be read

	index []Occurrence // made by the first Index
}

// A Schema is a confdb-schema of the workspace.
type Schema struct {
	*document.Document
	engine  func() *confdb.Schema // parses its sound parts at the first call
	current bool                  // it is from the present text of its file
	snaps   []*lint.Snap          // snaps with a plug for it
}

// Load reads the files of the workspace that have changed, and returns the Project.
func (w *Workspace) Load() *Project {
	p := &Project{workspace: w}
	for _, file := range w.files() {
		switch kindOf(file) {
		case schema:
			p.loadSchemas(file)
		case snap:
			found, err := w.snap(file)
			if fault, ok := lint.Unreadable(err); ok {
				p.broken = append(p.broken, fault)
			}
			if found != nil {
				p.Snaps = append(p.Snaps, found)
			}
		case test:
			p.tests = append(p.tests, file)
		}
	}
	for _, s := range p.Snaps {
		for i := range s.Plugs {
			name, _, _ := strings.Cut(s.Plugs[i].View, "/")
			if own := p.schemaOf(s.File, name); s.Plugs[i].Confdb() && own != nil && !slices.Contains(own.snaps, s) {
				own.snaps = append(own.snaps, s)
			}
		}
	}
	return p
}

func (p *Project) loadSchemas(file string) {
	read, ok := p.workspace.schemas(file)
	if !ok {
		return
	}
	if fault, ok := lint.Unreadable(read.err); ok {
		p.broken = append(p.broken, fault)
	}
	for _, doc := range read.docs {
		engine := sync.OnceValue(func() *confdb.Schema {
			sound, _ := confdb.Parser{Report: func(*confdb.SchemaError) {}}.New(doc.Header("account-id"), doc.Header("name"), doc.Storage().JSON(),
				doc.Headers.Get("views").Value())
			return sound
		})
		p.Schemas = append(p.Schemas, &Schema{Document: doc, engine: engine, current: read.whole})
	}
}

// schemaOf returns the confdb-schema with a name that is nearest to a file, or nil.
func (p *Project) schemaOf(file, name string) *Schema {
	return p.nearest(file, func(s *Schema) bool { return s.Header("name") == name })
}

// nearest returns the confdb-schema that is nearest to a file among those for which is returns true, or nil. Among several in one
// folder it prefers the one in YAML, from which the others were made.
func (p *Project) nearest(file string, is func(*Schema) bool) *Schema {
	var nearest *Schema
	best := -1
	for _, s := range p.Schemas {
		if !is(s) {
			continue
		}
		if shared := len(common(file, s.File)); shared > best || shared == best && s.Form == document.YAML && nearest.Form != document.YAML {
			nearest, best = s, shared
		}
	}
	return nearest
}

// common returns the deepest folder that both files are in.
func common(a, b string) string {
	for dir := filepath.Dir(a); ; dir = filepath.Dir(dir) {
		if below, err := filepath.Rel(dir, b); err == nil && filepath.IsLocal(below) || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

// Findings returns lint's findings by file, for the files that are open and the files that belong to them. A file without findings
// has an empty list.
func (p *Project) Findings() map[string][]lint.Finding {
	open := p.workspace.open()
	found := map[string][]lint.Finding{}
	unreadable := map[string]bool{}
	for _, f := range p.broken {
		unreadable[f.File] = true
	}
	add := func(list []lint.Finding) {
		for _, f := range list {
			if unreadable[f.File] && f.Code != "unreadable" {
				continue // the finding is about an earlier text
			}
			if !slices.ContainsFunc(found[f.File], f.Same) {
				found[f.File] = append(found[f.File], f)
			}
		}
	}
	for _, file := range open {
		found[file] = nil
	}
	add(p.broken)
	var names []string
	for _, s := range p.Schemas {
		names = append(names, s.Header("name"))
	}
	var ignore []string
	if len(unreadable) > 0 {
		ignore = []string{"schema-missing"} // the missing one may be one of these
	}
	checked := map[*lint.Snap]bool{}
	for _, s := range p.Schemas {
		for _, snap := range s.snaps {
			checked[snap] = true
		}
		if !s.current || !p.concerns(open, s.File, s.snaps) {
			continue
		}
		add(lint.Check(s.Document, lint.Options{Snaps: s.snaps, Schemas: names, Ignore: ignore}))
	}
	for _, snap := range p.Snaps {
		if !checked[snap] && p.concerns(open, snap.File, []*lint.Snap{snap}) {
			add(lint.CheckSnaps(lint.Options{Snaps: []*lint.Snap{snap}, Schemas: names, Ignore: ignore}))
		}
	}
	return found
}

// concerns reports whether a file, or one of some snaps, is open.
func (p *Project) concerns(open []string, file string, snaps []*lint.Snap) bool {
	return slices.ContainsFunc(open, func(name string) bool {
		return name == file || slices.ContainsFunc(snaps, func(s *lint.Snap) bool {
			return name == s.File || filepath.Dir(name) == snapfile.HookFolder(s.File)
		})
	})
}

// snapAt returns the snap that a file belongs to: its snapcraft.yaml, or a hook; nil if there is none.
func (p *Project) snapAt(file string) *lint.Snap {
	for _, s := range p.Snaps {
		if s.File == file || filepath.Dir(file) == snapfile.HookFolder(s.File) {
			return s
		}
	}
	return nil
}

// viewOf returns the confdb-schema and the view of a plug; the confdb-schema is nil if the workspace does not have it.
func (p *Project) viewOf(s *lint.Snap, plug *snapfile.Plug) (*Schema, string) {
	if !plug.Confdb() {
		return nil, ""
	}
	name, view, _ := strings.Cut(plug.View, "/")
	own := p.schemaOf(s.File, name)
	if own == nil || own.Headers.Get("views").Get(view) == nil {
		return nil, ""
	}
	return own, view
}

// schemaIn returns the confdb-schema of a file that a line is part of, or nil.
func (p *Project) schemaIn(file string, line int) *Schema {
	var last *Schema
	for _, s := range p.Schemas {
		if s.File == file && (last == nil || s.Headers.Pos.Line <= line) {
			last = s
		}
	}
	return last
}

// Format returns the edits that give a confdb-schema the canonical layout. It returns an error if the file cannot be formatted.
func (p *Project) Format(file string) ([]edit.Edit, error) {
	text := p.workspace.Text(file)
	formatted, err := document.Format(file, text.Bytes())
	if err != nil || string(formatted) == string(text.Bytes()) {
		return nil, err
	}
	return []edit.Edit{{File: file, Start: document.Position{Line: 1, Column: 1}, End: text.Position(len(text.Bytes())), Text: string(formatted)}}, nil
}
