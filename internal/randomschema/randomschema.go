// Package randomschema generates storage schemas, rules and values for tests. Its main type is Dice.
//
//	dice := randomschema.New(throws)
//	storage := dice.Storage() // for the "storage" of a confdb-schema, in JSON shapes
package randomschema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Dice makes choices from bytes, so that a fuzzer controls what is generated. When the bytes are used up, each throw is 0.
type Dice struct{ bytes []byte }

// New returns the Dice with these throws.
func New(throws []byte) *Dice { return &Dice{throws} }

// Throws returns random throws for New. They are the same for the same seed and stream.
func Throws(seed, stream uint64, length int) []byte {
	random := rand.New(rand.NewPCG(seed, stream))
	throws := make([]byte, length)
	for i := range throws {
		throws[i] = byte(random.Uint32())
	}
	return throws
}

// Over reports whether the bytes are used up.
func (d *Dice) Over() bool { return len(d.bytes) == 0 }

// Throw returns a number from 0 to sides-1.
func (d *Dice) Throw(sides int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	first := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return first % sides
}

// OneOf returns one of the words.
func (d *Dice) OneOf(words ...string) string { return words[d.Throw(len(words))] }

// object is a JSON object; lists are []any.
type object = map[string]any

// EntryNames are the names of entries that schemas have.
var EntryNames = []string{"mtu", "peer", "name", "addr"}

// Storage returns a storage schema: fixed entries, with aliases, of types that nest a few levels.
func (d *Dice) Storage() object {
	aliases := object{"tag": d.plain(), "label": object{"type": "string", "pattern": "^[a-m]"}, "pair": d.Kind(1, false)}
	entries := object{}
	for _, name := range EntryNames[:1+d.Throw(len(EntryNames))] {
		entries[name] = d.Kind(3, true)
	}
	return object{"aliases": aliases, "schema": entries}
}

func (d *Dice) plain() any {
	return []any{
		"any", "string", "int", "number", "bool",
		object{"type": "int", "min": 1, "max": 3},
		object{"type": "number", "choices": []any{1, 2.5}},
		object{"type": "string", "choices": []any{"mtu", "x"}},
		object{"type": "string", "pattern": "^[a-m]"},
	}[d.Throw(9)]
}

// Kind returns a type definition; with top set it may use aliases, be ephemeral or secret.
func (d *Dice) Kind(depth int, top bool) any {
	if depth == 0 {
		return d.plain()
	}
	definition := object{}
	switch d.Throw(8) {
	case 0, 1:
		return d.plain()
	case 2:
		entries := object{}
		names := EntryNames[:1+d.Throw(len(EntryNames))]
		for _, name := range names {
			entries[name] = d.Kind(depth-1, top)
		}
		definition["schema"] = entries
		if d.Throw(3) == 0 {
			definition["required"] = []any{names[0]}
		} else if d.Throw(4) == 0 {
			definition["required"] = []any{[]any{names[0]}, []any{names[len(names)-1]}}
		}
	case 3, 4:
		definition["values"] = d.Kind(depth-1, top)
		if d.Throw(3) == 0 {
			definition["keys"] = object{"type": "string", "pattern": "^[a-n]"}
		} else if top && d.Throw(3) == 0 {
			definition["keys"] = "${label}"
		}
	case 5:
		definition["type"], definition["values"] = "array", d.Kind(depth-1, top)
		definition["unique"] = d.Throw(4) == 0
	case 6:
		return []any{d.Kind(depth-1, top), d.Kind(depth-1, top)}
	case 7:
		if !top {
			return object{"keys": "string"}
		}
		definition["type"] = "${" + d.OneOf("tag", "pair", "label") + "}"
	}
	if top && d.Throw(6) == 0 {
		definition["visibility"] = "secret"
	}
	if top && d.Throw(6) == 0 {
		definition["ephemeral"] = true
	}
	return definition
}

// Rule returns a storage path with placeholders, and a request that goes with it.
func (d *Dice) Rule() (request, storage string) {
	storage = d.OneOf(EntryNames...)
	request = storage
	for i := range d.Throw(4) {
		switch d.Throw(4) {
		case 0:
			name := d.OneOf(EntryNames...)
			request, storage = request+"."+name, storage+"."+name
		case 1:
			request, storage = fmt.Sprintf("%s.{k%d}", request, i), fmt.Sprintf("%s.{k%d}", storage, i)
		case 2:
			request, storage = fmt.Sprintf("%s[{n%d}]", request, i), fmt.Sprintf("%s[{n%d}]", storage, i)
		case 3:
			request, storage = fmt.Sprintf("%s.{k%d}", request, i), fmt.Sprintf("%s.{k%d}[.mtu={p}]", storage, i)
		}
	}
	return request, storage
}

