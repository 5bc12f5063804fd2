package editor

import (
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/path"
)

// Renamable returns the occurrence at a position. It returns an error if its symbol cannot be renamed.
func (p *Project) Renamable(file string, at document.Position) (Occurrence, error) {
	here, ok := p.At(file, at)
	switch {
	case !ok:
		return here, fmt.Errorf("there is nothing here that has a name: put the cursor on an entry, an alias, a view, a request or a plug")
	case here.Role == Hook:
		return here, fmt.Errorf("a hook is named after its plug: rename the plug")
	}
	for _, s := range p.Schemas {
		if s.Form == document.Assertion && p.uses(here.Symbol, s.File) {
			return here, fmt.Errorf("%s is signed, and names %s: a change would break the signature", s.File, here.Name)
		}
		if !s.current && p.uses(here.Symbol, s.File) {
			return here, fmt.Errorf("%s cannot be read as it is: mend it first", s.File)
		}
	}
	return here, nil
}

func (p *Project) uses(symbol Symbol, file string) bool {
	return slices.ContainsFunc(p.Index(), func(o Occurrence) bool { return o.File == file && o.Symbol == symbol })
}

// Rename returns the change that gives the symbol at a position another name, in confdb-schemas, snaps' files, hooks and test
// scripts. With an entry of the storage schema it renames the steps of requests that have its name. It returns an error if the symbol
// cannot have the name.
func (p *Project) Rename(file string, at document.Position, name string) (*edit.Fix, error) {
	here, err := p.Renamable(file, at)
	if err != nil {
		return nil, err
	}
	if !path.ValidSubkey(name) {
		return nil, fmt.Errorf("%q cannot be a name: want a letter, then letters, digits and single hyphens", name)
	}
	fix := &edit.Fix{Title: fmt.Sprintf("rename %s to %s", here.Name, name)}
	symbols := []Symbol{here.Symbol}
	if here.Role == Storage {
		symbols = append(symbols, p.requestsOf(here.Symbol)...)
	}
	for _, symbol := range symbols {
		if taken := p.taken(symbol, name); taken != "" {
			return nil, fmt.Errorf("cannot rename %s to %s: %s", here.Name, name, taken)
		}
	}
	for _, o := range p.Index() {
		e := edit.Edit{File: o.File, Start: o.Start, End: o.End, Text: name}
		if slices.Contains(symbols, o.Symbol) && !slices.Contains(fix.Edits, e) { // the hooks' table has secrets for two views
			fix.Edits = append(fix.Edits, e)
		}
	}
	if here.Role == Plug {
		p.renameHooks(fix, here.Symbol, name)
	}
	for _, e := range fix.Edits {
		if !p.workspace.Contains(e.File) {
			return nil, fmt.Errorf("%s is outside of the workspace, and names %s", e.File, here.Name)
		}
	}
	return fix, nil
}

// requestsOf returns the steps of requests that lead to an entry of the storage schema and have its name. Such a step has the same
// distance from the end of the request path as the entry has from the end of the storage path.
func (p *Project) requestsOf(entry Symbol) []Symbol {
	var list []Symbol
	for _, s := range p.Schemas {
		if !strings.HasPrefix(entry.id, s.File+":") {
			continue
		}
		for _, view := range s.engine().Views() {
			for _, rule := range s.engine().Rules(view) {
				for back := 1; back <= min(len(rule.Request), len(rule.Storage)); back++ {
					i, j := len(rule.Request)-back, len(rule.Storage)-back
					if rule.Request[i].Bare() != rule.Storage[j].Bare() {
						break
					}
					found := s.resolve(rule.Storage[:j+1])
					if rule.Request[i].Kind == path.Key && found != nil && s.entry(found) == entry {
						if symbol := s.request(view, entry.Name, rule.Request[:i].Bare()); !slices.Contains(list, symbol) {
							list = append(list, symbol)
						}
					}
				}
				// Below the end of a rule, the names of entries are steps of requests.
				list = append(list, s.inner(view, rule.Request, rule.Storage, entry)...)
			}
		}
	}
	return list
}

// inner returns the step of a request for an entry below the end of a rule, which has these paths.
func (s *Schema) inner(view string, request, storage path.Path, entry Symbol) []Symbol {
	way, found := s.entryOf(entry.id)
	if found == nil {
		return nil
	}
	full, err := path.ParseStorage(way)
	if err != nil || len(full) <= len(storage) {
		return nil
	}
	for i, accessor := range storage {
		if accessor.Open() != full[i].Open() || !accessor.Open() && accessor.Bare() != full[i].Bare() {
			return nil
		}
	}
	before := append(request[:len(request):len(request)], full[len(storage):len(full)-1]...)
	return []Symbol{s.request(view, entry.Name, before.Bare())}
}

// taken returns the reason why a symbol cannot have a name that another one has, or "".
func (p *Project) taken(symbol Symbol, name string) string {
	other := symbol
	other.Name = name
	switch symbol.Role {
	case Storage:
		for _, s := range p.Schemas {
			if !strings.HasPrefix(symbol.id, s.File+":") {
				continue
			}
			if beside := s.beside(symbol.id); beside != nil && beside.Entry(name) != nil {
				return "there is an entry of that name beside it"
			}
		}
	case Plug:
		for _, s := range p.Snaps {
			if s.File == symbol.id && s.Plug(name) != nil {
				return "the snap has a plug of that name"
			}
		}
	default:
		if slices.ContainsFunc(p.Index(), func(o Occurrence) bool { return o.Symbol == other && o.Definition }) {
			return fmt.Sprintf("there is another %s of that name", symbol.Role)
		}
	}
	return ""
}

// beside returns the map that has an entry, by the entry's id.
func (s *Schema) beside(place string) *document.Node {
	var found *document.Node
	var visit func(n *document.Node, depth int)
	visit = func(n *document.Node, depth int) {
		if n == nil || found != nil || depth > 60 {
			return
		}
		for _, entry := range n.Entries {
			if id(s.File, entry.KeyPos) == place {
				found = n
				return
			}
			visit(entry.Value, depth+1)
		}
		for _, item := range n.Items {
			visit(item, depth+1)
		}
	}
	visit(s.Storage(), 0)
	return found
}

// renameHooks adds the renames of a plug's hooks to a fix: those of their files, and of their names in snaps' files and test scripts.
func (p *Project) renameHooks(fix *edit.Fix, plug Symbol, name string) {
	for _, s := range p.Snaps {
		if s.File != plug.id {
			continue
		}
		for _, h := range s.Hooks {
			kind, of := snapfile.Split(h.Name)
			if kind == "" || of != plug.Name {
				continue
			}
			if h.File != s.File && strings.HasSuffix(h.File, h.Name) {
				fix.Rename = append(fix.Rename, edit.Rename{From: h.File, To: strings.TrimSuffix(h.File, h.Name) + kind + name})
			}
			for _, o := range p.Index() {
				if o.Symbol == hookSymbol(s, h.Name) && !o.Definition {
					start := o.Start
					start.Column += len([]rune(kind))
					e := edit.Edit{File: o.File, Start: start, End: o.End, Text: name}
					if !slices.Contains(fix.Edits, e) { // scripts name the plug in the hook
						fix.Edits = append(fix.Edits, e)
					}
				}
			}
		}
	}
}
