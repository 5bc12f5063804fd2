package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/faults"
	"aspects-poc/registry/confdb/path"
)

type object = map[string]json.RawMessage

// Parse parses the "storage" object of a confdb-schema: aliases and a map of fixed entries. The error is a
// *faults.Fault.
func Parse(storage []byte) (*Schema, error) {
	report := faults.New(nil)
	parsed := Report(report, storage)
	if err := report.Err(); err != nil {
		return nil, err
	}
	return parsed, nil
}

// Report is Parse, but adds every fault to report and continues. The returned schema accepts any data in the place of a faulty
// definition.
func Report(report *faults.Report, storage []byte) *Schema {
	p := &parser{Report: report}
	root := &mapType{}
	p.parseTop(root, storage)
	return &Schema{root: root, aliases: p.aliases}
}

// A parser parses definitions. Each method reports the faults of its part and returns the sound rest.
type parser struct {
	*faults.Report
	aliases   map[string]Type // nil until all are parsed
	noAliases bool            // the aliases cannot be read, so any name may be one
}

func (p *parser) parseTop(root *mapType, storage []byte) {
	var top object
	if err := json.Unmarshal(storage, &top); err != nil {
		p.Add(fmt.Errorf("cannot parse top level schema as map: %w", err))
		return
	}
	if raw, ok := top["type"]; ok {
		var name string
		if err := json.Unmarshal(raw, &name); err != nil {
			p.Add(fmt.Errorf(`cannot parse top level schema's "type" entry: %w`, err), "type")
		} else if name != "map" {
			p.Add(fmt.Errorf(`cannot parse top level schema: unexpected declared type %q, should be "map" or omitted`, name), "type")
		}
	}
	_, hasSchema := top["schema"]
	if !hasSchema {
		p.Missing(errors.New(`cannot parse top level schema: must have a "schema" constraint`), "schema")
	}
	if raw, ok := top["aliases"]; ok {
		p.Enter("", "aliases")
		p.parseAliases(raw)
		p.Leave()
	}
	root.parseCommon(p, top)
	if hasSchema {
		root.parse(p, top)
	}
}

// parseAliases parses the aliases. An alias must not use another one. snapd parses them in random order and so
// accepts such a schema by chance; here it is always an error.
func (p *parser) parseAliases(raw json.RawMessage) {
	var definitions object
	if err := json.Unmarshal(raw, &definitions); err != nil {
		p.Add(fmt.Errorf("cannot parse aliases map: %w", err))
		p.noAliases = true
		return
	}
	aliases := make(map[string]Type, len(definitions))
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		if !path.ValidSubkey(name) {
			p.Key(fmt.Errorf("cannot parse alias name %q: must match %s", name, path.Subkey), name)
		}
		p.Enter("cannot parse alias "+strconv.Quote(name), name)
		alias := p.parse(definitions[name])
		p.Leave()
		if alias.marks().ephemeral || ephemeralBelow(alias) {
			p.Add(fmt.Errorf(`cannot use "ephemeral" in user-defined type: %s`, name), name)
		}
		if alias.marks().secret || secretBelow(alias) {
			p.Add(fmt.Errorf(`cannot use "visibility" in user-defined type: %s`, name), name)
		}
		aliases[name] = alias
	}
	p.aliases = aliases
}

// alias returns the type of an alias. It returns a placeholder if there may be such an alias in a part that cannot be
// read, and nil, with a fault, if there is none.
func (p *parser) alias(name string) Type {
	alias, ok := p.aliases[name]
	switch {
	case ok:
		return alias
	case p.noAliases:
		return refused()
	}
	return nil
}

// parse parses a type definition: a name or alias, an object with constraints, or a list of alternatives.
func (p *parser) parse(raw json.RawMessage) Type {
	if p.Enough() {
		return refused()
	}
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
		p.Add(fmt.Errorf("cannot parse type definition: type must be expressed as map, string or list: %w", err))
		return refused()
	}
	if name == "map" || name == "array" {
		p.Add(fmt.Errorf("cannot parse %q: must be schema definition with constraints", name))
		return refused()
	}
	return p.named(name)
}

func (p *parser) parseObject(constraints object) Type {
	name := "map"
	if raw, ok := constraints["type"]; ok {
		name = ""
		if err := json.Unmarshal(raw, &name); err != nil {
			p.Add(fmt.Errorf(`cannot parse "type" constraint in type definition: %w`, err), "type")
			return refused()
		}
	}
	p.Enter("", "type")
	t := p.named(name)
	p.Leave()
	t.marks().parseCommon(p, constraints)
	if parsed, ok := t.(interface{ parse(*parser, object) bool }); ok && !parsed.parse(p, constraints) {
		return refused()
	}
	return t
}

// An UnknownTypeError is the error of a name that is no type.
type UnknownTypeError struct{ Name string }