// Filled returns a request with its placeholders replaced, perhaps cut short.
func (d *Dice) Filled(request string) string {
	pieces := strings.Split(strings.ReplaceAll(request, "[", ".["), ".")
	pieces = pieces[:1+d.Throw(len(pieces))]
	if d.Throw(2) == 0 {
		pieces = strings.Split(strings.ReplaceAll(request, "[", ".["), ".")
	}
	for i, piece := range pieces {
		switch {
		case strings.HasPrefix(piece, "["):
			pieces[i] = d.OneOf("[0]", "[1]", "[2]")
		case strings.HasPrefix(piece, "{"):
			pieces[i] = d.OneOf("mtu", "peer", "zone")
		}
	}
	return strings.ReplaceAll(strings.Join(pieces, "."), ".[", "[")
}

// Fitting returns a value that a type definition probably accepts. Sometimes it returns any other value.
func (d *Dice) Fitting(definition any, aliases object) any {
	if d.Throw(12) == 11 {
		return d.Value(2)
	}
	switch definition := definition.(type) {
	case []any:
		return d.Fitting(definition[d.Throw(len(definition))], aliases)
	case string:
		if name, ok := strings.CutPrefix(definition, "${"); ok {
			return d.Fitting(aliases[strings.TrimSuffix(name, "}")], aliases)
		}
		return d.scalar(definition)
	case object:
		kind, named := definition["type"].(string)
		if entries, ok := definition["schema"].(object); ok {
			value := object{}
			for _, name := range EntryNames {
				if entry, ok := entries[name]; ok && d.Throw(4) > 0 {
					value[name] = d.Fitting(entry, aliases)
				}
			}
			return value
		}
		if kind == "array" {
			list := make([]any, 1+d.Throw(3))
			for i := range list {
				list[i] = d.Fitting(definition["values"], aliases)
			}
			return list
		}
		if named {
			return d.Fitting(kind, aliases)
		}
		values, ok := definition["values"]
		if !ok {
			values = "any"
		}
		value := object{}
		for range 1 + d.Throw(3) {
			value[d.OneOf(EntryNames...)] = d.Fitting(values, aliases)
		}
		return value
	}
	return d.Value(2)
}

func (d *Dice) scalar(name string) any {
	switch name {
	case "string":
		return d.OneOf("mtu", "x", "addr")
	case "int":
		return []any{1.0, 2.0, json.Number("3")}[d.Throw(3)]
	case "number":
		return []any{1.0, 2.5, json.Number("1.0")}[d.Throw(3)]
	case "bool":
		return d.Throw(2) == 0
	}
	return d.Value(2)
}

// At returns the type definition at a request path. In generated rules, request paths are like storage paths.
func (d *Dice) At(definition any, request string) any {
	for _, piece := range strings.Split(strings.ReplaceAll(request, "[", ".["), ".") {
		switch kind := definition.(type) {
		case []any:
			definition = kind[d.Throw(len(kind))]
		}
		fields, _ := definition.(object)
		if entries, ok := fields["schema"].(object); ok {
			definition = entries[piece]
		} else {
			definition = fields["values"]
		}
	}
	return definition
}

// Value returns JSON shapes with float64 or json.Number.
func (d *Dice) Value(depth int) any {
	scalars := []any{1.0, "mtu", true, 2.5, 7.0, "zebra", nil, json.Number("1"), json.Number("1.0"), json.Number("2e0"), json.Number("9007199254740993")}
	if depth == 0 || d.Throw(3) == 0 {
		return scalars[d.Throw(len(scalars))]
	}
	if d.Throw(3) == 0 {
		list := make([]any, d.Throw(4))
		for i := range list {
			list[i] = d.Value(depth - 1)
		}
		return list
	}
	entries := object{}
	for range d.Throw(4) {
		entries[d.OneOf(append(EntryNames, "zone", "x")...)] = d.Value(depth - 1)
	}
	return entries
}
