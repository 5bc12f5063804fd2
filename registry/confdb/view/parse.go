package view

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/faults"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// Parse parses a view from the "views" header in JSON shapes, and checks it against the storage schema. id is the
// full name, ACCOUNT/SCHEMA/VIEW. The error is a *faults.Fault.
func Parse(id, name string, definition any, storage *schema.Schema) (*View, error) {
	report := faults.New(nil)
	view := Report(report, id, name, definition, storage)
	if err := report.Err(); err != nil {
		return nil, err
	}
	return view, nil
}

// Report is Parse, but adds every fault to report and continues. The returned view has the sound rules.
func Report(report *faults.Report, id, name string, definition any, storage *schema.Schema) *View {
	p := &parser{Report: report, view: &View{id: id, storage: storage}}
	p.Enter("cannot define view " + strconv.Quote(name))
	p.parse(name, definition)
	p.check()
	p.Leave()
	return p.view
}

// A parser parses a view. Each method reports the faults of its part.
type parser struct {
	*faults.Report
	view         *View
	anyParameter bool // the parameters cannot be read, so any name may be one
}

func (p *parser) parse(name string, definition any) {
	if !path.ValidSubkey(name) {
		p.Key(errors.New("name must conform to [a-z](?:-?[a-z0-9])*"))
	}
	fields, ok := definition.(map[string]any)
	if !ok || len(fields) == 0 {
		p.Add(errors.New("view must be non-empty map"))
		return
	}
	if summary, ok := fields["summary"]; ok {
		if _, ok := summary.(string); !ok {
			p.Add(fmt.Errorf("view summary must be a string but got %s", goType(summary)), "summary")
		}
	}
	if parameters, ok := fields["parameters"]; ok {
		p.Enter("", "parameters")
		p.parseParameters(parameters)
		p.Leave()
	}
	rules, ok := fields["rules"].([]any)
	if !ok || len(rules) == 0 {
		err := errors.New("view rules must be non-empty list")
		if _, ok := fields["rules"]; ok {
			p.Add(err, "rules")
		} else {
			p.Missing(err, "rules")
		}
		return
	}
	p.parseRules(rules, "rules", nesting{})
}

func (p *parser) parseParameters(definition any) {
	parameters, ok := definition.(map[string]any)
	if !ok {
		p.Add(fmt.Errorf(`expected optional "parameters" to be map but got %s`, goType(definition)))
		p.anyParameter = true
		return
	}
	p.view.parameters = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		p.view.parameters[name] = p.parseParameter(name, parameters[name])
	}
}

// parseParameter returns the presence of a parameter.
func (p *parser) parseParameter(name string, definition any) string {
	fields, ok := definition.(map[string]any)
	if !ok {
		p.Add(fmt.Errorf("invalid parameter %q: expected map of strings but got %s", name, goType(definition)), name)
		return ""
	}
	presence, ok := fields["presence"].(string)
	if given, there := fields["presence"]; there && !ok {
		p.Add(fmt.Errorf("invalid parameter %q: expected presence to be string but got %s", name, goType(given)), name, "presence")
	}
	switch presence {
	case "", "optional", "required-on-write", "required-on-read", "required":
	default:
		p.Add(fmt.Errorf(`invalid parameter %q: expected "presence" to be one of "optional", "required-on-write", `+
			`"required-on-read", "required" or empty but was %q`, name, presence), name, "presence")
	}
	return presence
}

// A nesting is the rule around content rules. The zero value is that of the view's own rules.
type nesting struct {
	content          bool
	request, storage string
	access           string
	unread           bool // the paths cannot be read
	mismatched       bool // the paths do not have the same placeholders
}

// parseRules parses a list of rules, which is a field of the present part.
func (p *parser) parseRules(rules []any, field string, parent nesting) {
	for i, rule := range rules {
		if p.Enough() {
			return
		}
		p.Enter("", field, strconv.Itoa(i))
		p.parseRule(rule, parent)
		p.Leave()
	}
}

