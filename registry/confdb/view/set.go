package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// A Write is a storage path and its new value; nil removes the data.
type Write struct {
	Storage path.Path
	Value   *databag.Node
}

// Set returns the writes, in order, for setting a request path. The value has JSON shapes with float64 or
// json.Number, and is not nil. Errors are *Error.
func (v *View) Set(request string, value any) ([]Write, error) {
	if request == "" {
		reason := "cannot set empty path through confdb view " + v.id
		return nil, &Error{Kind: BadRequest, Message: reason, Reason: reason}
	}
	parsed, err := path.ParseRequest(request)
	if err != nil {
		return nil, v.bad("set", request, err.Error())
	}
	if reason := faulty(value); reason != "" {
		return nil, v.bad("set", request, reason)
	}
	found := v.matches(parsed, true)
	if len(found) == 0 {
		return nil, v.fail(NoMatch, "set", []string{request}, "no matching rule")
	}
	// This order also decides which of several faults is reported.
	slices.SortStableFunc(found, func(a, b match) int { return path.Compare(a.storage, b.storage) })
	var writes []Write
	left := value
	var used []path.Path
	for _, match := range found {
		parts, err := spread(value, match.rest, match.storage)
		if err != nil {
			return nil, v.bad("set", request, err.Error())
		}
		if parts == nil {
			// The value has nothing for this rule, so the rule's data is removed.
			writes = append(writes, Write{Storage: match.storage})
			continue
		}
		for _, part := range parts {
			write := Write{Storage: part.storage}
			if part.value != nil {
				if write.Value, err = databag.FromValue(part.value); err != nil {
					return nil, v.bad("set", request, err.Error())
				}
			}
			writes = append(writes, write)
		}
		used = append(used, match.rest)
	}
	for _, suffix := range used {
		if left = without(left, suffix); left == nil {
			break
		}
	}
	if left != nil {
		return nil, v.bad("set", request, fmt.Sprintf("value contains unused data: %v", left))
	}
	slices.SortStableFunc(writes, func(a, b Write) int { return path.Compare(a.Storage, b.Storage) })
	return writes, nil
}

// Unset returns the writes, in order, for unsetting a request path. "" means all that the view can write. Errors are
// *Error.
func (v *View) Unset(request string) ([]Write, error) {
	parsed, err := path.ParseRequest(request)
	if err != nil {
		return nil, v.bad("unset", request, err.Error())
	}
	found := v.matches(parsed, true)
	if len(found) == 0 {
		return nil, v.fail(NoMatch, "unset", []string{request}, "no matching rule")
	}
	writes := make([]Write, len(found))
	for i, match := range found {
		writes[i] = Write{Storage: match.storage}
	}
	return writes, nil
}

// deepest is how many levels a value may have, including the scalar.
const deepest = 64

// faulty returns why a value is invalid, or "": too deep, an empty container or a malformed key. It searches level by
// level.
func faulty(value any) string {
	level := []any{value}
	for depth := 1; len(level) > 0; depth++ {
		if depth > deepest {
			return fmt.Sprintf("value cannot have more than %d nested levels", deepest)
		}
		var next []any
		for _, value := range level {
			switch value := value.(type) {
			case []any:
				if len(value) == 0 {
					return "cannot set empty container: must contain at least one scalar"
				}
				next = append(next, value...)
			case map[string]any:
				if len(value) == 0 {
					return "cannot set empty container: must contain at least one scalar"
				}
				for _, key := range sortedKeys(value) {
					if !path.ValidSubkey(key) {
						return fmt.Sprintf("key %q doesn't conform to required format: %s", key, path.Subkey)
					}
					next = append(next, value[key])
				}
			}
		}
		level = next
	}
	return ""
}

func sortedKeys(object map[string]any) []string {
	keys := slices.AppendSeq(make([]string, 0, len(object)), maps.Keys(object))
	slices.Sort(keys)
	return keys
}

// A part is the share of a value for one storage path.
type part struct {
	storage path.Path
	value   any
}

// spread divides a value along the rest of a rule's request, and fills the placeholders of the storage path. It
// returns nil if a key of the rest is missing in the value.
func spread(value any, rest, storage path.Path) ([]part, error) {
	if len(rest) == 0 {
		return []part{{storage, value}}, nil
	}
	var parts []part
	into := func(value any, accessor path.Accessor) (bool, error) {
		bound := bindings{{rest[0], accessor}}
		more, err := spread(value, rest[1:], bound.fill(storage))
		parts = append(parts, more...)
		return more != nil, err
	}
	if rest[0].Kind == path.IndexPlaceholder {
		list, ok := value.([]any)
		if !ok {
			return nil, fmt.Errorf("expected list for unmatched request parts but got %s", goType(value))
		}
		for i, element := range list {
			if ok, err := into(element, path.Accessor{Kind: path.Index, Name: fmt.Sprint(i)}); !ok || err != nil {
				return nil, err
			}
		}
		return parts, nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("expected map for unmatched request parts but got %s", goType(value))
	}
	if rest[0].Kind == path.Key {
		inner, ok := object[rest[0].Name]
		if !ok {
			return nil, nil
		}
		return spread(inner, rest[1:], storage)
	}
	for _, key := range sortedKeys(object) {
		if ok, err := into(object[key], path.Accessor{Kind: path.Key, Name: key}); !ok || err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// without returns a value without its parts along a suffix, or nil if nothing is left. Missing parts are no error:
// another rule may have used them.
func without(value any, suffix path.Path) any {
	if len(suffix) == 0 {
		return nil
	}
	switch value := value.(type) {
	case []any:
		var left []any
		for _, element := range value {
			if inner := without(element, suffix[1:]); inner != nil {
				left = append(left, inner)
			}
		}
		if left == nil {
			return nil
		}
		return left
	case map[string]any:
		left := map[string]any{}
		for key, inner := range value {
			if suffix[0].Kind == path.KeyPlaceholder || suffix[0].Name == key {
				if inner = without(inner, suffix[1:]); inner == nil {
					continue
				}
			}
			left[key] = inner
		}
		if len(left) == 0 {
			return nil
		}
		return left
	}
	return value
}

// Normal returns a copy of JSON shapes as Set takes them. Numbers become 64-bit floats, as over snapd's REST API;
// with exact they keep their digits, as through snapctl. Other Go values are encoded as JSON first.
func Normal(value any, exact bool) (any, error) {
	switch value := value.(type) {
	case nil, bool, float64:
		return value, nil
	case string:
		// JSON cannot hold such a string unchanged.
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("text %q is not valid UTF-8", value)
		}
		return value, nil
	case json.Number:
		if !isNumber(string(value)) {
			return nil, fmt.Errorf("%q is no JSON number", value)
		}
		if exact {
			return value, nil
		}
		float, err := value.Float64()
		if err != nil {
			return nil, fmt.Errorf("number %s does not fit 64 bits", value)
		}
		return float, nil
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			inner, err := Normal(element, exact)
			if err != nil {
				return nil, err
			}
			list[i] = inner
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, entry := range value {
			inner, err := Normal(entry, exact)
			if err != nil {
				return nil, err
			}
			object[key] = inner
		}
		return object, nil
	}
	node, err := databag.FromValue(value)
	if err != nil {
		return nil, err
	}
	return Normal(node.Value(), exact)
}

// isNumber reports whether text is a JSON number. The type json.Number does not guarantee it.
func isNumber(text string) bool {
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return false
	}
	last := text[len(text)-1] // no trailing space
	return '0' <= last && last <= '9' && json.Valid([]byte(text))
}
