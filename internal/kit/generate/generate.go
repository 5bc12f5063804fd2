// Package generate prints code and documentation from a confdb-schema: typed access in Go and Python, and tables of the views
// in Markdown and HTML. Its main type is Source. All printers use one model (View, Type): the tree of package viewschema with
// names and types for programming languages. The generated Go code uses package registry/typed.
//
//	source, err := generate.Load("lamp.yaml", parsed, document)
//	text, err := source.Python()
//
// The output depends on nothing but the Source.
package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/viewschema"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// A Source is a confdb-schema to print from.
type Source struct {
	File     string          // base name, for headers
	By       string          // program and version, for headers
	Parsed   *confdb.Schema  // with an account, which may be a placeholder
	Document json.RawMessage // in the form for `snap sign`
	Summary  string          // of the confdb-schema; "" for none

	summaries  map[string]string // of views
	parameters map[string]map[string]string
	presence   map[string]map[string]string
}

// New returns the Source of a confdb-schema. file and by are Source.File and Source.By. document is the JSON from which parsed was
// parsed. It returns an error if the headers of document cannot be read.
func New(file, by string, parsed *confdb.Schema, document json.RawMessage) (*Source, error) {
	s := &Source{File: file, By: by, Parsed: parsed, Document: document, summaries: map[string]string{},
		parameters: map[string]map[string]string{}, presence: map[string]map[string]string{}}
	var headers struct {
		Summary string `json:"summary"`
		Views   map[string]struct {
			Summary    string `json:"summary"`
			Parameters map[string]struct {
				Summary  string `json:"summary"`
				Presence string `json:"presence"`
			} `json:"parameters"`
		} `json:"views"`
	}
	if err := json.Unmarshal(document, &headers); err != nil {
		return nil, fmt.Errorf("cannot read the headers of %s: %w", file, err)
	}
	s.Summary = headers.Summary
	for name, view := range headers.Views {
		s.summaries[name] = view.Summary
		s.parameters[name], s.presence[name] = map[string]string{}, map[string]string{}
		for parameter, about := range view.Parameters {
			s.parameters[name][parameter], s.presence[name][parameter] = about.Summary, about.Presence
		}
	}
	return s, nil
}

