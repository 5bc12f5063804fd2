// Package viewschema describes the data of a confdb-schema's views as JSON Schema (draft 2020-12), for editors and for
// programs in other languages. Its main function is Of. What a value means, and whether it is accepted, decides package
// confdb; a JSON Schema cannot say all of it (see Of).
package viewschema

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// Dialect identifies the version of JSON Schema.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// An Access selects rules of a view.
type Access int

const (
	Read Access = iota
	Write
)

// A Schema is a JSON Schema: an object for encoding/json, whose members have the order of their names.
type Schema map[string]any

// Of returns the schema of the documents that a view shows (Read), or that can be written through it (Write): an object
// with the parts of the request paths as members. ok is false if the view does not exist or has no rule for the access.
//
// A document that the engine takes into an empty confdb fits the schema. A document that fits may still be refused: the
// schema does not know what is stored already, so it cannot ask for required members beside those that a rule writes; it
// does not describe field filters and parameters, nor patterns with what only RE2 has.
func Of(parsed *confdb.Schema, view string, access Access) (_ Schema, ok bool) {
	d := &describer{access: access, left: mostPlaces}
	described, ok := d.view(parsed, view)
	return d.whole(described), ok
}

// All returns the schema of an object with a member for each view, as the configuration of a target has it.
func All(parsed *confdb.Schema, access Access) Schema {
	d := &describer{access: access, left: mostPlaces}
	properties := Schema{}
	for _, view := range parsed.Views() {
		if described, ok := d.view(parsed, view); ok {
			properties[view] = described
		}
	}
	return d.whole(Schema{"type": "object", "properties": properties, "additionalProperties": false})
}

func (d *describer) view(parsed *confdb.Schema, view string) (_ Schema, ok bool) {
	root := &node{}
	for _, rule := range parsed.Rules(view) {
		if d.access == Read && !rule.Readable || d.access == Write && !rule.Writable {
			continue
		}
		ok = true
		d.add(root, place{types: []schema.Definition{parsed.Storage().Root()}}, rule.Request, rule.Storage, nil)
	}
	return d.node(root, false), ok
}

// whole adds to a schema what stands at its top.
func (d *describer) whole(described Schema) Schema {
	described["$schema"] = Dialect
	if d.access == Write {
		described["$defs"] = Schema{"value": anyOf([]Schema{
			{"type": []string{"string", "number", "boolean"}},
			d.list(Schema{"items": value}),
			d.object(Schema{"propertyNames": names, "additionalProperties": value}),
		})}
	}
	return described
}

// names is the schema of a key, and value that of any value that can be written.
var (
	names = Schema{"pattern": path.Subkey.String()}
	value = Schema{"$ref": "#/$defs/value"}
)

// A describer describes what one access reads or writes.
//
// Rules with placeholders at many levels, beside rules with names there, have more places than a file should have.
type describer struct {
	access Access
	left   int // places that may still be described
}

// mostPlaces is the largest number of places that are described. What is beyond accepts anything.
const mostPlaces = 20000

// object and list complete the schema of a container. None that is empty can be written.
func (d *describer) object(described Schema) Schema {
	described["type"] = "object"
	if d.access == Write {
		described["minProperties"] = 1
	}
	return described
}

func (d *describer) list(described Schema) Schema {
	described["type"] = "array"
	if d.access == Write {
		described["minItems"] = 1
	}
	return described
}

// any describes a value of which the storage schema says nothing. confdb stores no null.
func (d *describer) any() Schema {
	if d.access == Write {
		return value
	}
	return Schema{"not": Schema{"type": "null"}}
}

// A place has what may be at the end of a storage path.
type place struct {
	types    []schema.Definition
	anything bool // a type on the way says nothing of what is inside
}

// step returns what may be behind an accessor, and the definitions of the keys if every map at the place limits its keys.
func (p place) step(accessor path.Accessor) (inside place, keys []schema.Definition) {
	inside.anything = p.anything
	unlimited := p.anything
	var follow func(of schema.Definition)
	follow = func(of schema.Definition) {
		key, limited := of.Keys()
		switch {
		case of.Kind() == "alt":
			for _, child := range of.Below() {
				follow(child.Definition)
			}
			return
		case of.Kind() == "any":
			inside.anything, unlimited = true, true
			return
		case of.Kind() != "map" || accessor.List():
			inside.types = append(inside.types, of.Step(accessor)...)
			return
		case !limited:
			unlimited = true
		case !accessor.Open() && !accepts(key, accessor.Name):
			return
		default:
			keys = append(keys, key)
		}
		inside.types = append(inside.types, of.Step(accessor)...)
		inside.anything = inside.anything || of.KeysOnly()
	}
	for _, of := range p.types {
		follow(of)
	}
	if unlimited {
		keys = nil
	}
	return inside, keys
}

