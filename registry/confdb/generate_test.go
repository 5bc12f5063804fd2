package confdb_test

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A dice makes choices from bytes, so that a fuzzer can steer what is generated; out of bytes it always throws 0.
type dice struct{ bytes []byte }

func (d *dice) throw(sides int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	first := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return first % sides
}

func (d *dice) oneOf(words ...string) string { return words[d.throw(len(words))] }

// object is a JSON object; lists are []any.
type object = map[string]any

var entryNames = []string{"mtu", "peer", "name", "addr"}

// storage returns a storage schema: fixed entries, with aliases, of types that nest a few levels.
func (d *dice) storage() object {
	aliases := object{"tag": d.plain(), "label": object{"type": "string", "pattern": "^[a-m]"}, "pair": d.kind(1, false)}
	entries := object{}
	for _, name := range entryNames[:1+d.throw(len(entryNames))] {
		entries[name] = d.kind(3, true)
	}
	return object{"aliases": aliases, "schema": entries}
}

func (d *dice) plain() any {
	return []any{
		"any", "string", "int", "number", "bool",
		object{"type": "int", "min": 1, "max": 3},
		object{"type": "number", "choices": []any{1, 2.5}},
		object{"type": "string", "choices": []any{"mtu", "x"}},
		object{"type": "string", "pattern": "^[a-m]"},
	}[d.throw(9)]
}

// kind returns a type definition; with top set it may use aliases, be ephemeral or secret.
func (d *dice) kind(depth int, top bool) any {
	if depth == 0 {
		return d.plain()
	}
	definition := object{}
	switch d.throw(8) {
	case 0, 1:
		return d.plain()
	case 2:
		entries := object{}
		names := entryNames[:1+d.throw(len(entryNames))]
		for _, name := range names {
			entries[name] = d.kind(depth-1, top)
		}
		definition["schema"] = entries
		if d.throw(3) == 0 {
			definition["required"] = []any{names[0]}
		} else if d.throw(4) == 0 {
			definition["required"] = []any{[]any{names[0]}, []any{names[len(names)-1]}}
		}
	case 3, 4:
		definition["values"] = d.kind(depth-1, top)
		if d.throw(3) == 0 {
			definition["keys"] = object{"type": "string", "pattern": "^[a-n]"}
		} else if top && d.throw(3) == 0 {
			definition["keys"] = "${label}"
		}
	case 5:
		definition["type"], definition["values"] = "array", d.kind(depth-1, top)
		definition["unique"] = d.throw(4) == 0
	case 6:
		return []any{d.kind(depth-1, top), d.kind(depth-1, top)}
	case 7:
		if !top {
			return object{"keys": "string"}
		}
		definition["type"] = "${" + d.oneOf("tag", "pair", "label") + "}"
	}
	if top && d.throw(6) == 0 {
		definition["visibility"] = "secret"
	}
	if top && d.throw(6) == 0 {
		definition["ephemeral"] = true
	}
	return definition
}

// rule returns a storage path with placeholders, and a request that goes with it.
func (d *dice) rule() (request, storage string) {
	storage = d.oneOf(entryNames...)
	request = storage
	for i := range d.throw(4) {
		switch d.throw(4) {
		case 0:
			name := d.oneOf(entryNames...)
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

// filled returns a request with its placeholders replaced, perhaps cut short.
func (d *dice) filled(request string) string {
	pieces := strings.Split(strings.ReplaceAll(request, "[", ".["), ".")
	pieces = pieces[:1+d.throw(len(pieces))]
	if d.throw(2) == 0 {
		pieces = strings.Split(strings.ReplaceAll(request, "[", ".["), ".")
	}
	for i, piece := range pieces {
		switch {
		case strings.HasPrefix(piece, "["):
			pieces[i] = d.oneOf("[0]", "[1]", "[2]")
		case strings.HasPrefix(piece, "{"):
			pieces[i] = d.oneOf("mtu", "peer", "zone")
		}
	}
	return strings.ReplaceAll(strings.Join(pieces, "."), ".[", "[")
}

// fitting returns a value that a type definition probably accepts, and now and then any other.
func (d *dice) fitting(definition any, aliases object) any {
	if d.throw(12) == 11 {
		return d.value(2)
	}
	switch definition := definition.(type) {
	case []any:
		return d.fitting(definition[d.throw(len(definition))], aliases)
	case string:
		if name, ok := strings.CutPrefix(definition, "${"); ok {
			return d.fitting(aliases[strings.TrimSuffix(name, "}")], aliases)
		}
		return d.scalar(definition)
	case object:
		kind, named := definition["type"].(string)
		if entries, ok := definition["schema"].(object); ok {
			value := object{}
			for _, name := range entryNames {
				if entry, ok := entries[name]; ok && d.throw(4) > 0 {
					value[name] = d.fitting(entry, aliases)
				}
			}
			return value
		}
		if kind == "array" {
			list := make([]any, 1+d.throw(3))
			for i := range list {
				list[i] = d.fitting(definition["values"], aliases)
			}
			return list
		}
		if named {
			return d.fitting(kind, aliases)
		}
		values, ok := definition["values"]
		if !ok {
			values = "any"
		}
		value := object{}
		for range 1 + d.throw(3) {
			value[d.oneOf(entryNames...)] = d.fitting(values, aliases)
		}
		return value
	}
	return d.value(2)
}

func (d *dice) scalar(name string) any {
	switch name {
	case "string":
		return d.oneOf("mtu", "x", "addr")
	case "int":
		return []any{1.0, 2.0, json.Number("3")}[d.throw(3)]
	case "number":
		return []any{1.0, 2.5, json.Number("1.0")}[d.throw(3)]
	case "bool":
		return d.throw(2) == 0
	}
	return d.value(2)
}

// at follows a request, which in generated rules is like the storage path, into a type definition.
func (d *dice) at(definition any, request string) any {
	for _, piece := range strings.Split(strings.ReplaceAll(request, "[", ".["), ".") {
		switch kind := definition.(type) {
		case []any:
			definition = kind[d.throw(len(kind))]
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

// value returns JSON shapes with float64 or json.Number.
func (d *dice) value(depth int) any {
	scalars := []any{1.0, "mtu", true, 2.5, 7.0, "zebra", nil, json.Number("1"), json.Number("1.0"), json.Number("2e0"), json.Number("9007199254740993")}
	if depth == 0 || d.throw(3) == 0 {
		return scalars[d.throw(len(scalars))]
	}
	if d.throw(3) == 0 {
		list := make([]any, d.throw(4))
		for i := range list {
			list[i] = d.value(depth - 1)
		}
		return list
	}
	entries := object{}
	for range d.throw(4) {
		entries[d.oneOf(append(entryNames, "zone", "x")...)] = d.value(depth - 1)
	}
	return entries
}
