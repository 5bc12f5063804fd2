package generate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/registry/confdb"
)

// A page is the documentation of a confdb-schema, before it is printed as Markdown or HTML.
type page struct {
	title, summary string
	header         []string
	views          []section
	links          []link
	storage        []string // names of the parts of the storage that links lead to, sorted
}

// A section is the documentation of one view.
type section struct {
	name, summary string
	access        []string // sentences that say who may do what
	parameters    []row
	rows          []row
	examples      []string // command lines
}

// A row has the cells of a table: those of columns or of parameters.
type row []cell

type cell struct {
	text string
	code bool // it is a path or a value
}

// A link is a connection from a view to a part of the storage.
type link struct {
	view, storage string
	read, write   bool
}

func (l link) label() string {
	switch {
	case l.read && l.write:
		return "reads, writes"
	case l.read:
		return "reads"
	}
	return "writes"
}

var (
	columns    = []string{"request", "type", "demands", "access", "stored at"}
	parameters = []string{"constraint", "what it is", "needed"}
)

func (s *Source) page() page {
	p := page{title: s.Parsed.ID(), summary: s.Summary, header: s.Header("docs")}
	for _, v := range s.Views() {
		one := section{name: v.Name, summary: v.Summary, access: s.access(v), examples: s.examples(v)}
		for _, rule := range v.Rules {
			one.rows = append(one.rows, v.row(rule))
			p.link(v.Name, rule)
		}
		for _, parameter := range v.Parameters {
			about, needed := parameter.Summary, "no"
			if parameter.Placeholder {
				about = "only the entry of this name"
			}
			if parameter.Required {
				needed = "yes"
			}
			one.parameters = append(one.parameters, row{{parameter.Name, true}, {about, false}, {needed, false}})
		}
		p.views = append(p.views, one)
	}
	slices.Sort(p.storage)
	return p
}

func (v View) row(rule confdb.Rule) row {
	i := slices.IndexFunc(v.Items, func(item Item) bool { return item.Request.String() == rule.Request.String() })
	of, access := v.Items[i].Type, "write"
	switch {
	case rule.Readable && rule.Writable:
		access = "read, write"
	case rule.Readable:
		access = "read"
	}
	return row{{rule.Request.String(), true}, {of.Words(), false}, {strings.Join(of.Notes(true), "; "), false}, {access, false}, {rule.Storage.String(), true}}
}

// Words describes a type for people in a few words.
func (t *Type) Words() string {
	switch t.Kind {
	case Text:
		return "text"
	case Int:
		return "whole number"
	case Number:
		return "number"
	case Bool:
		return "true or false"
	case List:
		return "list of " + t.Element.Words()
	case Map:
		return "map of " + t.Element.Words()
	case Struct:
		var names []string
		for _, field := range t.Fields {
			names = append(names, field.Name)
		}
		if t.Element != nil {
			names = append(names, "others")
		}
		return "map with " + strings.Join(names, ", ")
	case Union:
		var list []string
		for _, alternative := range t.Alternatives {
			list = append(list, alternative.Words())
		}
		return strings.Join(slices.Compact(list), " or ")
	}
	return "anything"
}

// access returns sentences that say who may do what with a view.
func (s *Source) access(v View) []string {
	plug := fmt.Sprintf("A snap with a connected plug (interface confdb, account %s, view %s/%s)", s.Parsed.Account, s.Parsed.Name, v.Name)
	var list []string
	switch {
	case v.Readable && v.Writable:
		list = append(list, plug+" reads and writes it with snapctl, and root does with snap get and snap set.")
	case v.Readable:
		list = append(list, plug+" reads it with snapctl get, and root does with snap get. Nobody writes through it.")
	default:
		list = append(list, plug+" writes it with snapctl set, and root does with snap set. Nobody reads through it.")
	}
	list = append(list, "Every access needs a connected snap that is custodian of this view; its hooks can change or refuse a write.")
	secret, ephemeral := false, false
	v.Data.each(func(t *Type) { secret, ephemeral = secret || t.Secret, ephemeral || t.Ephemeral })
	if secret && v.Readable {
		list = append(list, "Users other than root do not see secrets.")
	}
	if ephemeral {
		list = append(list, "Ephemeral data are kept by the custodian: it needs a load-view hook for reads and a save-view hook for writes.")
	}
	return list
}

// each calls visit with a type and all types inside it.
func (t *Type) each(visit func(*Type)) {
	if t == nil {
		return
	}
	visit(t)
	t.Element.each(visit)
	for _, field := range t.Fields {
		field.Type.each(visit)
	}
	for _, alternative := range t.Alternatives {
		alternative.each(visit)
	}
}

// link adds a link for a rule. It leads to the first two names of the storage path, since the first one is often a version.
func (p *page) link(view string, rule confdb.Rule) {
	storage := ""
	for i, accessor := range rule.Storage {
		if i == 2 || accessor.Open() || accessor.List() {
			break
		}
		storage = strings.TrimPrefix(storage+"."+accessor.Name, ".")
	}
	if storage == "" {
		storage = rule.Storage[0].Bare()
	}
	if !slices.Contains(p.storage, storage) {
		p.storage = append(p.storage, storage)
	}
	i := slices.IndexFunc(p.links, func(l link) bool { return l.view == view && l.storage == storage })
	if i < 0 {
		i, p.links = len(p.links), append(p.links, link{view: view, storage: storage})
	}
	p.links[i].read, p.links[i].write = p.links[i].read || rule.Readable, p.links[i].write || rule.Writable
}

// mostExamples limits the examples of a view.
const mostExamples = 8

// examples returns command lines that write through a view, and one that reads. The engine accepts the writes in this order.
func (s *Source) examples(v View) []string {
	id := s.Parsed.ID() + "/" + v.Name
	var lines []string
	for _, item := range v.Items {
		request, ok := item.sampled(v.Data)
		if !item.Writable || !ok || len(lines) == mostExamples {
			continue
		}
		value, ok := item.Type.sample()
		if !ok || !s.accepts(v.Name, request, value) {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			continue
		}
		word := string(text)
		if plain, isText := value.(string); isText && !json.Valid([]byte(plain)) {
			word = plain
		}
		lines = append(lines, "snap set "+id+" "+shellWord(request+"="+word))
	}
	if v.Readable && !slices.ContainsFunc(v.Parameters, func(p Parameter) bool { return p.Required }) {
		lines = append(lines, "snap get -d "+id)
	}
	return lines
}

// shellWord returns a word for a shell, in quotes if it needs them.
func shellWord(word string) string {
	if strings.ContainsFunc(word, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.=/:@%+,", c))
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
