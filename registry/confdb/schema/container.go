package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// mapType accepts JSON objects with fixed entries, or with types for keys and values.
type mapType struct {
	common
	entries   map[string]Type // nil without fixed entries
	names     []string        // of entries, sorted
	required  [][]string      // combinations of keys, one of which must be present; nil if none
	keys      *stringType     // nil: any key
	keysMark  *common         // marks of the keys' definition, or of the reference in its place
	keysAlias string          // alias that the keys are defined by, or ""
	values    Type            // nil: any value
	keysOK    databag.Mark
}

func (*mapType) Name() string            { return "map" }
func (t *mapType) here() ([]Type, error) { return []Type{t}, nil }

func (t *mapType) step(accessor path.Accessor) ([]Type, error) {
	switch {
	case accessor.List():
		return nil, fmt.Errorf("cannot use %q as key in map", accessor.Bare())
	case t.entries == nil && t.values == nil:
		// A map with keys alone accepts any value. snapd crashes here.
		return []Type{&anyType{}}, nil
	case t.entries == nil:
		return []Type{t.values}, nil
	case accessor.Kind == path.KeyPlaceholder:
		types := make([]Type, len(t.names))
		for i, name := range t.names {
			types[i] = t.entries[name]
		}
		return types, nil
	}
	entry, ok := t.entries[accessor.Name]
	if !ok {
		return nil, fmt.Errorf("cannot use %q as key in map", accessor.Bare())
	}
	return []Type{entry}, nil
}

func (t *mapType) below() []Type {
	var types []Type
	for _, name := range t.names {
		types = append(types, t.entries[name])
	}
	if t.keys != nil {
		types = append(types, &keysType{stringType: t.keys, declared: t.keysMark})
	}
	if t.values != nil {
		types = append(types, t.values)
	}
	return types
}

// keysType is the type of a map's keys with its marks.
type keysType struct {
	*stringType
	declared *common
}

func (t *keysType) marks() *common { return t.declared }

func (t *mapType) check(n *databag.Node) *fault {
	if fault := expected(n, "map", databag.Object); fault != nil {
		return fault
	}
	if !n.Keys().Marked(&t.keysOK) {
		names := n.Keys().Names()
		// Without fixed entries the check of each key is independent, so only an added key needs one.
		if added, near := n.Keys().Near(&t.keysOK); near && t.entries == nil {
			if names = nil; added != "" {
				names = []string{added}
			}
		}
		if fault := t.checkKeys(names); fault != nil {
			return fault
		}
		n.Keys().Mark(&t.keysOK)
	}
	if t.entries == nil && t.values == nil {
		return nil
	}
	names := n.Keys().Names()
	for i, kid := range n.Kids() {
		kind := t.values
		if t.entries != nil {
			kind = t.entries[names[i]]
		}
		if fault := accept(kind, kid); fault != nil {
			return fault.under(names[i])
		}
	}
	return nil
}

// checkKeys checks all that depends on the keys alone.
func (t *mapType) checkKeys(names []string) *fault {
	for _, name := range names {
		if !path.ValidSubkey(name) {
			return &fault{cause: fmt.Sprintf("key %q doesn't conform to required format: %s", name, path.Subkey)}
		}
	}
	if t.entries == nil {
		if t.keys == nil {
			return nil
		}
		for _, name := range names {
			if fault := t.keys.checkText(name); fault != nil {
				return fault.under(name)
			}
		}
		return nil
	}
	for _, name := range names {
		if _, ok := t.entries[name]; !ok {
			return &fault{cause: fmt.Sprintf("map contains unexpected key %q", name)}
		}
	}
	if t.required == nil {
		return nil
	}
	for _, combination := range t.required {
		if !slices.ContainsFunc(combination, func(key string) bool { return !slices.Contains(names, key) }) {
			return nil
		}
	}
	return &fault{cause: "cannot find required combinations of keys"}
}

