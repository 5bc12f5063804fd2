package editor

import (
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/path"
)

// Hover returns a description of the symbol at a position, as Markdown, and the occurrence of its name there. text is "" if the
// position has no symbol.
func (p *Project) Hover(file string, at document.Position) (text string, about Occurrence) {
	here, ok := p.At(file, at)
	if !ok {
		return "", Occurrence{}
	}
	switch here.Role {
	case Alias, Storage:
		for _, s := range p.Schemas {
			if here.Role == Alias && here.Symbol == s.symbol(Alias, here.Name) {
				return s.source(p, here.Name, s.Storage().Get("aliases").Entry(here.Name)), here
			}
			if here.Role == Storage && strings.HasPrefix(here.id, s.File+":") {
				if way, entry := s.entryOf(here.id); entry != nil {
					return s.source(p, way, entry) + s.users(way, entry), here
				}
			}
		}
	case View:
		for _, s := range p.Schemas {
			if here.Symbol == s.symbol(View, here.Name) {
				return p.viewText(s, here.Name), here
			}
		}
	case Request:
		return p.requestText(here), here
	case Plug:
		for _, s := range p.Snaps {
			if plug := s.Plug(here.Name); s.File == here.id && plug != nil {
				return p.plugText(s, plug), here
			}
		}
	case Hook:
		if kind, plug := snapfile.Split(here.Name); kind != "" {
			return fmt.Sprintf("hook `%s`: %s of plug `%s`", here.Name, hookKinds[kind], plug), here
		}
	}
	return "", Occurrence{}
}

// hookKinds says when each kind of hook runs.
var hookKinds = map[string]string{
	"change-view-":  "runs before a write is stored; it may refuse it, or change it; for custodians",
	"save-view-":    "runs before a write is stored, to keep ephemeral data; for custodians",
	"load-view-":    "runs before a read, to bring ephemeral data; for custodians",
	"query-view-":   "runs before a read; for custodians",
	"observe-view-": "runs after a write of another snap, or of the user",
	"prepare-plug-": "runs before the plug is connected", "connect-plug-": "runs when the plug is connected",
	"disconnect-plug-": "runs when the plug is disconnected", "unprepare-plug-": "runs when connecting the plug has failed",
}

// source returns the text of a definition in the file, without its indentation, as Markdown.
func (s *Schema) source(p *Project, name string, entry *document.Entry) string {
	text := p.workspace.Text(s.File)
	if entry == nil {
		return ""
	}
	indent := entry.KeyPos.Column - 1
	lines := []string{}
	last := text.BlockEnd(entry.KeyPos.Line, indent)
	for number := entry.KeyPos.Line; number <= last; number++ {
		line := []rune(text.Line(number))
		lines = append(lines, string(line[min(indent, len(line)):]))
		if len(lines) == 15 && number < last {
			lines = append(lines, "  …")
			break
		}
	}
	return fmt.Sprintf("`%s`: %s\n\n```yaml\n%s\n```\n", name, typeOf(entry.Value), strings.Join(lines, "\n"))
}

// entryOf returns the entry of the storage schema whose id is place, and its storage path.
func (s *Schema) entryOf(place string) (way string, entry *document.Entry) {
	var visit func(n *document.Node, prefix string, depth int)
	visit = func(n *document.Node, prefix string, depth int) {
		if depth > 12 || entry != nil {
			return
		}
		for _, n := range s.resolved(n, 0) {
			for i := range n.Get("schema").Keys() {
				e := n.Get("schema").Entry(n.Get("schema").Keys()[i])
				inner := strings.TrimPrefix(prefix+"."+e.Key, ".")
				if id(s.File, e.KeyPos) == place {
					way, entry = inner, e
					return
				}
				visit(e.Value, inner, depth+1)
			}
			if values := n.Get("values"); values != nil {
				next := strings.TrimPrefix(prefix+".{name}", ".")
				if n.Get("type").String() == "array" {
					next = prefix + "[{n}]"
				}
				visit(values, next, depth+1)
			}
		}
	}
	visit(s.Storage(), "", 0)
	return way, entry
}

