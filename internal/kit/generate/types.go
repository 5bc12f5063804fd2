package generate

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/viewschema"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// A Kind is the kind of a Type.
type Kind int

// The kinds of types.
const (
	Any Kind = iota
	Text
	Int
	Number
	Bool
	List
	Map    // from names to values of one type
	Struct // with fixed names
	Union  // of several types
)

// A Type is the type of a value in the documents of a view.
type Type struct {
	Kind         Kind
	Element      *Type   // List, Map: of the elements; Struct: of the members without a Field; nil for none
	Gaps         bool    // elements of the List can be null, which keeps the places of the others
	Fields       []Field // Struct, sorted by name
	Alternatives []*Type // Union

	// Constraints of a Text, an Int, a Number, a List or the keys of a Map, as texts for people.
	Choices  []string // the allowed values; nil for no limit
	Pattern  string
	Min, Max string
	Unique   bool
	Keys     *Type // Map: the type of its keys

	Secret, Ephemeral bool
	Required          []string // Struct: combinations of fields in words, of which one is required

	Name string // of a Struct, and of a Text with Choices: words joined by dashes
}

// A Field is a member of a Struct.
type Field struct {
	Name string
	Type *Type
	Only string // "read" or "write" if the view only reads or only writes it; "" for both
}

// mostTypes is the largest number of types in one view. Types beyond it accept anything.
const mostTypes = 5000

type builder struct{ left int }

// node returns the type of a place.
func (b *builder) node(n *viewschema.Node) *Type {
	if b.left--; b.left < 0 {
		return &Type{}
	}
	var all []*Type
	for _, place := range n.Rules {
		if place.Anything {
			all = append(all, &Type{})
			continue
		}
		all = append(all, b.oneOf(place.Types))
	}
	if n.Members != nil || n.Other != nil {
		object := &Type{Kind: Struct}
		for _, name := range sorted(n.Members) {
			object.Fields = append(object.Fields, Field{Name: name, Type: b.node(n.Members[name].With(n.Other))})
		}
		if n.Other != nil {
			object.Element = b.node(n.Other)
			for _, keys := range n.Keys {
				if object.Keys == nil && keys != nil {
					object.Keys = b.oneOf(keys)
				}
			}
		}
		if len(object.Fields) == 0 {
			object.Kind = Map
		}
		all = append(all, object)
	}
	if n.Element != nil {
		all = append(all, &Type{Kind: List, Element: b.node(n.Element), Gaps: n.Gaps})
	}
	if len(all) == 0 {
		return &Type{}
	}
	merged := all[0]
	for _, other := range all[1:] {
		merged = merge(merged, other)
	}
	return merged
}

// merge returns the type of values that two rules both describe.
func merge(a, b *Type) *Type {
	maps := func(t *Type) bool { return t.Kind == Map || t.Kind == Struct }
	switch {
	case a.Kind == Any:
		a, b = b, a
		fallthrough
	case b.Kind == Any:
		if a.Kind == Struct {
			open := *a
			open.Element = &Type{}
			return &open
		}
		return b
	case maps(a) && maps(b):
		return mergeMaps(a, b)
	case a.Kind == List && b.Kind == List:
		merged := *a
		merged.Element, merged.Gaps = merge(a.Element, b.Element), a.Gaps && b.Gaps
		merged.Unique = a.Unique || b.Unique
		return &merged
	}
	return union([]*Type{a, b})
}

func mergeMaps(a, b *Type) *Type {
	merged := &Type{Kind: Map, Keys: a.Keys, Secret: a.Secret || b.Secret, Ephemeral: a.Ephemeral || b.Ephemeral,
		Required: slices.Concat(a.Required, b.Required)}
	switch {
	case a.Element != nil && b.Element != nil:
		merged.Element = merge(a.Element, b.Element)
	case a.Element != nil:
		merged.Element = a.Element
	default:
		merged.Element = b.Element
	}
	fields := map[string]*Type{}
	for _, one := range []*Type{a, b} {
		for _, field := range one.Fields {
			if other := fields[field.Name]; other != nil {
				fields[field.Name] = merge(other, field.Type)
			} else {
				fields[field.Name] = field.Type
			}
		}
	}
	for _, name := range sorted(fields) {
		merged.Kind = Struct
		merged.Fields = append(merged.Fields, Field{Name: name, Type: fields[name]})
	}
	if merged.Element == nil {
		merged.Kind = Struct
	}
	return merged
}

// mark sets Only of the fields of a merged type that read or write does not have.
func (t *Type) mark(read, write *Type) {
	for i := range t.Fields {
		f := &t.Fields[i]
		reads, writes := read.field(f.Name), write.field(f.Name)
		switch {
		case reads == nil && writes != nil:
			f.Only = "write"
		case writes == nil && reads != nil:
			f.Only = "read"
		case reads != nil:
			f.Type.mark(reads, writes)
		}
	}
	if t.Element != nil && read.Element != nil && write.Element != nil {
		t.Element.mark(read.Element, write.Element)
	}
}