// Digest returns a digest of the parts of the confdb-schema that the output depends on: account, name, revision, views and storage
// schema. It is a SHA-256 in hexadecimal digits. Comments and the form of the file do not count.
func (s *Source) Digest() string {
	var headers map[string]any
	if json.Unmarshal(s.Document, &headers) == nil {
		var body any
		if text, ok := headers["body"].(string); ok && json.Unmarshal([]byte(text), &body) == nil {
			headers["body"] = body
		}
		delete(headers, "timestamp")
	}
	text, err := json.Marshal(headers)
	if err != nil {
		text = s.Document
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Header returns the lines at the beginning of a generated file, which name its source.
func (s *Source) Header(language string) []string {
	return []string{
		fmt.Sprintf("Code generated from %s by %s registry generate %s. DO NOT EDIT.", s.File, s.By, language),
		fmt.Sprintf("confdb-schema %s, revision %d, SHA-256 %s", s.Parsed.ID(), s.Parsed.Revision, s.Digest()),
	}
}

// A View is a view with the types of its data.
type View struct {
	Name, Summary      string
	Rules              []confdb.Rule // in the order of the view
	Parameters         []Parameter   // sorted by name
	Readable, Writable bool
	// Data is the type of the documents that the view shows and accepts. Field.Only marks fields of one of the two.
	Data  *Type
	Items []Item // by request path
	// Paths are the request paths by which a document is written.
	Paths *Paths
}

// A Parameter is a constraint of reads: a parameter of field filters, or a placeholder for keys.
type Parameter struct {
	Name, Summary string
	Required      bool
	Placeholder   bool
}

// An Item is a request path of a view, with the type of its value.
type Item struct {
	Request            path.Path
	Placeholders       []path.Accessor // in the order of the request
	Readable, Writable bool
	Type               *Type
}

// Paths is a tree of the request paths by which a document is written. Own means that the place has a request path. A value is
// written by it, unless the places in Inner cover all of the value's members. The key {} stands for all other keys.
type Paths struct {
	Own   bool
	Inner map[string]*Paths
}

// Views returns the views, sorted by name. Names of types are unique among all views.
func (s *Source) Views() []View {
	names := namer{}
	var views []View
	for _, name := range s.Parsed.Views() {
		views = append(views, s.view(name, names))
	}
	return views
}

func (s *Source) view(name string, names namer) View {
	v := View{Name: name, Summary: s.summaries[name], Rules: s.Parsed.Rules(name)}
	reads, readable := viewschema.Tree(s.Parsed, name, viewschema.Read)
	writes, writable := viewschema.Tree(s.Parsed, name, viewschema.Write)
	v.Readable, v.Writable = readable, writable
	b := &builder{left: mostTypes}
	switch read, write := b.node(reads), b.node(writes); {
	case readable && writable:
		v.Data = merge(read, write)
		v.Data.mark(read, write)
	case readable:
		v.Data = read
	default:
		v.Data = write
	}
	names.name(v.Data, []string{name}, "data")
	if writable {
		v.Paths = paths(writes)
		s.together(name, v.Paths)
	}
	v.Parameters = s.constraints(name)
	for _, rule := range v.Rules {
		i := slices.IndexFunc(v.Items, func(item Item) bool { return item.Request.String() == rule.Request.String() })
		if i < 0 {
			item := Item{Request: rule.Request}
			for _, accessor := range rule.Request {
				if accessor.Open() {
					item.Placeholders = append(item.Placeholders, accessor)
				}
			}
			i, v.Items = len(v.Items), append(v.Items, item)
		}
		v.Items[i].Readable = v.Items[i].Readable || rule.Readable
		v.Items[i].Writable = v.Items[i].Writable || rule.Writable
		v.Items[i].Type = v.Data.at(rule.Request)
	}
	slices.SortFunc(v.Items, func(a, b Item) int { return strings.Compare(a.Request.String(), b.Request.String()) })
	return v
}

// constraints returns the parameters of reads of a view.
func (s *Source) constraints(view string) []Parameter {
	var list []Parameter
	add := func(p Parameter) {
		if !slices.ContainsFunc(list, func(other Parameter) bool { return other.Name == p.Name }) {
			list = append(list, p)
		}
	}
	for _, rule := range s.Parsed.Rules(view) {
		if !rule.Readable {
			continue
		}
		for _, accessor := range rule.Storage {
			for _, filter := range accessor.Filters {
				presence := s.presence[view][filter.Param]
				add(Parameter{Name: filter.Param, Summary: s.parameters[view][filter.Param],
					Required: presence == "required" || presence == "required-on-read"})
			}
			if accessor.Kind == path.KeyPlaceholder {
				add(Parameter{Name: accessor.Name, Placeholder: true})
			}
		}
	}
	slices.SortFunc(list, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// paths returns the places of the rules that end at a node and below. A list is written as a whole, since snapd writes elements in
// random order.
func paths(n *viewschema.Node) *Paths {
	p := &Paths{Own: len(n.Rules) > 0 || n.Element != nil, Inner: map[string]*Paths{}}
	if n.Element != nil {
		return p
	}
	for name, member := range n.Members {
		p.Inner[name] = paths(member.With(n.Other))
	}
	if n.Other != nil {
		p.Inner["{}"] = paths(n.Other)
	}
	return p
}

// together adds places for maps with required keys. These keys have to be written by one request, since snapd checks each request
// by itself.
func (s *Source) together(view string, p *Paths) {
	common := map[string]path.Path{}
	for _, rule := range s.Parsed.Rules(view) {
		if !rule.Writable {
			continue
		}
		at := []schema.Definition{s.Parsed.Storage().Root()}
		for depth, accessor := range rule.Storage {
			if slices.ContainsFunc(at, demands) {
				key := rule.Storage[:depth].String()
				request := rule.Request
				if other, there := common[key]; there {
					request = request[:shared(request, other)]
				}
				common[key] = request
			}
			var next []schema.Definition
			for _, of := range at {
				next = append(next, of.Step(accessor)...)
			}
			at = next
		}
	}
	for _, request := range common {
		if len(request) > 0 {
			p.stop(request)
		}
	}
}

// demands reports whether a definition, or one of its alternatives, is a map with required keys.
func demands(of schema.Definition) bool {
	if of.Kind() == "alt" {
		return slices.ContainsFunc(of.Below(), func(child schema.Child) bool { return demands(child.Definition) })
	}
	return slices.ContainsFunc(of.Required(), func(keys []string) bool { return len(keys) > 0 })
}

// shared returns the number of accessors that two paths have in common at their beginnings.
func shared(a, b path.Path) int {
	n := 0
	for n < min(len(a), len(b)) && a[n].Bare() == b[n].Bare() {
		n++
	}
	return n
}

// stop removes the places below a request path, so that values there are written as a whole.
func (p *Paths) stop(request path.Path) {
	if len(request) == 0 || len(p.Inner) == 0 {
		p.Own, p.Inner = true, map[string]*Paths{}
		return
	}
	for name, inner := range p.Inner {
		if request[0].Open() || name == request[0].Name {
			inner.stop(request[1:])
		}
	}
}