// accepts reports whether the definition of a map's keys accepts a name.
func accepts(keys schema.Definition, name string) bool {
	if choices := keys.Choices(); choices != nil {
		return slices.Contains(choices, name)
	}
	pattern := keys.Pattern()
	return pattern == nil || pattern.MatchString(name)
}

// names returns the names that may stand for a placeholder. It returns nil if a type at the place takes other names, too.
func (p place) names() []string {
	var names []string
	open := p.anything
	var follow func(of schema.Definition)
	follow = func(of schema.Definition) {
		for _, child := range of.Below() {
			switch {
			case of.Kind() == "alt":
				follow(child.Definition)
			case of.Fixed():
				names = append(names, child.Step)
			}
		}
		open = open || of.Kind() == "any" || of.Kind() == "map" && !of.Fixed()
	}
	for _, of := range p.types {
		follow(of)
	}
	if open {
		return nil
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// add adds a rule: request is its whole request path, storage the rest of its storage path behind data. keys has what the
// maps on the way demand of the keys for which placeholders stand. A placeholder for fixed entries is replaced by each name.
func (d *describer) add(root *node, data place, request, storage path.Path, keys map[string]Schema) {
	if len(storage) == 0 {
		root.add(request, data, keys)
		return
	}
	accessor := storage[0]
	names := data.names()
	if !accessor.Open() || accessor.List() || names == nil {
		inside, limits := data.step(accessor)
		if accessor.Open() && limits != nil {
			keys = maps.Clone(keys)
			if keys == nil {
				keys = map[string]Schema{}
			}
			keys[accessor.Name] = d.oneOf(limits)
		}
		d.add(root, inside, request, storage[1:], keys)
		return
	}
	for _, name := range names {
		literal := path.Accessor{Kind: path.Key, Name: name}
		replace := func(in path.Path) path.Path {
			out := slices.Clone(in)
			for i := range out {
				if out[i].Kind == path.KeyPlaceholder && out[i].Name == accessor.Name {
					out[i] = literal
				}
			}
			return out
		}
		d.add(root, data, replace(request), replace(storage), keys)
	}
}

// A node is a place in the documents of a view.
type node struct {
	rules   []place // of each rule that ends here
	members map[string]*node
	other   *node    // behind a placeholder
	keys    []Schema // what each rule with that placeholder demands of the keys
	element *node    // of a list
}

func (n *node) add(request path.Path, data place, keys map[string]Schema) {
	if len(request) == 0 {
		n.rules = append(n.rules, data)
		return
	}
	accessor := request[0]
	if accessor.Open() && !accessor.List() {
		n.keys = append(n.keys, keys[accessor.Name])
	}
	n.step(accessor).add(request[1:], data, keys)
}

func (n *node) step(accessor path.Accessor) *node {
	next := func(place **node) *node {
		if *place == nil {
			*place = &node{}
		}
		return *place
	}
	switch {
	case accessor.List():
		return next(&n.element)
	case accessor.Open():
		return next(&n.other)
	}
	if n.members == nil {
		n.members = map[string]*node{}
	}
	member := n.members[accessor.Name]
	n.members[accessor.Name] = next(&member)
	return member
}

// node describes a place. covered means that a rule ends above it, which takes all members.
func (d *describer) node(n *node, covered bool) Schema {
	if d.left--; d.left < 0 {
		return Schema{}
	}
	var all []Schema
	covered = covered || len(n.rules) > 0
	for _, data := range n.rules {
		if data.anything {
			all = append(all, d.any())
		} else {
			all = append(all, d.oneOf(data.types))
		}
	}
	if n.members != nil || n.other != nil || len(n.rules) == 0 && n.element == nil {
		object := Schema{}
		if n.members != nil {
			properties := Schema{}
			for name, member := range n.members {
				properties[name] = d.node(member.with(n.other), covered)
			}
			object["properties"] = properties
		}
		switch {
		case n.other != nil:
			object["additionalProperties"] = d.node(n.other, covered)
			// Rules that demand different things of the same key do so below it: then only the engine can tell.
			limit := n.keys[0]
			if limit == nil || slices.ContainsFunc(n.keys, func(other Schema) bool { return !reflect.DeepEqual(limit, other) }) {
				limit = names
			}
			object["propertyNames"] = anyOf(append(literal(n.members), limit))
		case !covered:
			object["additionalProperties"] = false
		}
		all = append(all, d.object(object))
	}
	if n.element != nil {
		all = append(all, d.list(Schema{"items": d.node(n.element, covered)}))
	}
	if len(all) == 1 {
		return all[0]
	}
	return Schema{"allOf": all}
}

// with returns a node with the rules of both: those for a name, and those for a placeholder that the name may stand for.
func (n *node) with(other *node) *node {
	switch {
	case n == nil:
		return other
	case other == nil:
		return n
	}
	both := &node{rules: slices.Concat(n.rules, other.rules), keys: slices.Concat(n.keys, other.keys), other: n.other.with(other.other),
		element: n.element.with(other.element)}
	if n.members != nil || other.members != nil {
		both.members = maps.Clone(n.members)
		if both.members == nil {
			both.members = map[string]*node{}
		}
		for name, member := range other.members {
			both.members[name] = both.members[name].with(member)
		}
	}
	return both
}

// literal describes the names of members.
func literal(members map[string]*node) []Schema {
	if members == nil {
		return nil
	}
	return []Schema{{"enum": slices.Sorted(maps.Keys(members))}}
}

// oneOf describes what one of several definitions accepts.
func (d *describer) oneOf(definitions []schema.Definition) Schema {
	list := make([]Schema, len(definitions))
	for i, definition := range definitions {
		list[i] = d.define(definition)
	}
	return anyOf(list)
}

// anyOf leaves out what is there already: a placeholder may lead to many entries of one type.
func anyOf(list []Schema) Schema {
	var texts []string
	var different []Schema
	for _, one := range list {
		text, err := json.Marshal(one)
		if err != nil || !slices.Contains(texts, string(text)) {
			different, texts = append(different, one), append(texts, string(text))
		}
	}
	switch len(different) {
	case 0:
		return Schema{"not": Schema{}} // nothing can be there
	case 1:
		return different[0]
	}
	return Schema{"anyOf": different}
}

// define describes what a definition of the storage schema accepts.
func (d *describer) define(of schema.Definition) Schema {
	if d.left--; d.left < 0 {
		return Schema{}
	}
	described := d.plain(of)
	if of.Secret() && d.access == Write {
		described = maps.Clone(described)
		described["writeOnly"] = true
	}
	return described
}

func (d *describer) plain(of schema.Definition) Schema {
	described := Schema{}
	switch kind := of.Kind(); kind {
	case "alt":
		var alternatives []schema.Definition
		for _, child := range of.Below() {
			alternatives = append(alternatives, child.Definition)
		}
		return d.oneOf(alternatives)
	case "string":
		described["type"] = "string"
		if choices := of.Choices(); choices != nil {
			described["enum"] = choices
		}
		if pattern := of.Pattern(); pattern != nil && portable(pattern.String()) {
			described["pattern"] = pattern.String()
		} else if pattern != nil {
			described["description"] = "It matches " + pattern.String() + " (RE2)."
		}
	case "int", "number":
		described["type"] = map[string]string{"int": "integer", "number": "number"}[kind]
		if choices := of.Choices(); choices != nil {
			described["enum"] = numbers(choices)
		}
		minimum, maximum := of.Bounds()
		if minimum != "" {
			described["minimum"] = json.Number(minimum)
		}
		if maximum != "" {
			described["maximum"] = json.Number(maximum)
		}
	case "bool":
		described["type"] = "boolean"
	case "array":
		if values, ok := of.Values(); ok {
			described["items"] = d.define(values)
		}
		if of.Unique() {
			described["uniqueItems"] = true
		}
		return d.list(described)
	case "map":
		return d.object(d.entries(of))
	default: // any, or a type that is not known
		return d.any()
	}
	return described
}

// entries describes what is in a map.
func (d *describer) entries(of schema.Definition) Schema {
	described := Schema{}
	if of.Fixed() {
		properties := Schema{}
		for _, child := range of.Below() {
			properties[child.Step] = d.define(child.Definition)
		}
		described["properties"], described["additionalProperties"] = properties, false
		switch combinations := of.Required(); len(combinations) {
		case 0:
		case 1:
			described["required"] = combinations[0]
		default:
			var list []Schema
			for _, combination := range combinations {
				list = append(list, Schema{"required": combination})
			}
			described["anyOf"] = list
		}
		return described
	}
	described["propertyNames"] = names
	if keys, ok := of.Keys(); ok {
		described["propertyNames"] = Schema{"allOf": []Schema{names, d.define(keys)}}
	}
	described["additionalProperties"] = d.any()
	if values, ok := of.Values(); ok {
		described["additionalProperties"] = d.define(values)
	}
	return described
}

func numbers(texts []string) []json.Number {
	list := make([]json.Number, len(texts))
	for i, text := range texts {
		list[i] = json.Number(text)
	}
	return list
}

// portable reports whether a pattern of RE2 means the same in ECMAScript, as JSON Schema has it.
func portable(pattern string) bool {
	plain := strings.ReplaceAll(pattern, "(?:", "(")
	return !slices.ContainsFunc([]string{"(?", `\A`, `\z`, `\Q`, `\C`, `\p`, `\P`, `\a`, "[[:"}, func(own string) bool {
		return strings.Contains(plain, own)
	})
}