func (e *UnknownTypeError) Error() string { return fmt.Sprintf("cannot parse unknown type %q", e.Name) }

// named returns a new definition of a type, or a reference to an alias.
func (p *parser) named(name string) Type {
	switch name {
	case "string":
		return &stringType{}
	case "int":
		return newInt()
	case "number":
		return newNumber()
	case "bool":
		return &boolType{}
	case "any":
		return &anyType{}
	case "map":
		return &mapType{}
	case "array":
		return &arrayType{}
	}
	alias, ok := aliasName(name)
	if !ok {
		p.Add(&UnknownTypeError{name})
		return refused()
	}
	to := p.alias(alias)
	if to == nil {
		p.Add(fmt.Errorf("cannot find alias %q", alias))
		return refused()
	}
	return &reference{name: alias, to: to}
}

func aliasName(name string) (string, bool) {
	if !strings.HasPrefix(name, "${") || !strings.HasSuffix(name, "}") || len(name) < len("${x}") {
		return "", false
	}
	return name[2 : len(name)-1], true
}

func (p *parser) parseAlternatives(list []json.RawMessage) Type {
	t := &alternatives{}
	p.Enter("cannot parse alternative types")
	defer p.Leave()
	for i, raw := range list {
		step := strconv.Itoa(i)
		p.Enter("", step)
		alternative := p.parse(raw)
		p.Leave()
		if nested, ok := alternative.(*alternatives); ok {
			t.types = append(t.types, nested.types...)
			for _, at := range nested.at {
				t.at = append(t.at, append([]string{step}, at...))
			}
		} else {
			t.types, t.at = append(t.types, alternative), append(t.at, []string{step})
		}
	}
	if len(t.types) == 0 {
		p.Add(errors.New("alternative type list cannot be empty"))
		return refused()
	}
	t.secret = t.types[0].marks().secret
	if slices.ContainsFunc(t.types, isRefused) {
		return t
	}
	for _, alternative := range t.types {
		if alternative.marks().secret != t.secret {
			p.Add(errors.New("cannot have alternatives with different levels of visibility"))
			return refused()
		}
	}
	return t
}

// parseKeys parses the type of a map's keys: a string with or without constraints, or an alias of one. It also
// returns the marks of its definition, and the name of the alias.
func (p *parser) parseKeys(raw json.RawMessage) (keys *stringType, declared *common, alias string) {
	var constraints object
	if json.Unmarshal(raw, &constraints) == nil && constraints != nil {
		return p.parseKeysObject(constraints)
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		// Both readings failed; report the error of the one as an object.
		if objectErr := json.Unmarshal(raw, &constraints); objectErr != nil {
			err = objectErr
		}
		p.Add(err)
		return &stringType{}, &common{}, ""
	}
	if alias, ok := aliasName(name); ok {
		return p.keysAlias(alias), &common{}, alias
	}
	if name != "string" {
		p.Add(fmt.Errorf("keys must be based on string but type was %s", name))
	}
	return &stringType{}, &common{}, ""
}

func (p *parser) parseKeysObject(constraints object) (keys *stringType, declared *common, alias string) {
	name := "string"
	if raw, ok := constraints["type"]; ok {
		name = ""
		if err := json.Unmarshal(raw, &name); err != nil {
			p.Add(err, "type")
			return &stringType{}, &common{}, ""
		}
	}
	if alias, ok := aliasName(name); ok {
		p.Enter("", "type")
		keys = p.keysAlias(alias)
		p.Leave()
		declared = &common{}
		declared.parseCommon(p, constraints)
		return keys, declared, alias
	}
	if name != "string" {
		p.Add(fmt.Errorf("must be based on string but type was %s", name), "type")
		return &stringType{}, &common{}, ""
	}
	keys = &stringType{}
	keys.parseCommon(p, constraints)
	keys.parse(p, constraints)
	return keys, &keys.common, ""
}

func (p *parser) keysAlias(alias string) *stringType {
	switch to := p.alias(alias).(type) {
	case nil:
		p.Add(fmt.Errorf("cannot find alias %q", alias))
	case *stringType:
		return to
	default:
		if !isRefused(to) {
			p.Add(fmt.Errorf("key type %q must be based on string", alias))
		}
	}
	return &stringType{}
}

func (c *common) parseCommon(p *parser, constraints object) {
	if raw, ok := constraints["ephemeral"]; ok {
		if err := json.Unmarshal(raw, &c.ephemeral); err != nil {
			p.Add(err, "ephemeral")
		}
	}
	if raw, ok := constraints["visibility"]; ok {
		var visibility string
		if err := json.Unmarshal(raw, &visibility); err != nil {
			p.Add(err, "visibility")
		} else if visibility != "secret" {
			p.Add(errors.New("cannot have a visibility field set to a value other than secret"), "visibility")
		} else {
			c.secret = true
		}
	}
}
