package editor

import (
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
)

// An Outline is a part of a file with the parts inside it, for a table of contents.
type Outline struct {
	Name, Detail string
	Role         Role
	Start, End   document.Position // of all of it
	Name0, Name1 document.Position // of its name
	Parts        []Outline
}

// Outline returns the parts of a file.
func (p *Project) Outline(file string) []Outline {
	text := p.workspace.Text(file)
	switch kindOf(file) {
	case schema:
		var list []Outline
		for _, s := range p.Schemas {
			if s.File != file {
				continue
			}
			for _, view := range entries(s.Headers.Get("views")) {
				o := outline(text, view, View, view.Value.Get("summary").String())
				for _, rule := range view.Value.Get("rules").List() {
					name := rule.Entry("request")
					if name == nil {
						name = rule.Entry("storage")
					}
					if name == nil || !name.Value.Is(document.String) {
						continue
					}
					part := Outline{Name: name.Value.Text, Detail: rule.Get("storage").String(), Role: Request, Start: rule.Pos, Name0: name.Value.Pos}
					part.Name1, _ = text.Token(name.Value.Pos, name.Value.Text)
					part.End = part.Name1
					o.Parts = append(o.Parts, part)
				}
				list = append(list, o)
			}
			for _, alias := range entries(s.Storage().Get("aliases")) {
				list = append(list, outline(text, alias, Alias, typeOf(alias.Value)))
			}
			list = append(list, storageOutline(text, s.Storage())...)
		}
		return list
	case snap:
		var list []Outline
		for _, s := range p.Snaps {
			if s.File != file {
				continue
			}
			for i := range s.Plugs {
				if s.Plugs[i].Confdb() && s.Plugs[i].Entry.Value != nil {
					list = append(list, outline(text, s.Plugs[i].Entry, Plug, s.Plugs[i].View))
				}
			}
			for _, hook := range entries(s.Top.Get("hooks")) {
				list = append(list, outline(text, hook, Hook, "hook"))
			}
		}
		return list
	}
	return nil
}

func storageOutline(text *edit.Text, n *document.Node) []Outline {
	var list []Outline
	for _, entry := range entries(n.Get("schema")) {
		o := outline(text, entry, Storage, typeOf(entry.Value))
		o.Parts = storageOutline(text, entry.Value)
		if values := entry.Value.Get("values"); values != nil {
			o.Parts = append(o.Parts, storageOutline(text, values)...)
		}
		list = append(list, o)
	}
	return list
}

// outline returns the Outline of a key with its value. It spans both, as editors require.
func outline(text *edit.Text, entry document.Entry, role Role, detail string) Outline {
	name1, ok := text.Token(entry.KeyPos, entry.Key)
	if !ok {
		name1 = entry.KeyPos
	}
	end := name1
	if value, ok := text.Token(entry.Value.Pos, entry.Value.Written()); ok {
		end = value
	} else if last := text.BlockEnd(entry.KeyPos.Line, entry.KeyPos.Column-1); last > entry.KeyPos.Line {
		end = document.Position{Line: last, Column: len([]rune(text.Line(last))) + 1}
	}
	return Outline{Name: entry.Key, Detail: detail, Role: role, Start: entry.KeyPos, End: end, Name0: entry.KeyPos, Name1: name1}
}

// Folds returns the first and last lines of the parts of a file that an editor can fold: maps and lists of YAML, and files and
// paragraphs of test scripts.
func (p *Project) Folds(file string) [][2]int {
	text := p.workspace.Text(file)
	var list [][2]int
	add := func(first, last int) {
		for last > first && strings.TrimSpace(text.Line(last)) == "" {
			last--
		}
		if last > first {
			list = append(list, [2]int{first, last})
		}
	}
	switch kindOf(file) {
	case schema, snap:
		for number := 1; number <= text.Lines(); number++ {
			line := text.Line(number)
			indent, filled := text.Indent(number)
			if !filled {
				continue
			}
			if trimmed := strings.TrimSpace(line); strings.HasSuffix(trimmed, "{") || strings.HasSuffix(trimmed, "[") {
				if end, ok := text.Token(document.Position{Line: number, Column: len([]rune(strings.TrimRight(line, " \r")))}, ""); ok {
					add(number, end.Line)
				}
				continue
			}
			add(number, text.BlockEnd(number, indent))
		}
	case test:
		first := 1
		for number := 1; number <= text.Lines(); number++ {
			if line := text.Line(number); number > first && (strings.HasPrefix(line, "-- ") || strings.HasPrefix(line, "# ") && !strings.HasPrefix(text.Line(number-1), "#")) {
				add(first, number-1)
				first = number
			}
		}
		add(first, text.Lines())
	}
	return list
}

// Actions returns the findings on the lines from first to last of a file that have a fix. It leaves out fixes that change files
// outside of the workspace.
func (p *Project) Actions(file string, first, last int) []lint.Finding {
	var list []lint.Finding
	for _, f := range p.Findings()[file] {
		if f.Fix != nil && first <= f.Line && f.Line <= last &&
			!slices.ContainsFunc(f.Fix.Files(), func(name string) bool { return !p.workspace.Contains(name) }) {
			list = append(list, f)
		}
	}
	return list
}

// Mendable reports whether lint demands that a file of the workspace, a hook or a program of a snap, is executable.
func (w *Workspace) Mendable(file string) bool {
	if !w.Contains(file) {
		return false
	}
	p := w.Load()
	for _, s := range p.Snaps {
		for _, f := range lint.CheckSnaps(lint.Options{Snaps: []*lint.Snap{s}}) {
			if f.Fix != nil && slices.Contains(f.Fix.Executable, file) {
				return true
			}
		}
		if slices.ContainsFunc(s.Hooks, func(h snapfile.Hook) bool { return h.File == file }) {
			return true // the file is new
		}
	}
	return false
}
