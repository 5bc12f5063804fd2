package view

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// check checks the rules together: duplicate requests, filters, and storage paths against the schema. It reports at most one
// such fault of a rule: later checks leave out a refused rule.
func (p *parser) check() {
	seen := map[string]bool{}
	p.removeRefused(func(rule *rule) error {
		request := rule.request.String()
		if rule.readable && seen[request] {
			return errors.New(`cannot have several reading rules with the same "request" field`)
		}
		seen[request] = seen[request] || rule.readable
		return nil
	})
	p.removeRefused(p.checkFilters)
	p.checkTypes()
}

// removeRefused reports and removes the rules that a check refuses.
func (p *parser) removeRefused(check func(*rule) error) {
	if p.Enough() {
		return
	}
	p.view.rules = slices.DeleteFunc(p.view.rules, func(rule *rule) bool {
		err := check(rule)
		if err != nil {
			p.Add(err, rule.at...)
		}
		return err != nil
	})
}

// checkFilters checks that field filters are on maps, in snapd's order: those at the end of the path by its types,
// then the others, then their parameters.
func (p *parser) checkFilters(rule *rule) error {
	storage := rule.storage
	if len(storage[len(storage)-1].Filters) > 0 {
		types, err := p.view.storage.At(storage)
		if schema.Internal(err) {
			return fmt.Errorf("field filters can only be applied to maps but schema at %s expects alt", storage)
		}
		if err != nil {
			return err
		}
		for _, t := range types {
			if !schema.MapLike(t) {
				return fmt.Errorf("field filters can only be applied to maps but schema at %s expects %s", storage, t.Name())
			}
		}
	}
	for i, accessor := range storage[1:] {
		if len(storage[i].Filters) > 0 && accessor.List() {
			return fmt.Errorf("can only apply field filters to maps but %q expects list after filters", storage)
		}
	}
	for _, accessor := range storage {
		for _, filter := range accessor.Filters {
			if _, ok := p.view.parameters[filter.Param]; !ok && !p.anyParameter {
				return fmt.Errorf(`filter parameter %q must be declared in "parameters" stanza`, filter.Param)
			}
		}
	}
	return nil
}

// checkTypes checks that each storage path exists in the schema, and that the types for one request are compatible.
func (p *parser) checkTypes() {
	type first struct {
		storage path.Path
		types   []schema.Type
	}
	byRequest := map[string]first{}
	p.removeRefused(func(rule *rule) error {
		request := rule.request.String()
		types, err := p.view.storage.At(rule.storage)
		var unfollowed *schema.PathError
		switch {
		case schema.Internal(err):
			return err
		case errors.As(err, &unfollowed):
			return fmt.Errorf("storage path %q for request %q is invalid after %q: %w",
				rule.storage, request, rule.storage[:unfollowed.Followed].Bare(), err)
		}
		other, ok := byRequest[request]
		if !ok {
			byRequest[request] = first{rule.storage, types}
			return nil
		}
		if !schema.Compatible(other.types, types) {
			return fmt.Errorf("storage paths %q and %q for request %q require incompatible types: %s != %s",
				other.storage, rule.storage, request, names(other.types), names(types))
		}
		return nil
	})
}

func names(types []schema.Type) string {
	if len(types) == 1 {
		return types[0].Name()
	}
	list := make([]string, len(types))
	for i, t := range types {
		list[i] = t.Name()
	}
	return "[" + strings.Join(list, ", ") + "]"
}
