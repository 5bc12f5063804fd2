package editor

import (
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/path"
)

// A Role is the kind of a symbol.
type Role string

// The roles of names.
const (
	Alias   Role = "alias"
	Storage Role = "storage" // an entry of a storage schema
	View    Role = "view"
	Request Role = "request" // a step of a request path
	Plug    Role = "plug"
	Hook    Role = "hook"
)

// A Symbol is a thing with a name, which several places use.
type Symbol struct {
	Role Role
	Name string // as the files have it
	id   string // its definition's place, or the thing that it belongs to
}

// An Occurrence is a place with the name of a symbol.
type Occurrence struct {
	Symbol
	File       string
	Start, End document.Position
	Definition bool
}

// Index returns all occurrences of the project.
func (p *Project) Index() []Occurrence {
	if p.index != nil {
		return p.index
	}
	p.index = []Occurrence{}
	for _, s := range p.Schemas {
		(&indexer{Project: p, file: s.File, text: p.workspace.Text(s.File)}).schema(s)
	}
	for _, s := range p.Snaps {
		(&indexer{Project: p, file: s.File, text: edit.NewText(s.Text)}).snap(s)
		for _, h := range s.Hooks {
			if h.File != s.File {
				(&indexer{Project: p, file: h.File, text: p.workspace.Text(h.File)}).hook(s)
			}
		}
		if s.Table != nil {
			(&indexer{Project: p, file: s.Table.File}).table(s)
		}
	}
	for _, file := range p.tests {
		(&indexer{Project: p, file: file, text: p.workspace.Text(file)}).test()
	}
	return p.index
}

// At returns the occurrence at a position of a file.
func (p *Project) At(file string, at document.Position) (Occurrence, bool) {
	for _, o := range p.Index() {
		if o.File == file && o.Start.Line == at.Line && o.Start.Column <= at.Column && at.Column <= o.End.Column {
			return o, true
		}
	}
	return Occurrence{}, false
}

// References returns the occurrences of the symbol at a position. The definitions come first; they are left out unless definition is
// true.
func (p *Project) References(file string, at document.Position, definition bool) []Occurrence {
	here, ok := p.At(file, at)
	if !ok {
		return nil
	}
	var definitions, others []Occurrence
	for _, o := range p.Index() {
		switch {
		case o.Symbol != here.Symbol:
		case o.Definition:
			definitions = append(definitions, o)
		default:
			others = append(others, o)
		}
	}
	if definition {
		return append(definitions, others...)
	}
	return others
}

// Definitions returns the places that define the symbol at a position. They are the rules for a step of a request path, and the file
// of a hook.
func (p *Project) Definitions(file string, at document.Position) []Occurrence {
	here, ok := p.At(file, at)
	if !ok {
		return nil
	}
	var list []Occurrence
	for _, o := range p.Index() {
		if o.Symbol == here.Symbol && o.Definition {
			list = append(list, o)
		}
	}
	return list
}

// An indexer collects the occurrences of one file.
//
// It has many methods because it has those of the project, whose documents it reads.
type indexer struct {
	*Project
	file string
	text *edit.Text
}

// add adds an occurrence whose name begins at a position.
func (x *indexer) add(symbol Symbol, start document.Position, definition bool) {
	end := start
	end.Column += len([]rune(symbol.Name))
	x.index = append(x.index, Occurrence{symbol, x.file, start, end, definition})
}

// inside returns the position of the first character of a scalar's text, behind its quote. ok is false if the file has the text in
// another form.
func (x *indexer) inside(at document.Position, text string) (document.Position, bool) {
	rest := string(x.text.Bytes()[x.text.Offset(at):])
	if strings.HasPrefix(rest, `"`+text) || strings.HasPrefix(rest, "'"+text) {
		at.Column++
		return at, true
	}
	return at, strings.HasPrefix(rest, text)
}

// id returns an identifier of the definition at a position, which no other definition has.
func id(file string, at document.Position) string {
	return fmt.Sprintf("%s:%d:%d", file, at.Line, at.Column)
}

func (s *Schema) symbol(role Role, name string) Symbol {
	return Symbol{role, name, s.File + ":" + s.Header("name")}
}

func (s *Schema) request(view, name, before string) Symbol {
	return Symbol{Request, name, s.File + ":" + s.Header("name") + "/" + view + ":" + before}
}

func (s *Schema) entry(e *document.Entry) Symbol { return Symbol{Storage, e.Key, id(s.File, e.KeyPos)} }