// field returns the type of a member of a map, or nil.
func (t *Type) field(name string) *Type {
	for _, f := range t.Fields {
		if f.Name == name {
			return f.Type
		}
	}
	if t.Kind == Any {
		return t
	}
	return t.Element
}

// union returns a type that accepts what one of several types accepts.
func union(list []*Type) *Type {
	var flat []*Type
	for _, one := range list {
		if one.Kind == Any {
			return &Type{}
		}
		parts := []*Type{one}
		if one.Kind == Union {
			parts = one.Alternatives
		}
		for _, part := range parts {
			if !slices.ContainsFunc(flat, func(other *Type) bool { return other.text() == part.text() }) {
				flat = append(flat, part)
			}
		}
	}
	switch len(flat) {
	case 0:
		return &Type{}
	case 1:
		return flat[0]
	}
	return &Type{Kind: Union, Alternatives: flat}
}

func (b *builder) oneOf(definitions []schema.Definition) *Type {
	var list []*Type
	for _, definition := range definitions {
		list = append(list, b.define(definition))
	}
	return union(list)
}

// define returns the type of a definition of the storage schema.
func (b *builder) define(of schema.Definition) *Type {
	if b.left--; b.left < 0 {
		return &Type{}
	}
	t := &Type{Secret: of.Secret(), Ephemeral: of.Ephemeral()}
	t.Min, t.Max = of.Bounds()
	t.Choices = of.Choices()
	if pattern := of.Pattern(); pattern != nil {
		t.Pattern = pattern.String()
	}
	switch of.Kind() {
	case "alt":
		var alternatives []schema.Definition
		for _, child := range of.Below() {
			alternatives = append(alternatives, child.Definition)
		}
		return b.oneOf(alternatives)
	case "string":
		t.Kind = Text
	case "int":
		t.Kind = Int
	case "number":
		t.Kind = Number
	case "bool":
		t.Kind = Bool
	case "array":
		t.Kind, t.Unique, t.Element = List, of.Unique(), &Type{}
		if values, ok := of.Values(); ok {
			t.Element = b.define(values)
		}
	case "map":
		b.entries(t, of)
	}
	return t
}

func (b *builder) entries(t *Type, of schema.Definition) {
	if of.Fixed() {
		t.Kind = Struct
		for _, child := range of.Below() {
			t.Fields = append(t.Fields, Field{Name: child.Step, Type: b.define(child.Definition)})
		}
		for _, combination := range of.Required() {
			t.Required = append(t.Required, strings.Join(combination, " and "))
		}
		return
	}
	t.Kind, t.Element = Map, &Type{}
	if values, ok := of.Values(); ok {
		t.Element = b.define(values)
	}
	if keys, ok := of.Keys(); ok {
		t.Keys = b.define(keys)
	}
}

// at returns the type at a request path. A placeholder for fixed names counts as the first of them.
func (t *Type) at(request path.Path) *Type {
	for _, accessor := range request {
		if t == nil {
			return &Type{}
		}
		t = t.step(accessor)
	}
	if t == nil {
		return &Type{}
	}
	return t
}

func (t *Type) step(accessor path.Accessor) *Type {
	switch {
	case t.Kind == Union:
		var list []*Type
		for _, alternative := range t.Alternatives {
			if inside := alternative.step(accessor); inside != nil {
				list = append(list, inside)
			}
		}
		return union(list)
	case t.Kind == List && accessor.List(), t.Kind == Map && !accessor.List():
		return t.Element
	case t.Kind != Struct || accessor.List():
		return nil
	}
	if !accessor.Open() {
		for _, field := range t.Fields {
			if field.Name == accessor.Name {
				return field.Type
			}
		}
		return t.Element
	}
	var list []*Type
	for _, field := range t.Fields {
		list = append(list, field.Type)
	}
	if t.Element != nil {
		return t.Element
	}
	return union(list)
}

// text returns all of a type except its name as text, for comparison.
func (t *Type) text() string {
	if t == nil {
		return "-"
	}
	var s strings.Builder
	s.WriteString(strconv.Itoa(int(t.Kind)) + strconv.FormatBool(t.Gaps))
	for _, choice := range t.Choices {
		s.WriteString("," + strconv.Quote(choice))
	}
	s.WriteString("<" + t.Element.text() + ">" + t.Keys.text() + strconv.Quote(t.Pattern) + t.Min + ".." + t.Max + strconv.FormatBool(t.Unique) +
		strconv.FormatBool(t.Secret) + strconv.FormatBool(t.Ephemeral) + strconv.Quote(strings.Join(t.Required, ",")))
	for _, field := range t.Fields {
		s.WriteString("{" + field.Only + field.Name + ":" + field.Type.text() + "}")
	}
	for _, alternative := range t.Alternatives {
		s.WriteString("|" + alternative.text())
	}
	return s.String()
}
