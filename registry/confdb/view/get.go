package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// ReadOptions are options of Get. The zero value reads as an administrator, without constraints.
type ReadOptions struct {
	Constraints  map[string]any // parameter or placeholder -> scalar
	Unprivileged bool           // hide secrets
}

// Get reads request paths and returns a map from each request, as written, to its value. Without requests, it returns
// the merged document of all readable rules. Values are JSON shapes with json.Number. Errors are *Error.
func (v *View) Get(bag databag.Bag, requests []string, options ReadOptions) (any, error) {
	if len(options.Constraints) > 0 {
		if err := v.checkConstraints(requests, options.Constraints); err != nil {
			return nil, err
		}
	}
	if len(requests) == 0 {
		return v.read(bag, "", true, options)
	}
	values := map[string]any{}
	for _, request := range requests {
		value, err := v.read(bag, request, false, options)
		var refused *Error
		if errors.As(err, &refused) && refused.Kind == NoData {
			continue
		}
		if err != nil {
			return nil, err
		}
		values[request] = value
	}
	if len(values) == 0 {
		if len(requests) == 1 && requests[0] == "" {
			requests = nil
		}
		return nil, v.fail(NoData, "get", requests, "no data")
	}
	return values, nil
}

// readable parses a request and returns the readable rules that match.
func (v *View) readable(request string) ([]match, error) {
	parsed, err := path.ParseRequest(request)
	if err != nil {
		return nil, v.bad("get", request, err.Error())
	}
	found := v.matches(parsed, false)
	if len(found) == 0 {
		return nil, v.fail(NoMatch, "get", []string{parsed.Bare()}, "no matching rule")
	}
	return found, nil
}

// checkConstraints returns an error if a constraint has no placeholder or filter in any matching rule.
func (v *View) checkConstraints(requests []string, constraints map[string]any) error {
	whole := len(requests) == 0
	if whole {
		requests = []string{""}
	}
	unused := maps.Clone(constraints)
	for _, request := range requests {
		found, err := v.readable(request)
		if err != nil {
			return err
		}
		for _, match := range found {
			for _, accessor := range match.storage {
				if accessor.Kind == path.KeyPlaceholder {
					delete(unused, accessor.Name)
				}
				for _, filter := range accessor.Filters {
					delete(unused, filter.Param)
				}
			}
		}
		if len(unused) == 0 {
			return nil
		}
	}
	word := "constraint"
	if len(unused) > 1 {
		word = "constraints"
	}
	if whole {
		requests = nil
	}
	return v.fail(UnmatchedConstraints, "get", requests,
		fmt.Sprintf("no placeholder for %s %s", word, quoted(slices.Sorted(maps.Keys(unused)))))
}