// parseRule parses a rule and its content rules, and adds them in this order.
func (p *parser) parseRule(definition any, parent nesting) {
	fields, ok := definition.(map[string]any)
	if !ok {
		p.Add(errors.New("each view rule should be a map"))
		return
	}
	own := nesting{content: true}
	parsed := p.parsePaths(fields, parent, &own)
	own.access = p.parseAccess(fields, parent)
	if parsed != nil {
		parsed.readable, parsed.writable = own.access != "write", own.access != "read"
		p.view.rules = append(p.view.rules, parsed)
	}
	content, ok := fields["content"]
	if !ok {
		return
	}
	rules, ok := content.([]any)
	if !ok || len(rules) == 0 {
		p.Add(errors.New(`"content" must be a non-empty list`), "content")
		return
	}
	p.parseRules(rules, "content", own)
}

// parsePaths sets the paths of own, and returns a rule with them. It returns nil if they are faulty, or those of the
// parent are.
func (p *parser) parsePaths(fields map[string]any, parent nesting, own *nesting) *rule {
	storage, ok := p.text(fields, "storage")
	if ok && storage == "" {
		p.Missing(errors.New(`view rules must have a "storage" field`), "storage")
		ok = false
	}
	request, isText := p.text(fields, "request")
	if _, given := fields["request"]; !given {
		request = storage
	} else if isText && request == "" {
		p.Add(errors.New(`view rules' "request" field must be non-empty, if it exists`), "request")
		isText = false
	}
	if own.unread = parent.unread || !ok || !isText; own.unread {
		return nil
	}
	own.request, own.storage = parent.join(request, storage)
	parsed := &rule{at: p.At()}
	var err error
	if parsed.request, err = path.ParseRuleRequest(own.request); err != nil {
		p.Add(fmt.Errorf("invalid request %q: %w", own.request, err), "request")
		own.unread = true
	}
	if own.unread && own.request == own.storage {
		return nil // the same fault
	}
	if parsed.storage, err = path.ParseStorage(own.storage); err != nil {
		p.Add(fmt.Errorf("invalid storage %q: %w", own.storage, err), "storage")
		own.unread = true
	}
	if own.mismatched = parent.mismatched; own.unread || own.mismatched {
		return nil
	}
	if err := checkPlaceholders(parsed, own.request, own.storage); err != nil {
		p.Add(err)
		own.mismatched = true
		return nil
	}
	return parsed
}

// parseAccess returns the access of a rule. A rule with a faulty one counts as written, since only rules that are read
// can be in each other's way.
func (p *parser) parseAccess(fields map[string]any, parent nesting) string {
	access, ok := p.text(fields, "access")
	_, given := fields["access"]
	switch {
	case ok && given && parent.content:
		p.Add(errors.New(`cannot override "access" in nested "content" rule: "content" rules inherit parent "access"`), "access")
	case ok && !parent.content:
		switch access {
		case "", "read-write", "read", "write":
			return access
		}
		p.Add(fmt.Errorf(`cannot create view rule: expected 'access' to be either "read-write", "read", "write" or empty but was %q`,
			access), "access")
	}
	if parent.content {
		return parent.access
	}
	return "write"
}

// text returns a field of a rule, or "" if it is not there. ok is false if it is no string.
func (p *parser) text(fields map[string]any, name string) (text string, ok bool) {
	value, there := fields[name]
	if !there {
		return "", true
	}
	if text, ok = value.(string); !ok {
		p.Add(fmt.Errorf("%q must be a string", name), name)
	}
	return text, ok
}

// join returns the paths of a content rule behind those of its parent.
func (n nesting) join(request, storage string) (string, string) {
	if !n.content {
		return request, storage
	}
	return joined(n.request, request), joined(n.storage, storage)
}

func joined(parent, child string) string {
	if strings.HasPrefix(child, "[") {
		return parent + child
	}
	return parent + "." + child
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
