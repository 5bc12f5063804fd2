// Package viewschema describes the data of a confdb-schema's views: as JSON Schema (draft 2020-12), for editors and for
// programs in other languages, and as a tree, from which package generate prints other descriptions. Its main functions are Of
// and Tree. Package confdb decides whether a value is accepted; a JSON Schema cannot express all of its rules (see Of).
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

// A Schema is a JSON Schema as an object for encoding/json, which sorts its members by name.
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

// All returns the schema of an object with a member for each view, such as the configuration of a target.
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
	root, ok := Tree(parsed, view, d.access)
	return d.node(root, false), ok
}

// whole adds the members of a schema's top level.
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

// names is the schema of a key, and value the schema of any value that can be written.
var (
	names = Schema{"pattern": path.Subkey.String()}
	value = Schema{"$ref": "#/$defs/value"}
)

// A describer makes the schemas of one access to a view.
//
// Rules with placeholders at many levels, beside rules with names there, have so many places that it has to limit them.
type describer struct {
	access Access
	left   int // places that may still be described
}

// mostPlaces is the largest number of places in one schema. Places beyond it accept anything.
const mostPlaces = 20000

// object completes the schema of a map. An empty map cannot be written.
func (d *describer) object(described Schema) Schema {
	described["type"] = "object"
	if d.access == Write {
		described["minProperties"] = 1
	}
	return described
}

// list completes the schema of a list. An empty list cannot be written.
func (d *describer) list(described Schema) Schema {
	described["type"] = "array"
	if d.access == Write {
		described["minItems"] = 1
	}
	return described
}

// any describes a value without a definition in the storage schema. confdb stores no null.
func (d *describer) any() Schema {
	if d.access == Write {
		return value
	}
	return Schema{"not": Schema{"type": "null"}}
}

// node describes a place. covered means that a rule ends above it and accepts all members.
func (d *describer) node(n *Node, covered bool) Schema {
	if d.left--; d.left < 0 {
		return Schema{}
	}
	var all []Schema
	covered = covered || len(n.Rules) > 0
	for _, data := range n.Rules {
		if data.Anything {
			all = append(all, d.any())
		} else {
			all = append(all, d.oneOf(data.Types))
		}
	}
	if n.Members != nil || n.Other != nil || len(n.Rules) == 0 && n.Element == nil {
		object := Schema{}
		if n.Members != nil {
			properties := Schema{}
			for name, member := range n.Members {
				properties[name] = d.node(member.With(n.Other), covered)
			}
			object["properties"] = properties
		}
		switch {
		case n.Other != nil:
			object["additionalProperties"] = d.node(n.Other, covered)
			// If several rules have different definitions for the same keys, only the engine can decide.
			limit := d.keys(n.Keys[0])
			if slices.ContainsFunc(n.Keys, func(other []schema.Definition) bool { return !reflect.DeepEqual(limit, d.keys(other)) }) {
				limit = names
			}
			object["propertyNames"] = anyOf(append(literal(n.Members), limit))
		case !covered:
			object["additionalProperties"] = false
		}
		all = append(all, d.object(object))
	}
	if n.Element != nil {
		all = append(all, d.list(Schema{"items": d.node(n.Element, covered)}))
	}
	if len(all) == 1 {
		return all[0]
	}
	return Schema{"allOf": all}
}

// keys describes the keys that a placeholder of a rule stands for.
func (d *describer) keys(definitions []schema.Definition) Schema {
	if definitions == nil {
		return names
	}
	return d.oneOf(definitions)
}

// literal describes keys that are names of members.
func literal(members map[string]*Node) []Schema {
	if members == nil {
		return nil
	}
	return []Schema{{"enum": slices.Sorted(maps.Keys(members))}}
}

// oneOf describes values that one of several definitions accepts.
func (d *describer) oneOf(definitions []schema.Definition) Schema {
	list := make([]Schema, len(definitions))
	for i, definition := range definitions {
		list[i] = d.define(definition)
	}
	return anyOf(list)
}

// anyOf describes values that fit one of several schemas. It leaves out repeated schemas: a placeholder may lead to many entries of
// one type.
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
		return Schema{"not": Schema{}} // no value fits
	case 1:
		return different[0]
	}
	return Schema{"anyOf": different}
}

// define describes values that a definition of the storage schema accepts.
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
	default: // any, or an unknown type
		return d.any()
	}
	return described
}

// entries describes the members of a map.
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

// portable reports whether a pattern of RE2 means the same in ECMAScript, whose patterns JSON Schema uses.
func portable(pattern string) bool {
	plain := strings.ReplaceAll(pattern, "(?:", "(")
	return !slices.ContainsFunc([]string{"(?", `\A`, `\z`, `\Q`, `\C`, `\p`, `\P`, `\a`, "[[:"}, func(own string) bool {
		return strings.Contains(plain, own)
	})
}
