package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
)

type object = map[string]json.RawMessage

// Parse parses the "storage" object of a confdb-schema: aliases and a map of fixed entries. place.Of returns where in
// the object an error is.
func Parse(storage []byte) (*Schema, error) {
	var top object
	if err := json.Unmarshal(storage, &top); err != nil {
		return nil, fmt.Errorf("cannot parse top level schema as map: %w", err)
	}
	if raw, ok := top["type"]; ok {
		var name string
		if err := json.Unmarshal(raw, &name); err != nil {
			return nil, place.In(fmt.Errorf(`cannot parse top level schema's "type" entry: %w`, err), "type")
		}
		if name != "map" {
			return nil, place.In(fmt.Errorf(`cannot parse top level schema: unexpected declared type %q, should be "map" or omitted`,
				name), "type")
		}
	}
	if _, ok := top["schema"]; !ok {
		return nil, errors.New(`cannot parse top level schema: must have a "schema" constraint`)
	}
	p := &parser{}
	if raw, ok := top["aliases"]; ok {
		if err := p.parseAliases(raw); err != nil {
			return nil, place.In(err, "aliases")
		}
	}
	root := &mapType{}
	if err := root.parseCommon(top); err != nil {
		return nil, err
	}
	if err := root.parse(p, top); err != nil {
		return nil, err
	}
	return &Schema{root: root}, nil
}

type parser struct{ aliases map[string]Type }

// parseAliases parses the aliases. An alias must not use another one. snapd parses them in random order and so
// accepts such a schema by chance; here it is always an error.
func (p *parser) parseAliases(raw json.RawMessage) error {
	var definitions object
	if err := json.Unmarshal(raw, &definitions); err != nil {
		return fmt.Errorf("cannot parse aliases map: %w", err)
	}
	aliases := make(map[string]Type, len(definitions))
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		if !path.ValidSubkey(name) {
			return place.Name(fmt.Errorf("cannot parse alias name %q: must match %s", name, path.Subkey), name)
		}
		alias, err := p.parse(definitions[name])
		if err != nil {
			return place.In(fmt.Errorf("cannot parse alias %q: %w", name, err), name)
		}
		if alias.marks().ephemeral || ephemeralBelow(alias) {
			return place.In(fmt.Errorf(`cannot use "ephemeral" in user-defined type: %s`, name), name)
		}
		if alias.marks().secret || secretBelow(alias) {
			return place.In(fmt.Errorf(`cannot use "visibility" in user-defined type: %s`, name), name)
		}
		aliases[name] = alias
	}
	p.aliases = aliases
	return nil
}

// parse parses a type definition: a name or alias, an object with constraints, or a list of alternatives.
func (p *parser) parse(raw json.RawMessage) (Type, error) {
	if string(raw) == "null" {
		return p.parseAlternatives(nil)
	}
	var constraints object
	if json.Unmarshal(raw, &constraints) == nil {
		return p.parseObject(constraints)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return p.parseAlternatives(list)
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return nil, fmt.Errorf("cannot parse type definition: type must be expressed as map, string or list: %w", err)
	}
	if name == "map" || name == "array" {
		return nil, fmt.Errorf("cannot parse %q: must be schema definition with constraints", name)
	}
	return p.named(name)
}