// users returns a list, as Markdown, of the rules that read or write an entry, a part of it, or a container of it.
func (s *Schema) users(way string, entry *document.Entry) string {
	var lines []string
	for _, view := range s.engine().Views() {
		for _, rule := range s.engine().Rules(view) {
			for end := range rule.Storage {
				if s.resolve(rule.Storage[:end+1]) == entry {
					lines = append(lines, fmt.Sprintf("- view `%s`, request `%s`: %s", view, rule.Request.Bare(), access(rule.Readable, rule.Writable)))
					break
				}
			}
		}
	}
	for end := strings.LastIndex(way, "."); len(lines) == 0 && end > 0; end = strings.LastIndex(way[:end], ".") {
		above, err := path.ParseStorage(way[:end])
		if err != nil {
			break
		}
		for _, view := range s.engine().Views() {
			for _, rule := range s.engine().Rules(view) {
				if slices.EqualFunc(rule.Storage, above, func(a, b path.Accessor) bool { return a.Open() && b.Open() || a.Bare() == b.Bare() }) {
					lines = append(lines, fmt.Sprintf("- view `%s`, request `%s`, as a part of it: %s", view, rule.Request.Bare(), access(rule.Readable, rule.Writable)))
				}
			}
		}
	}
	if lines == nil {
		return "\nNo rule leads to it."
	}
	return "\n" + strings.Join(lines, "\n")
}

func access(read, write bool) string {
	switch {
	case read && write:
		return "read and write"
	case write:
		return "write"
	}
	return "read"
}

// viewText describes a view: its rules, and the plugs for it.
func (p *Project) viewText(s *Schema, view string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "view `%s/%s`", s.Header("name"), view)
	if summary := s.Headers.Get("views").Get(view).Get("summary").String(); summary != "" {
		out.WriteString(": " + summary)
	}
	out.WriteString("\n\n| request | storage | access | type |\n|---|---|---|---|\n")
	for _, rule := range s.engine().Rules(view) {
		fmt.Fprintf(&out, "| `%s` | `%s` | %s | %s |\n", rule.Request.Bare(), rule.Storage.Bare(), access(rule.Readable, rule.Writable),
			strings.ReplaceAll(s.describe(rule.Storage), "|", "\\|"))
	}
	for _, snap := range p.Snaps {
		for i := range snap.Plugs {
			if own, name := p.viewOf(snap, &snap.Plugs[i]); own == s && name == view {
				role := "snap"
				if snap.Plugs[i].Custodian() {
					role = "custodian"
				}
				fmt.Fprintf(&out, "\n- %s `%s`, plug `%s`", role, snap.Name, snap.Plugs[i].Name)
			}
		}
	}
	return out.String()
}

// requestText describes a step of a request path: the rules that it leads to.
func (p *Project) requestText(here Occurrence) string {
	for _, s := range p.Schemas {
		rest, ok := strings.CutPrefix(here.id, s.File+":"+s.Header("name")+"/")
		if !ok {
			continue
		}
		view, before, _ := strings.Cut(rest, ":")
		prefix := strings.TrimPrefix(before+"."+here.Name, ".")
		var out strings.Builder
		fmt.Fprintf(&out, "request `%s` of view `%s`\n\n| request | storage | access | type |\n|---|---|---|---|\n", prefix, view)
		found := false
		for _, rule := range s.engine().Rules(view) {
			request := rule.Request.Bare()
			if request == prefix || strings.HasPrefix(request, prefix+".") || strings.HasPrefix(request, prefix+"[") {
				found = true
				fmt.Fprintf(&out, "| `%s` | `%s` | %s | %s |\n", request, rule.Storage.Bare(), access(rule.Readable, rule.Writable), s.describe(rule.Storage))
			}
		}
		if found {
			return out.String()
		}
	}
	return ""
}

// plugText describes a plug: its view, and the hooks that are named after it.
func (p *Project) plugText(s *lint.Snap, plug *snapfile.Plug) string {
	own, view := p.viewOf(s, plug)
	if own == nil {
		return fmt.Sprintf("plug `%s` for view `%s`, whose confdb-schema is not in the workspace", plug.Name, plug.View)
	}
	text := fmt.Sprintf("plug `%s` of snap `%s`", plug.Name, s.Name)
	if plug.Custodian() {
		text += ", a custodian"
	}
	for _, h := range s.Hooks {
		if plugOfHook(s, h.Name) == plug {
			text += fmt.Sprintf("\n- hook `%s`", h.Name)
		}
	}
	return text + "\n\n" + p.viewText(own, view)
}