func (x *indexer) schema(s *Schema) {
	storage := s.Storage()
	for _, entry := range entries(storage.Get("aliases")) {
		if at, ok := x.inside(entry.KeyPos, entry.Key); ok {
			x.add(s.symbol(Alias, entry.Key), at, true)
		}
		x.definition(s, entry.Value)
	}
	x.definition(s, storage)
	for _, entry := range entries(s.Headers.Get("views")) {
		if at, ok := x.inside(entry.KeyPos, entry.Key); ok {
			x.add(s.symbol(View, entry.Key), at, true)
		}
		x.rules(s, entry.Key, entry.Value.Get("rules"), nil, nil)
	}
}

// definition adds the names in a definition of a type: those of entries and aliases.
func (x *indexer) definition(s *Schema, n *document.Node) {
	switch {
	case n.Is(document.String):
		if name, ok := aliasName(n.Text); ok {
			if at, ok := x.inside(n.Pos, n.Text); ok {
				at.Column += len("${")
				x.add(s.symbol(Alias, name), at, false)
			}
		}
	case n.Is(document.List):
		for _, item := range n.Items {
			x.definition(s, item)
		}
	case n.Is(document.Map):
		x.definition(s, n.Get("type"))
		x.definition(s, n.Get("keys"))
		x.definition(s, n.Get("values"))
		for _, entry := range entries(n.Get("schema")) {
			if at, ok := x.inside(entry.KeyPos, entry.Key); ok {
				x.add(s.entry(&entry), at, true)
			}
			x.definition(s, entry.Value)
		}
		for _, item := range n.Get("required").List() {
			for _, key := range append([]*document.Node{item}, item.List()...) {
				if entry := n.Get("schema").Entry(key.String()); entry != nil && key.String() != "" {
					if at, ok := x.inside(key.Pos, key.Text); ok {
						x.add(s.entry(entry), at, false)
					}
				}
			}
		}
	}
}

// rules adds the steps of the paths of rules. above are the paths of the rule around them.
func (x *indexer) rules(s *Schema, view string, rules *document.Node, aboveRequest, aboveStorage path.Path) {
	for _, rule := range rules.List() {
		storage, err := path.ParseStorage(rule.Get("storage").String())
		if err != nil {
			continue
		}
		full := append(aboveStorage[:len(aboveStorage):len(aboveStorage)], storage...)
		x.steps(rule.Get("storage"), storage, func(i int) (Symbol, bool) {
			entry := s.resolve(full[:len(aboveStorage)+i+1])
			if entry == nil {
				return Symbol{}, false
			}
			return s.entry(entry), false
		})
		node, request := rule.Get("request"), storage
		if node != nil {
			if request, err = path.ParseRuleRequest(node.String()); err != nil {
				continue
			}
			x.steps(node, request, func(i int) (Symbol, bool) {
				return s.request(view, request[i].Name, append(aboveRequest[:len(aboveRequest):len(aboveRequest)], request[:i]...).Bare()), true
			})
		}
		x.rules(s, view, rule.Get("content"), append(aboveRequest[:len(aboveRequest):len(aboveRequest)], request...), full)
	}
}

// steps adds the names in a path. symbol returns the symbol of the step with an index, and whether the path defines it.
func (x *indexer) steps(node *document.Node, steps path.Path, symbol func(i int) (Symbol, bool)) {
	at, ok := x.inside(node.Pos, node.Text)
	if !ok {
		return
	}
	offset := 0
	for i, accessor := range steps {
		if accessor.Kind == path.Key {
			begin := strings.Index(node.Text[offset:], accessor.Name)
			if begin < 0 {
				return
			}
			if named, definition := symbol(i); named.Name != "" {
				x.add(named, document.Position{Line: at.Line, Column: at.Column + len([]rune(node.Text[:offset+begin]))}, definition)
			}
			offset += begin + len(accessor.Name)
			continue
		}
		if end := strings.Index(node.Text[offset:], accessor.Bare()); end >= 0 {
			offset += end + len(accessor.Bare())
		}
	}
}

