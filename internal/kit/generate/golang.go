package generate

import (
	"fmt"
	"go/format"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/path"
)

var goPackage = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Go returns the source of a Go package over registry/typed: a struct for each kind of map, and a type for each view. name is the
// package's name; "" means the confdb-schema's name. It returns an error if the name cannot be that of a package.
func (s *Source) Go(name string) ([]byte, error) {
	if name == "" {
		if name = strings.ReplaceAll(s.Parsed.Name, "-", ""); token.IsKeyword(name) {
			name += "db"
		}
	}
	if !goPackage.MatchString(name) || token.IsKeyword(name) {
		return nil, fmt.Errorf("%q cannot be the name of a Go package", name)
	}
	views := s.Views()
	g := &golang{}
	for _, line := range s.Header("go") {
		g.linef("// %s", oneLine(line))
	}
	g.linef("\n// Package %s has typed access to the views of the confdb-schema %s.", name, s.Parsed.Name)
	if s.Summary != "" {
		g.linef("//\n// %s", oneLine(s.Summary))
	}
	g.linef("package %s\n", name)
	g.linef("import (\n\"aspects-poc/registry\"\n\"aspects-poc/registry/typed\"\n)\n")
	g.linef("var schema = typed.NewSchema(%s)\n", strconv.Quote(string(s.Document)))
	g.linef("// Schemas returns the confdb-schema, for registry.Options.")
	g.linef("func Schemas() ([]registry.Schema, error) { return schema.Schemas() }\n")
	names := namer{}
	for _, t := range structs(views) {
		names.unique("type", t.Name)
		if t.Kind == Struct {
			g.structure(t)
		} else {
			g.choices(t, views)
		}
	}
	for _, view := range views {
		g.view(s, view, camel(names.unique("view "+view.Name, view.Name, view.Name+"-view")))
	}
	text, err := format.Source([]byte(g.text.String()))
	if err != nil {
		return nil, fmt.Errorf("internal error: what was generated is no Go: %w", err)
	}
	return text, nil
}

type golang struct {
	text     strings.Builder
	constant []string // names of the constants that are printed already
}

func (g *golang) linef(format string, args ...any) { fmt.Fprintf(&g.text, format+"\n", args...) }

func (g *golang) structure(t *Type) {
	name := camel(t.Name)
	about := "is a map with these entries. What is nil is not there."
	if t.Required != nil {
		about += " It needs " + strings.Join(t.Required, ", or ") + "."
	}
	g.linef("// %s %s\ntype %s struct {", name, about, name)
	var used []string
	fields := map[string]string{}
	for _, f := range t.Fields {
		field := camel(f.Name)
		for slices.Contains(used, field) {
			field += "_"
		}
		used, fields[f.Name] = append(used, field), field
		comment := ""
		if notes := f.Notes(); len(notes) > 0 {
			comment = " // " + strings.Join(notes, "; ")
		}
		g.linef("%s %s `json:\"%s,omitzero\"`%s", field, optional(f.Type), f.Name, comment)
	}
	if t.Element == nil {
		g.linef("}\n")
		return
	}
	entries := "Entries"
	for slices.Contains(used, entries) {
		entries += "_"
	}
	g.linef("%s map[string]%s `json:\"-\"` // all others, by name\n}\n", entries, goType(t.Element))
	g.linef("// MarshalJSON encodes all entries in one object.\nfunc (v %s) MarshalJSON() ([]byte, error) {", name)
	g.linef("type plain %s\nreturn typed.Marshal(plain(v), v.%s)\n}\n", name, entries)
	g.linef("// UnmarshalJSON decodes an object.\nfunc (v *%s) UnmarshalJSON(text []byte) error {", name)
	var literal []string
	for _, f := range t.Fields {
		literal = append(literal, strconv.Quote(f.Name))
	}
	g.linef("type plain %s\nreturn typed.Unmarshal(text, (*plain)(v), &v.%s, %s)\n}\n", name, entries, strings.Join(literal, ", "))
}

// choices prints a type for a text with choices, and a constant for each choice.
func (g *golang) choices(t *Type, views []View) {
	name := camel(t.Name)
	g.linef("// %s is one of few texts. A later revision of the confdb-schema may allow more.\ntype %s string\n\nconst (", name, name)
	taken := func(constant string) bool {
		return slices.Contains(g.constant, constant) ||
			slices.ContainsFunc(structs(views), func(other *Type) bool { return camel(other.Name) == constant }) ||
			slices.ContainsFunc(views, func(v View) bool {
				return slices.Contains([]string{camel(v.Name), camel(v.Name + "-view"), "New" + camel(v.Name), "New" + camel(v.Name+"-view")}, constant)
			})
	}
	for i, choice := range t.Choices {
		constant := name + camel(choice)
		if constant == name || taken(constant) {
			constant = fmt.Sprintf("%sChoice%d", name, i+1)
		}
		for taken(constant) {
			constant += "_"
		}
		g.constant = append(g.constant, constant)
		g.linef("%s %s = %s", constant, name, strconv.Quote(choice))
	}
	g.linef(")\n")
}

