// Package view is the rules of a confdb-schema's views: how request paths lead to storage paths, who may go there, and
// what reading, setting and unsetting through them does to a databag. Messages are worded as snapd words them.
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
	parameters map[string]string // field filters' parameters -> presence
	storage    *schema.Schema
}

// A rule leads from a request path to a storage path.
type rule struct {
	request  path.Path
	storage  path.Path
	readable bool
	writable bool
	at       []string // where it stands in the view's definition
}

// A match is a rule whose request begins with what the user asks for.
type match struct {
	rule    *rule
	storage path.Path // with what the request bound filled in
	rest    path.Path // of the rule's request, beyond the user's
}

// bindings are what placeholders stand for, each by one name and kind.
type bindings []binding

type binding struct{ placeholder, to path.Accessor }

// fill returns the path with bound placeholders replaced; filters stay with their accessors.
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

// matches returns the rules that a request fits and that can be written, or read, in the order of the view.
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

// Matches tells whether some rule that can be written, or read, fits the request path.
func (v *View) Matches(request string, write bool) bool {
	parsed, err := path.ParseRequest(request)
	return err == nil && len(v.matches(parsed, write)) > 0
}

// ID returns ACCOUNT/SCHEMA/VIEW.
func (v *View) ID() string { return v.id }

// Affected tells whether one of the storage paths may show through the view: a rule's storage path and it agree as far
// as both go, where an open placeholder of the rule fits everything. Access does not matter.
func (v *View) Affected(storage []path.Path) bool {
	for _, rule := range v.rules {
		for _, written := range storage {
			if compatible(rule.storage, written) {
				return true
			}
		}
	}
	return false
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

// A Rule is what a view's rule says, for those who look at views rather than through them.
type Rule struct {
	Request, Storage   path.Path
	Readable, Writable bool
	// At leads to the rule in the view's definition: "rules", an index, and for a content rule "content" and an index.
	At []string
}

// Rules returns the rules in the order of the view, each content rule as one of its own behind its parent. The caller
// leaves what is in them as it is.
func (v *View) Rules() []Rule {
	rules := make([]Rule, len(v.rules))
	for i, rule := range v.rules {
		rules[i] = Rule{rule.request, rule.storage, rule.readable, rule.writable, rule.at}
	}
	return rules
}

// Touched returns which of Rules a read, or write, of a request path goes through; "" is the whole view.
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

// Secret tells whether a request path leads to something secret, or to something that has secrets in it.
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