// parse reports whether the constraints define a map.
func (t *mapType) parse(p *parser, constraints object) bool {
	_, hasSchema := constraints["schema"]
	_, hasKeys := constraints["keys"]
	_, hasValues := constraints["values"]
	_, hasRequired := constraints["required"]
	if hasRequired && !hasSchema {
		p.Add(errors.New(`cannot parse map: cannot use "required" without "schema" constraint`), "required")
	}
	if hasSchema && hasKeys {
		p.Add(errors.New(`cannot parse map: cannot use "schema" and "keys" constraints simultaneously`), "keys")
	}
	if hasSchema && hasValues {
		p.Add(errors.New(`cannot parse map: cannot use "schema" and "values" constraints simultaneously`), "values")
	}
	if hasSchema {
		return t.parseEntries(p, constraints)
	}
	if !hasKeys && !hasValues {
		p.Missing(errors.New(`cannot parse map: must have "schema" or "keys"/"values" constraint`), "schema", "values", "keys", "type")
		return false
	}
	if hasKeys {
		p.Enter(`cannot parse "keys" constraint`, "keys")
		t.keys, t.keysMark, t.keysAlias = p.parseKeys(constraints["keys"])
		p.Leave()
	}
	if hasValues {
		p.Enter("", "values")
		t.values = p.parse(constraints["values"])
		p.Leave()
	}
	return true
}

func (t *mapType) parseEntries(p *parser, constraints object) bool {
	var entries object
	if err := json.Unmarshal(constraints["schema"], &entries); err != nil {
		p.Add(fmt.Errorf(`cannot parse map's "schema" constraint: %w`, err), "schema")
		return false
	}
	t.entries = make(map[string]Type, len(entries))
	t.names = slices.Sorted(maps.Keys(entries))
	for _, name := range t.names {
		if !path.ValidSubkey(name) {
			p.Key(fmt.Errorf("cannot parse map: key %q doesn't conform to required format: %s", name, path.Subkey), "schema", name)
		}
	}
	for _, name := range t.names {
		p.Enter("", "schema", name)
		t.entries[name] = p.parse(entries[name])
		p.Leave()
	}
	t.names = slices.DeleteFunc(t.names, func(name string) bool { return !path.ValidSubkey(name) })
	if raw, ok := constraints["required"]; ok {
		t.parseRequired(p, raw)
	}
	return true
}

func (t *mapType) parseRequired(p *parser, raw json.RawMessage) {
	required, err := combinations(raw)
	if err != nil {
		p.Add(fmt.Errorf(`cannot parse map's "required" constraint: %w`, err), "required")
		return
	}
	for _, combination := range required {
		for _, key := range combination {
			if _, ok := t.entries[key]; !ok {
				p.Add(fmt.Errorf(`cannot parse map's "required" constraint: required key %q must have schema entry`, key), "required")
				return
			}
		}
	}
	t.required = required
}

// combinations parses a list of keys or a list of such lists. An empty list requires nothing.
func combinations(raw json.RawMessage) ([][]string, error) {
	var combinations [][]string
	var keys []string
	if err := json.Unmarshal(raw, &keys); err != nil {
		if json.Unmarshal(raw, &combinations) != nil {
			return nil, err
		}
	} else {
		combinations = [][]string{keys}
	}
	if len(combinations) == 0 {
		return nil, nil
	}
	return combinations, nil
}

// arrayType accepts JSON lists.
type arrayType struct {
	common
	values Type
	unique bool
}

func (*arrayType) Name() string            { return "array" }
func (t *arrayType) here() ([]Type, error) { return []Type{t}, nil }
func (t *arrayType) below() []Type         { return []Type{t.values} }

func (t *arrayType) step(accessor path.Accessor) ([]Type, error) {
	if !accessor.List() {
		return nil, fmt.Errorf("key %q cannot be used to index array", accessor.Bare())
	}
	return []Type{t.values}, nil
}

func (t *arrayType) check(n *databag.Node) *fault {
	if fault := expected(n, "array", databag.List); fault != nil {
		return fault
	}
	for i, kid := range n.Kids() {
		if fault := accept(t.values, kid); fault != nil {
			return fault.under(element(i))
		}
	}
	if t.unique {
		seen := make(map[string]bool, len(n.Kids()))
		for _, kid := range n.Kids() {
			text := string(kid.AppendJSON(nil))
			if seen[text] {
				return &fault{cause: `cannot accept duplicate values for array with "unique" constraint`}
			}
			seen[text] = true
		}
	}
	return nil
}

// parse reports whether the constraints define a list.
func (t *arrayType) parse(p *parser, constraints object) bool {
	raw, ok := constraints["values"]
	if !ok {
		p.Missing(errors.New(`cannot parse "array": must have "values" constraint`), "values")
		return false
	}
	p.Enter(`cannot parse "array" values type`, "values")
	t.values = p.parse(raw)
	p.Leave()
	if raw, ok := constraints["unique"]; ok {
		if err := json.Unmarshal(raw, &t.unique); err != nil {
			p.Add(fmt.Errorf(`cannot parse array's "unique" constraint: %w`, err), "unique")
		}
	}
	return true
}
