package schema

import (
	"maps"
	"regexp"
	"slices"

	"aspects-poc/registry/confdb/path"
)

// A Definition is a type definition in its place, for programs that inspect storage schemas.
type Definition struct {
	// At is the place of the definition in the storage schema. Meaning is the place of the alias's definition if the
	// definition is the use of an alias; otherwise it is At.
	At, Meaning []string
	// Alias is the alias that is used, or "".
	Alias string

	typ Type
}

// A Child is a Definition directly inside another one. Step is the step that leads to it: a key, AnyKey for the keys of a map
// without fixed entries, Element for the elements of a list, and "" for an alternative.
type Child struct {
	Step string
	Definition
}

// Values of Child.Step that are no keys.
const (
	AnyKey  = "{}"
	Element = "[]"
)

// AnyText returns the definition of a string without constraints.
func AnyText() Definition { return Definition{typ: &stringType{}} }

// Root returns the definition of the top level.
func (s *Schema) Root() Definition { return Definition{typ: s.root} }

// Written returns all definitions in the text of the storage schema, outer ones first. It has the definition of an alias once, and
// those of the keys of maps.
func (s *Schema) Written() []Definition {
	var all []Definition
	var add func(Definition)
	add = func(d Definition) {
		all = append(all, d)
		if d.Alias != "" {
			return
		}
		if keys, ok := d.Keys(); ok {
			add(keys)
		}
		for _, child := range d.Below() {
			add(child.Definition)
		}
	}
	add(s.Root())
	for _, name := range slices.Sorted(maps.Keys(s.aliases)) {
		at := []string{"aliases", name}
		add(Definition{At: at, Meaning: at, typ: s.aliases[name]})
	}
	return all
}

// Kind returns the name of the type: that of an alias's type where an alias is used, and "alt" for alternatives.
func (d Definition) Kind() string { return d.typ.Name() }

// Refused reports whether the definition is faulty and so has no known type.
func (d Definition) Refused() bool { return isRefused(d.typ) }

// Secret and Ephemeral report whether the definition itself has the mark.
func (d Definition) Secret() bool    { return d.typ.marks().secret }
func (d Definition) Ephemeral() bool { return d.typ.marks().ephemeral }

// Fixed reports whether the definition is a map with fixed entries.
func (d Definition) Fixed() bool {
	t, ok := resolve(d.typ).(*mapType)
	return ok && t.entries != nil
}

// KeysOnly reports whether the definition is a map with keys and without a definition of its values.
func (d Definition) KeysOnly() bool {
	t, ok := resolve(d.typ).(*mapType)
	return ok && t.entries == nil && t.values == nil
}

// Required returns the combinations of required keys of a map, of which data needs one; nil for none.
func (d Definition) Required() [][]string {
	if t, ok := resolve(d.typ).(*mapType); ok {
		return t.required
	}
	return nil
}

// Unique reports whether the definition is a list without repeated elements.
func (d Definition) Unique() bool {
	t, ok := resolve(d.typ).(*arrayType)
	return ok && t.unique
}

// Keys returns the definition of a map's keys. ok is false if the map has none.
func (d Definition) Keys() (keys Definition, ok bool) {
	t, ok := resolve(d.typ).(*mapType)
	if !ok || t.keys == nil {
		return Definition{}, false
	}
	keys = d.inside(&keysType{stringType: t.keys, declared: t.keysMark}, "keys")
	if t.keysAlias != "" {
		keys.Alias, keys.Meaning = t.keysAlias, []string{"aliases", t.keysAlias}
	}
	return keys, true
}

// Values returns the definition of the elements of a list, or of the values of a map without fixed entries. ok is false
// if there is none.
func (d Definition) Values() (values Definition, ok bool) {
	var t Type
	switch outer := resolve(d.typ).(type) {
	case *arrayType:
		t = outer.values
	case *mapType:
		t = outer.values
	}
	if t == nil {
		return Definition{}, false
	}
	return d.inside(t, "values"), true
}

// Entry returns the definition of a fixed entry of a map. ok is false if there is none.
func (d Definition) Entry(name string) (entry Definition, ok bool) {
	if t, isMap := resolve(d.typ).(*mapType); isMap && t.entries[name] != nil {
		return d.inside(t.entries[name], "schema", name), true
	}
	return Definition{}, false
}

// Pattern returns the pattern of a string, or nil.
func (d Definition) Pattern() *regexp.Regexp {
	if t := d.text(); t != nil {
		return t.pattern
	}
	return nil
}

// Choices returns the choices of a string or number as texts, or nil.
func (d Definition) Choices() []string {
	if t := d.text(); t != nil {
		return t.choices
	}
	switch t := resolve(d.typ).(type) {
	case *numeric[int64]:
		return t.choiceTexts()
	case *numeric[float64]:
		return t.choiceTexts()
	}
	return nil
}

// text returns the type of strings or keys, or nil.
func (d Definition) text() *stringType {
	switch t := resolve(d.typ).(type) {
	case *stringType:
		return t
	case *keysType:
		return t.stringType
	}
	return nil
}

func (t *numeric[N]) choiceTexts() []string {
	var texts []string
	for _, choice := range t.choices {
		texts = append(texts, t.show(choice))
	}
	return texts
}

// Bounds returns the bounds of a number as texts, or "" for none.
func (d Definition) Bounds() (min, max string) {
	switch t := resolve(d.typ).(type) {
	case *numeric[int64]:
		return t.showBound(t.min), t.showBound(t.max)
	case *numeric[float64]:
		return t.showBound(t.min), t.showBound(t.max)
	}
	return "", ""
}

func (t *numeric[N]) showBound(bound *N) string {
	if bound == nil {
		return ""
	}
	return t.show(*bound)
}

// Below returns the definitions directly inside. It leaves out those of keys, which are names and not values.
func (d Definition) Below() []Child {
	var children []Child
	switch t := resolve(d.typ).(type) {
	case *alternatives:
		for i, alternative := range t.types {
			children = append(children, Child{"", d.inside(alternative, t.at[i]...)})
		}
	case *arrayType:
		children = append(children, Child{Element, d.inside(t.values, "values")})
	case *mapType:
		for _, name := range t.names {
			children = append(children, Child{name, d.inside(t.entries[name], "schema", name)})
		}
		if values, ok := d.Values(); ok {
			children = append(children, Child{AnyKey, values})
		}
	}
	return children
}

// inside returns the Definition of a type inside this one.
func (d Definition) inside(t Type, steps ...string) Definition {
	at := slices.Concat(d.Meaning, steps)
	inner := Definition{At: at, Meaning: at, typ: t}
	if reference, ok := t.(*reference); ok {
		inner.Alias, inner.Meaning = reference.name, []string{"aliases", reference.name}
	}
	return inner
}

// Step returns the definitions that an accessor leads to, in each alternative.
func (d Definition) Step(accessor path.Accessor) []Definition {
	var next []Definition
	if t, isMap := resolve(d.typ).(*mapType); isMap && accessor.Kind == path.Key { // faster than visiting all entries
		if entry, known := t.entries[accessor.Name]; known {
			next = append(next, d.inside(entry, "schema", accessor.Name))
		}
		if values, ok := d.Values(); ok {
			next = append(next, values)
		}
		return next
	}
	for _, child := range d.Below() {
		switch {
		case child.Step == "":
			next = append(next, child.Definition.Step(accessor)...)
		case child.Step == Element:
			if accessor.List() {
				next = append(next, child.Definition)
			}
		case accessor.List():
		case child.Step == AnyKey, accessor.Kind == path.KeyPlaceholder:
			next = append(next, child.Definition)
		}
	}
	return next
}