// checkParameters returns an error if a required parameter has no constraint.
func (v *View) checkParameters(found []match, constraints map[string]any) error {
	var lines []string
	for _, match := range found {
		var missing []string
		for _, accessor := range match.rule.storage {
			for _, filter := range accessor.Filters {
				presence := v.parameters[filter.Param]
				_, constrained := constraints[filter.Param]
				if !constrained && (presence == "required" || presence == "required-on-read") &&
					!slices.Contains(missing, filter.Param) {
					missing = append(missing, filter.Param)
				}
			}
		}
		if len(missing) == 0 {
			continue
		}
		slices.Sort(missing)
		word := "parameter"
		if len(missing) > 1 {
			word = "parameters"
		}
		lines = append(lines, fmt.Sprintf("cannot get %q: filter %s %s must be constrained",
			match.rule.request, word, quoted(missing)))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	message := strings.Join(lines, "\n")
	return &Error{Kind: UnconstrainedParams, Message: message, Reason: message}
}

// inReadingOrder sorts by request path, so that more specific rules are merged later.
func inReadingOrder(found []match) {
	slices.SortStableFunc(found, func(a, b match) int { return path.Compare(a.rule.request, b.rule.request) })
}

func (v *View) read(bag databag.Bag, request string, whole bool, options ReadOptions) (any, error) {
	found, err := v.readable(request)
	if err != nil {
		return nil, err
	}
	inReadingOrder(found)
	if err := v.checkParameters(found, options.Constraints); err != nil {
		return nil, err
	}
	var merged any
	some, authorized := false, !options.Unprivileged
	for _, match := range found {
		source := bag
		if options.Unprivileged {
			source, err = v.storage.Public(bag, match.storage)
			if errors.Is(err, schema.ErrUnauthorized) || errors.Is(err, schema.ErrAbsent) {
				continue
			}
			if err != nil {
				return nil, other(err)
			}
			authorized = true
		}
		value, err := source.Get(match.storage, options.Constraints)
		if errors.Is(err, databag.ErrNoData) {
			continue
		}
		if err != nil {
			return nil, other(err)
		}
		if value, err = wrapped(value, match.rest); err != nil {
			return nil, other(err)
		}
		if !some {
			merged, some = value, true
		} else if merged, err = merge(merged, value); err != nil {
			return nil, other(err)
		}
	}
	switch {
	case some:
		return merged, nil
	case !authorized && whole:
		return nil, &Error{Kind: Unauthorized, Reason: "unauthorized access",
			Message: fmt.Sprintf("cannot get through %s: unauthorized access", v.id)}
	case !authorized:
		return nil, v.fail(Unauthorized, "get", []string{request}, "unauthorized access")
	case whole:
		return nil, v.fail(NoData, "get", nil, "no data")
	}
	return nil, v.fail(NoData, "get", []string{request}, "no data")
}

// wrapped puts a value under the rest of the rule's request, beyond that of the user. It may change the value.
func wrapped(value any, rest path.Path) (any, error) {
	if len(rest) == 0 {
		return value, nil
	}
	switch rest[0].Kind {
	case path.KeyPlaceholder:
		entries, ok := value.(map[string]any)
		if !ok {
			return nil, errors.New("internal error: expected storage to return map for unmatched key placeholder")
		}
		if len(rest) == 1 {
			return entries, nil
		}
		for key, entry := range entries {
			inner, err := wrapped(entry, rest[1:])
			if err != nil {
				return nil, err
			}
			entries[key] = inner
		}
		return entries, nil
	case path.IndexPlaceholder:
		elements, ok := value.([]any)
		if !ok {
			return nil, errors.New("internal error: expected storage to return list for unmatched index placeholder")
		}
		for i, element := range elements {
			if element == nil {
				continue
			}
			inner, err := wrapped(element, rest[1:])
			if err != nil {
				return nil, err
			}
			elements[i] = inner
		}
		return elements, nil
	}
	inner, err := wrapped(value, rest[1:])
	return map[string]any{rest[0].Name: inner}, err
}

// merge joins the values of two rules: objects key by key, lists element by element. A later scalar replaces an
// earlier one, and anything replaces null. It may change both values. The error is that of the first key, in order.
func merge(old, new any) (any, error) {
	if old == nil {
		return new, nil
	}
	if new == nil {
		return old, nil
	}
	switch old := old.(type) {
	case map[string]any:
		if new, ok := new.(map[string]any); ok {
			return mergeObjects(old, new)
		}
	case []any:
		if new, ok := new.([]any); ok {
			for i := range min(len(old), len(new)) {
				value, err := merge(old[i], new[i])
				if err != nil {
					return nil, err
				}
				old[i] = value
			}
			if len(new) > len(old) {
				old = append(old, new[len(old):]...)
			}
			return old, nil
		}
	case bool, string, json.Number:
		if goType(old) == goType(new) {
			return new, nil
		}
	}
	return nil, fmt.Errorf("cannot merge results of different types %s, %s", goType(old), goType(new))
}

func mergeObjects(old, new map[string]any) (any, error) {
	var first error
	firstKey := ""
	for key, value := range new {
		merged, err := merge(old[key], value)
		if err != nil && (first == nil || key < firstKey) {
			first, firstKey = err, key
		}
		if err == nil {
			old[key] = merged
		}
	}
	if first != nil {
		return nil, first
	}
	return old, nil
}

// ReadsEphemeral reports whether a read may need ephemeral data. Its errors are those of snapd's daemon. It ignores
// requests without a matching rule unless no request has one.
func (v *View) ReadsEphemeral(requests []string, options ReadOptions) (bool, error) {
	whole := len(requests) == 0
	if whole {
		requests = []string{""}
	}
	var found []match
	for _, request := range requests {
		parsed, err := path.ParseRequest(request)
		if err != nil {
			return false, other(err)
		}
		found = append(found, v.matches(parsed, false)...)
	}
	if len(found) == 0 {
		return false, v.fail(NoMatch, "get", requests, "no matching rule")
	}
	inReadingOrder(found)
	for _, match := range found {
		storage := slices.Clone(match.storage)
		for i, accessor := range storage {
			if only, ok := options.Constraints[accessor.Name].(string); ok && accessor.Kind == path.KeyPlaceholder {
				storage[i].Kind, storage[i].Name = path.Key, only
			}
		}
		ephemeral, err := v.storage.Ephemeral(storage)
		if err != nil {
			return false, other(fmt.Errorf("cannot check if read affects ephemeral data: %w", err))
		}
		if ephemeral {
			return true, nil
		}
	}
	return false, nil
}
