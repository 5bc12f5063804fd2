// Package view implements the rules of a confdb-schema's views. Its main type is View. It maps request paths to
// storage paths, checks access, and reads, sets and unsets data in a databag. Messages are in snapd's words. Types
// and secrets are in package schema.
package view

import (
	"slices"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// A View is a named list of rules over a storage schema. It is immutable.
type View struct {
	id         string // ACCOUNT/SCHEMA/VIEW
	rules      []*rule
	parameters map[string]string // parameter of field filters -> presence
	storage    *schema.Schema
}

// A rule maps a request path to a storage path.
type rule struct {
	request  path.Path
	storage  path.Path
	readable bool
	writable bool
	at       []string // place in the view's definition
}

// A match is a rule whose request path begins with the user's.
type match struct {
	rule    *rule
	storage path.Path // storage path with the request's keys and indexes filled in
	rest    path.Path // rest of the rule's request path, beyond the user's
}

// bindings are the values of placeholders.
type bindings []binding

type binding struct{ placeholder, to path.Accessor }

// fill returns the path with its placeholders replaced. Filters stay.
func (b bindings) fill(p path.Path) path.Path {
	filled := slices.Clone(p)
	for i, accessor := range filled {
		for _, bound := range b {
			if accessor.Open() && accessor.Kind == bound.placeholder.Kind && accessor.Name == bound.placeholder.Name {
				filled[i].Kind, filled[i].Name = bound.to.Kind, bound.to.Name
			}
		}
	}
	return filled
}

func (r *rule) match(request path.Path) (match, bool) {
	if len(request) > len(r.request) {
		return match{}, false
	}
	var bound bindings
	for i, accessor := range request {
		switch want := r.request[i]; {
		case want.Kind == accessor.Kind && want.Name == accessor.Name:
		case want.Kind == path.KeyPlaceholder && accessor.Kind == path.Key,
			want.Kind == path.IndexPlaceholder && accessor.Kind == path.Index:
			bound = append(bound, binding{want, accessor})
		default:
			return match{}, false
		}
	}
	return match{rule: r, storage: bound.fill(r.storage), rest: r.request[len(request):]}, true
}

// matches returns the readable (or, with write, writable) rules that match a request, in the order of the view.
func (v *View) matches(request path.Path, write bool) []match {
	var found []match
	for _, rule := range v.rules {
		if write && !rule.writable || !write && !rule.readable {
			continue
		}
		if match, ok := rule.match(request); ok {
			found = append(found, match)
		}
	}
	return found
}

// Matches reports whether a readable (or, with write, writable) rule matches the request path.
func (v *View) Matches(request string, write bool) bool {
	parsed, err := path.ParseRequest(request)
	return err == nil && len(v.matches(parsed, write)) > 0
}

// ID returns ACCOUNT/SCHEMA/VIEW.
func (v *View) ID() string { return v.id }

// Affected reports whether a rule of the view leads to a change at one of the storage paths. Each rule is compared as
// far as both paths go; an open placeholder matches everything. Access does not matter.
func (v *View) Affected(storage []path.Path) bool {
	return slices.ContainsFunc(v.rules, func(rule *rule) bool { return rule.affected(storage) })
}

// Shows is Affected for rules that can be read.
func (v *View) Shows(storage []path.Path) bool {
	return slices.ContainsFunc(v.rules, func(rule *rule) bool { return rule.readable && rule.affected(storage) })
}

func (r *rule) affected(storage []path.Path) bool {
	return slices.ContainsFunc(storage, func(written path.Path) bool { return compatible(r.storage, written) })
}

func compatible(rule, written path.Path) bool {
	for i := range min(len(rule), len(written)) {
		if rule[i].Open() {
			continue
		}
		if rule[i].Kind != written[i].Kind || rule[i].Name != written[i].Name {
			return false
		}
	}
	return true
}

// A Rule is a rule of a view, for programs that inspect views.
type Rule struct {
	Request, Storage   path.Path
	Readable, Writable bool
	// At is the place in the view's definition: "rules", an index, and for a content rule "content" and an index.
	At []string
}

// Rules returns the rules in the order of the view. A content rule follows its parent. Do not change what they
// contain.
func (v *View) Rules() []Rule {
	rules := make([]Rule, len(v.rules))
	for i, rule := range v.rules {
		rules[i] = Rule{rule.request, rule.storage, rule.readable, rule.writable, rule.at}
	}
	return rules
}

// Touched returns the indexes of the Rules that a read or write of a request path uses. "" is the whole view.
func (v *View) Touched(request string, write bool) []int {
	parsed, err := path.ParseRequest(request)
	if err != nil {
		return nil
	}
	var list []int
	for _, match := range v.matches(parsed, write) {
		list = append(list, slices.Index(v.rules, match.rule))
	}
	return list
}

// Secret reports whether a request path leads to secret data or to data that contains some.
func (v *View) Secret(request string) bool {
	parsed, err := path.ParseRequest(request)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(v.rules, func(rule *rule) bool {
		match, ok := rule.match(parsed)
		return ok && v.storage.Secret(match.storage)
	})
}
