package view

import (
	"errors"
	"fmt"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/schema"
)

// check checks the view as a whole: duplicate requests, filters, and storage paths against the schema.
func (v *View) check() error {
	seen := map[string]bool{}
	for _, rule := range v.rules {
		if request := rule.request.String(); rule.readable {
			if seen[request] {
				return place.In(errors.New(`cannot have several reading rules with the same "request" field`), rule.at...)
			}
			seen[request] = true
		}
	}
	for _, rule := range v.rules {
		if err := v.checkFilters(rule.storage); err != nil {
			return place.In(err, rule.at...)
		}
	}
	return v.checkTypes()
}

// checkFilters checks that field filters are on maps, in snapd's order: those at the end of the path by its types,
// then the others, then their parameters.
func (v *View) checkFilters(storage path.Path) error {
	if len(storage[len(storage)-1].Filters) > 0 {
		types, err := v.storage.At(storage)
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
			if _, ok := v.parameters[filter.Param]; !ok {
				return fmt.Errorf(`filter parameter %q must be declared in "parameters" stanza`, filter.Param)
			}
		}
	}
	return nil
}

// checkTypes checks that each storage path exists in the schema, and that the types for one request are compatible.
func (v *View) checkTypes() error {
	type first struct {
		storage path.Path
		types   []schema.Type
	}
	byRequest := map[string]first{}
	for _, rule := range v.rules {
		request := rule.request.String()
		types, err := v.storage.At(rule.storage)
		var unfollowed *schema.PathError
		if errors.As(err, &unfollowed) {
			if !schema.Internal(err) {
				err = fmt.Errorf("storage path %q for request %q is invalid after %q: %w",
					rule.storage, request, rule.storage[:unfollowed.Followed].Bare(), err)
			}
			return place.In(err, rule.at...)
		}
		if err != nil {
			return err
		}
		other, ok := byRequest[request]
		if !ok {
			byRequest[request] = first{rule.storage, types}
			continue
		}
		if !schema.Compatible(other.types, types) {
			return place.In(fmt.Errorf("storage paths %q and %q for request %q require incompatible types: %s != %s",
				other.storage, rule.storage, request, names(other.types), names(types)), rule.at...)
		}
	}
	return nil
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