func (p *parser) parseObject(constraints object) (Type, error) {
	name := "map"
	if raw, ok := constraints["type"]; ok {
		name = ""
		if err := json.Unmarshal(raw, &name); err != nil {
			return nil, place.In(fmt.Errorf(`cannot parse "type" constraint in type definition: %w`, err), "type")
		}
	}
	t, err := p.named(name)
	if err != nil {
		return nil, place.In(err, "type")
	}
	if err := t.marks().parseCommon(constraints); err != nil {
		return nil, err
	}
	if parsed, ok := t.(interface {
		parse(*parser, object) error
	}); ok {
		if err := parsed.parse(p, constraints); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// named returns a new definition of a type, or a reference to an alias.
func (p *parser) named(name string) (Type, error) {
	switch name {
	case "string":
		return &stringType{}, nil
	case "int":
		return newInt(), nil
	case "number":
		return newNumber(), nil
	case "bool":
		return &boolType{}, nil
	case "any":
		return &anyType{}, nil
	case "map":
		return &mapType{}, nil
	case "array":
		return &arrayType{}, nil
	}
	if alias, ok := aliasName(name); ok {
		to, ok := p.aliases[alias]
		if !ok {
			return nil, fmt.Errorf("cannot find alias %q", alias)
		}
		return &reference{to: to}, nil
	}
	return nil, fmt.Errorf("cannot parse unknown type %q", name)
}

func aliasName(name string) (string, bool) {
	if !strings.HasPrefix(name, "${") || !strings.HasSuffix(name, "}") || len(name) < len("${x}") {
		return "", false
	}
	return name[2 : len(name)-1], true
}

func (p *parser) parseAlternatives(list []json.RawMessage) (Type, error) {
	t := &alternatives{}
	for i, raw := range list {
		alternative, err := p.parse(raw)
		if err != nil {
			return nil, place.In(fmt.Errorf("cannot parse alternative types: %w", err), strconv.Itoa(i))
		}
		if nested, ok := alternative.(*alternatives); ok {
			t.types = append(t.types, nested.types...)
		} else {
			t.types = append(t.types, alternative)
		}
	}
	if len(t.types) == 0 {
		return nil, errors.New("cannot parse alternative types: alternative type list cannot be empty")
	}
	for _, alternative := range t.types {
		if alternative.marks().secret != t.types[0].marks().secret {
			return nil, errors.New("cannot parse alternative types: cannot have alternatives with different levels of visibility")
		}
	}
	t.secret = t.types[0].marks().secret
	return t, nil
}

// parseKeys parses the type of a map's keys: a string with or without constraints, or an alias of one. It also
// returns the marks of its definition.
func (p *parser) parseKeys(raw json.RawMessage) (*stringType, *common, error) {
	var constraints object
	if json.Unmarshal(raw, &constraints) == nil && constraints != nil {
		if rawType, ok := constraints["type"]; ok {
			var name string
			if err := json.Unmarshal(rawType, &name); err != nil {
				return nil, nil, place.In(err, "type")
			}
			if alias, ok := aliasName(name); ok {
				keys, err := p.keysAlias(alias)
				if err != nil {
					return nil, nil, place.In(err, "type")
				}
				declared := &common{}
				return keys, declared, declared.parseCommon(constraints)
			}
			if name != "string" {
				return nil, nil, place.In(fmt.Errorf("must be based on string but type was %s", name), "type")
			}
		}
		t := &stringType{}
		if err := t.parseCommon(constraints); err != nil {
			return nil, nil, err
		}
		return t, &t.common, t.parse(p, constraints)
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		// Both readings failed; report the error of the one as an object.
		if err := json.Unmarshal(raw, &constraints); err != nil {
			return nil, nil, err
		}
		return nil, nil, err
	}
	if alias, ok := aliasName(name); ok {
		keys, err := p.keysAlias(alias)
		return keys, &common{}, err
	}
	if name != "string" {
		return nil, nil, fmt.Errorf("keys must be based on string but type was %s", name)
	}
	return &stringType{}, &common{}, nil
}

func (p *parser) keysAlias(alias string) (*stringType, error) {
	to, ok := p.aliases[alias]
	if !ok {
		return nil, fmt.Errorf("cannot find alias %q", alias)
	}
	keys, ok := to.(*stringType)
	if !ok {
		return nil, fmt.Errorf("key type %q must be based on string", alias)
	}
	return keys, nil
}

func (c *common) parseCommon(constraints object) error {
	if raw, ok := constraints["ephemeral"]; ok {
		if err := json.Unmarshal(raw, &c.ephemeral); err != nil {
			return place.In(err, "ephemeral")
		}
	}
	if raw, ok := constraints["visibility"]; ok {
		var visibility string
		if err := json.Unmarshal(raw, &visibility); err != nil {
			return place.In(err, "visibility")
		}
		if visibility != "secret" {
			return place.In(errors.New("cannot have a visibility field set to a value other than secret"), "visibility")
		}
		c.secret = true
	}
	return nil
}
