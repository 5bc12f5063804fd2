package view

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/schema"
)

// Parse parses a view from the "views" header in JSON shapes, and checks it against the storage schema. id is the
// full name, ACCOUNT/SCHEMA/VIEW. place.Of returns where in the definition an error is.
func Parse(id, name string, definition any, storage *schema.Schema) (*View, error) {
	view, err := parse(id, name, definition, storage)
	if err != nil {
		return nil, fmt.Errorf("cannot define view %q: %w", name, err)
	}
	return view, nil
}

func parse(id, name string, definition any, storage *schema.Schema) (*View, error) {
	if !path.ValidSubkey(name) {
		return nil, place.Name(errors.New("name must conform to [a-z](?:-?[a-z0-9])*"))
	}
	fields, ok := definition.(map[string]any)
	if !ok || len(fields) == 0 {
		return nil, errors.New("view must be non-empty map")
	}
	if summary, ok := fields["summary"]; ok {
		if _, ok := summary.(string); !ok {
			return nil, place.In(fmt.Errorf("view summary must be a string but got %s", goType(summary)), "summary")
		}
	}
	view := &View{id: id, storage: storage}
	if parameters, ok := fields["parameters"]; ok {
		if err := view.parseParameters(parameters); err != nil {
			return nil, place.In(err, "parameters")
		}
	}
	rules, ok := fields["rules"].([]any)
	if !ok || len(rules) == 0 {
		return nil, place.In(errors.New("view rules must be non-empty list"), "rules")
	}
	for i, rule := range rules {
		at := []string{"rules", strconv.Itoa(i)}
		if err := view.parseRule(rule, nil, at); err != nil {
			return nil, place.In(err, at...)
		}
	}
	return view, view.check()
}

func (v *View) parseParameters(definition any) error {
	parameters, ok := definition.(map[string]any)
	if !ok {
		return fmt.Errorf(`expected optional "parameters" to be map but got %s`, goType(definition))
	}
	v.parameters = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		fields, ok := parameters[name].(map[string]any)
		if !ok {
			return place.In(fmt.Errorf("invalid parameter %q: expected map of strings but got %s", name,
				goType(parameters[name])), name)
		}
		presence, ok := fields["presence"].(string)
		if given, there := fields["presence"]; there && !ok {
			return place.In(fmt.Errorf("invalid parameter %q: expected presence to be string but got %s", name, goType(given)),
				name, "presence")
		}
		switch presence {
		case "", "optional", "required-on-write", "required-on-read", "required":
		default:
			return place.In(fmt.Errorf(`invalid parameter %q: expected "presence" to be one of "optional", "required-on-write", `+
				`"required-on-read", "required" or empty but was %q`, name, presence), name, "presence")
		}
		v.parameters[name] = presence
	}
	return nil
}

// A nesting is the rule around a content rule.
type nesting struct {
	request, storage string
	access           string
}

// parseRule parses a rule and its content rules, and adds them in this order. at is the rule's place in the
// definition.
func (v *View) parseRule(definition any, parent *nesting, at []string) error {
	fields, ok := definition.(map[string]any)
	if !ok {
		return errors.New("each view rule should be a map")
	}
	storage, err := textField(fields, "storage")
	if err != nil {
		return err
	}
	if storage == "" {
		return errors.New(`view rules must have a "storage" field`)
	}
	request, err := textField(fields, "request")
	if err != nil {
		return err
	}
	if _, ok := fields["request"]; !ok {
		request = storage
	} else if request == "" {
		return place.In(errors.New(`view rules' "request" field must be non-empty, if it exists`), "request")
	}
	if parent != nil {
		request, storage = joined(parent.request, request), joined(parent.storage, storage)
	}
	parsed, err := parsePaths(request, storage)
	if err != nil {
		return err
	}
	access, err := textField(fields, "access")
	if err != nil {
		return err
	}
	if parent != nil {
		if _, ok := fields["access"]; ok {
			return place.In(errors.New(`cannot override "access" in nested "content" rule: "content" rules inherit parent "access"`),
				"access")
		}
		access = parent.access
	}
	switch access {
	case "", "read-write":
		parsed.readable, parsed.writable = true, true
	case "read":
		parsed.readable = true
	case "write":
		parsed.writable = true
	default:
		return place.In(fmt.Errorf(`cannot create view rule: expected 'access' to be either "read-write", "read", "write" or empty but was %q`,
			access), "access")
	}
	parsed.at = at
	v.rules = append(v.rules, parsed)
	content, ok := fields["content"]
	if !ok {
		return nil
	}
	inner, ok := content.([]any)
	if !ok || len(inner) == 0 {
		return place.In(errors.New(`"content" must be a non-empty list`), "content")
	}
	for i, rule := range inner {
		step := strconv.Itoa(i)
		err := v.parseRule(rule, &nesting{request, storage, access}, append(slices.Clip(at), "content", step))
		if err != nil {
			return place.In(err, "content", step)
		}
	}
	return nil
}

func textField(fields map[string]any, name string) (string, error) {
	value, ok := fields[name]
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", place.In(fmt.Errorf("%q must be a string", name), name)
	}
	return text, nil
}

func joined(parent, child string) string {
	if strings.HasPrefix(child, "[") {
		return parent + child
	}
	return parent + "." + child
}

func parsePaths(request, storage string) (*rule, error) {
	parsed := &rule{}
	var err error
	if parsed.request, err = path.ParseRuleRequest(request); err != nil {
		return nil, place.In(fmt.Errorf("invalid request %q: %w", request, err), "request")
	}
	if parsed.storage, err = path.ParseStorage(storage); err != nil {
		return nil, place.In(fmt.Errorf("invalid storage %q: %w", storage, err), "storage")
	}
	return parsed, checkPlaceholders(parsed, request, storage)
}

func checkPlaceholders(r *rule, request, storage string) error {
	asked, stored := placeholders(r.request), placeholders(r.storage)
	for _, kind := range []path.Kind{path.KeyPlaceholder, path.IndexPlaceholder} {
		if len(asked[kind]) != len(stored[kind]) {
			return fmt.Errorf("request %q and storage %q have mismatched placeholders", request, storage)
		}
		for _, accessor := range r.request {
			switch {
			case accessor.Kind != kind:
			case asked[kind][accessor.Name] > 1:
				return fmt.Errorf("request cannot have more than one placeholder with the same name %q: %s", accessor.Name, request)
			case stored[kind][accessor.Name] == 0:
				return fmt.Errorf("placeholder %q from request %q is absent from storage %q", accessor.Name, request, storage)
			}
		}
	}
	for _, accessor := range r.request {
		if accessor.Open() && asked[path.KeyPlaceholder][accessor.Name] > 0 && asked[path.IndexPlaceholder][accessor.Name] > 0 {
			return fmt.Errorf("cannot use same name %q for key and index placeholder: %s", accessor.Name, request)
		}
	}
	return nil
}

// placeholders counts the placeholders of a path by kind and name.
func placeholders(p path.Path) map[path.Kind]map[string]int {
	names := map[path.Kind]map[string]int{path.KeyPlaceholder: {}, path.IndexPlaceholder: {}}
	for _, accessor := range p {
		if accessor.Open() {
			names[accessor.Kind][accessor.Name]++
		}
	}
	return names
}