// resolve returns the entry of the storage schema that a storage path ends at, or nil.
func (s *Schema) resolve(steps path.Path) *document.Entry {
	nodes := []*document.Node{s.Storage()}
	var entry *document.Entry
	for _, accessor := range steps {
		entry = nil
		var next []*document.Node
		for _, n := range nodes {
			for _, n := range s.resolved(n, 0) {
				if accessor.Kind == path.Key {
					if found := n.Get("schema").Entry(accessor.Name); found != nil {
						if entry == nil {
							entry = found
						}
						next = append(next, found.Value)
						continue
					}
				} else {
					for _, inner := range entries(n.Get("schema")) {
						next = append(next, inner.Value)
					}
				}
				if values := n.Get("values"); values != nil {
					next = append(next, values)
				}
			}
		}
		nodes = next
	}
	return entry
}

// resolved returns the maps that a definition may stand for: it replaces aliases and alternatives.
func (s *Schema) resolved(n *document.Node, depth int) []*document.Node {
	if depth > 20 {
		return nil
	}
	var list []*document.Node
	switch {
	case n.Is(document.String):
		if name, ok := aliasName(n.Text); ok {
			return s.resolved(s.Storage().Get("aliases").Get(name), depth+1)
		}
	case n.Is(document.List):
		for _, item := range n.Items {
			list = append(list, s.resolved(item, depth+1)...)
		}
	case n.Is(document.Map):
		list = []*document.Node{n}
		if name, ok := aliasName(n.Get("type").String()); ok {
			list = append(list, s.resolved(s.Storage().Get("aliases").Get(name), depth+1)...)
		}
	}
	return list
}

func aliasName(text string) (string, bool) {
	name, ok := strings.CutPrefix(text, "${")
	if !ok || !strings.HasSuffix(name, "}") {
		return "", false
	}
	return strings.TrimSuffix(name, "}"), true
}

func entries(n *document.Node) []document.Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

func (x *indexer) snap(s *lint.Snap) {
	for i := range s.Plugs {
		plug := &s.Plugs[i]
		if !plug.Confdb() || plug.Entry.Value == nil {
			continue
		}
		if at, ok := x.inside(plug.Entry.KeyPos, plug.Name); ok {
			x.add(plugSymbol(s, plug.Name), at, true)
		}
		if own, view := x.viewOf(s, plug); own != nil {
			node := plug.Entry.Value.Get("view")
			if at, ok := x.inside(node.Pos, node.Text); ok {
				at.Column += len([]rune(node.Text)) - len([]rune(view))
				x.add(own.symbol(View, view), at, false)
			}
		}
	}
	for _, section := range []string{"apps", "hooks"} {
		for _, entry := range entries(s.Top.Get(section)) {
			for _, used := range entry.Value.Get("plugs").List() {
				if plug := s.Plug(used.String()); plug.Confdb() {
					if at, ok := x.inside(used.Pos, used.Text); ok {
						x.add(plugSymbol(s, used.Text), at, false)
					}
				}
			}
			if section == "hooks" {
				if at, ok := x.inside(entry.KeyPos, entry.Key); ok {
					x.add(hookSymbol(s, entry.Key), at, false)
				}
			}
		}
	}
	for _, h := range s.Hooks {
		if h.File != s.File {
			symbol := hookSymbol(s, h.Name)
			begin := document.Position{Line: 1, Column: 1}
			x.index = append(x.index, Occurrence{symbol, h.File, begin, begin, true})
		}
	}
}

// table adds the names in the table of the hooks: those of plugs, and the steps of requests.
func (x *indexer) table(s *lint.Snap) {
	requests := func(plug string, words []snapfile.Word) {
		own, view := x.viewOf(s, s.Plug(plug))
		if own == nil {
			return
		}
		for _, word := range words {
			at, before := word.At, ""
			for step := range strings.SplitSeq(word.Text, ".") {
				x.add(own.request(view, step, before), at, false)
				at.Column += len(step) + 1
				before = strings.TrimPrefix(before+"."+step, ".")
			}
		}
	}
	for _, plug := range []snapfile.Word{s.Table.Admin, s.Table.Secrets} {
		if s.Plug(plug.Text).Confdb() {
			x.add(plugSymbol(s, plug.Text), plug.At, false)
		}
	}
	requests(s.Table.Admin.Text, slices.Concat(s.Table.Plain, s.Table.Secret))
	requests(s.Table.Secrets.Text, s.Table.Secret)
}

func plugSymbol(s *lint.Snap, name string) Symbol { return Symbol{Plug, name, s.File} }
func hookSymbol(s *lint.Snap, name string) Symbol { return Symbol{Hook, name, s.File} }

// plugOfHook returns the plug that a hook is named after.
func plugOfHook(s *lint.Snap, hook string) *snapfile.Plug {
	_, name := snapfile.Split(hook)
	return s.Plug(name)
}