// optional returns the type of a value that may be missing.
func optional(t *Type) string {
	text := goType(t)
	if text == "any" || strings.HasPrefix(text, "[]") || strings.HasPrefix(text, "map[") {
		return text
	}
	return "*" + text
}

func goType(t *Type) string {
	switch t.Kind {
	case Text:
		if t.Choices != nil {
			return camel(t.Name)
		}
		return "string"
	case Int:
		return "int64"
	case Number:
		return "float64"
	case Bool:
		return "bool"
	case List:
		if t.Gaps {
			return "[]" + optional(t.Element)
		}
		return "[]" + goType(t.Element)
	case Map:
		return "map[string]" + goType(t.Element)
	case Struct:
		return camel(t.Name)
	case Union: // types that only differ in what they demand
		first := goType(t.Alternatives[0])
		if !slices.ContainsFunc(t.Alternatives, func(other *Type) bool { return goType(other) != first }) {
			return first
		}
	}
	return "any"
}

func (g *golang) view(s *Source, v View, class string) {
	about := "is the view " + v.Name + "."
	if v.Summary != "" {
		about += " " + oneLine(v.Summary)
	}
	variable := "spec" + class
	var paths []string
	v.Paths.walk("", func(text string) { paths = append(paths, ", "+strconv.Quote(text)) })
	g.linef("var %s = typed.NewSpec(schema, %s%s)\n", variable, strconv.Quote(s.Parsed.ID()+"/"+v.Name), strings.Join(paths, ""))
	kind := "View"
	switch {
	case !v.Writable:
		kind = "Reader"
	case !v.Readable:
		kind = "Writer"
	}
	kind += "[" + goType(v.Data) + "]"
	g.linef("// %s %s\ntype %s struct{ typed.%s }\n", class, about, class, kind)
	for _, parameter := range v.Parameters {
		if parameter.Required {
			g.linef("// Reads of %s need a constraint for %s: use GetWith.\n", v.Name, parameter.Name)
		}
	}
	g.linef("// New%s returns the view of an open registry.", class)
	g.linef("func New%s(reg *registry.Registry) %s { return %s{typed.New%s(reg, %s)} }\n", class, class, class, kind, variable)
	taken := []string{"get", "get-with", "set", "unset", "update", "watch", "raw", "check", "reader", "writer", "view"}
	for i, name := range v.members(taken...) {
		g.item(v.Items[i], class, camel(name), variable)
	}
}

// walk calls visit with each request path, with "!" behind those that are written as a whole.
func (p *Paths) walk(at string, visit func(string)) {
	if p == nil {
		return
	}
	switch {
	case p.Own && at != "" && len(p.Inner) == 0:
		visit(at + "!")
	case p.Own && at != "":
		visit(at)
	}
	for _, name := range sorted(p.Inner) {
		below := name
		if at != "" {
			below = at + "." + name
		}
		p.Inner[name].walk(below, visit)
	}
}

func (g *golang) item(item Item, class, name, variable string) {
	var arguments, given []string
	for i, placeholder := range item.Placeholders {
		kind := "string"
		if placeholder.Kind == path.IndexPlaceholder {
			kind = "int"
		}
		argument := goArgument(placeholder.Name)
		if slices.Contains(given, argument) {
			argument = fmt.Sprintf("%s%d", argument, i+1)
		}
		arguments, given = append(arguments, argument+" "+kind), append(given, argument)
	}
	request := strconv.Quote(item.pattern())
	if len(given) > 0 {
		request = fmt.Sprintf("typed.At(%s, %s)", request, strings.Join(given, ", "))
	}
	kind, with := "Item", "v.Raw(), "+variable+", "
	switch {
	case !item.Writable:
		kind, with = "ReadItem", "v.Raw(), "
	case !item.Readable:
		kind = "WriteItem"
	}
	kind += "[" + goType(item.Type) + "]"
	about := strings.Join(append([]string{item.Request.String()}, item.Type.Notes(true)...), "; ")
	g.linef("// %s is the request path %s.", name, about)
	g.linef("func (v %s) %s(%s) typed.%s { return typed.New%s(%s%s) }\n", class, name, strings.Join(arguments, ", "), kind, kind, with, request)
}

// goArgument returns a name for an argument.
func goArgument(name string) string {
	text := camel(name)
	text = strings.ToLower(text[:1]) + text[1:]
	if token.IsKeyword(text) || text == "v" || text == "typed" || text == "registry" || strings.HasPrefix(text, "spec") {
		text += "_"
	}
	return text
}
