package backend

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"

	"aspects-poc/internal/jsonvalue"
)

// Storable returns a copy of the values of a Set in the form that confdb stores. It returns an *Error of kind
// ErrBadRequest, with only reason and remedy set, for an empty map, for text that is not UTF-8, and for a whole
// number that a 64-bit float cannot hold: confdb stores numbers as 64-bit floats.
//
// An empty list or map as the value of a request becomes nil, which unsets: snapd 2.73 and later store no empty
// containers.
func Storable(values map[string]any) (map[string]any, error) {
	if len(values) == 0 {
		return nil, &Error{Kind: ErrBadRequest, Reason: "there is nothing to write"}
	}
	storable := make(map[string]any, len(values))
	for _, request := range slices.Sorted(maps.Keys(values)) {
		value := values[request]
		if text, ok := notUTF8(map[string]any{request: value}); ok {
			return nil, &Error{Kind: ErrBadRequest, Reason: fmt.Sprintf("%q is not UTF-8: confdb keeps JSON, in which it would be another text",
				text)}
		}
		if number := losesDigits(value); number != "" {
			return nil, &Error{Kind: ErrBadRequest, Remedy: "write it as a string", Reason: fmt.Sprintf(
				"%s of %q would lose digits, as confdb keeps numbers as 64-bit floats", number, request)}
		}
		if jsonvalue.Empty(value) {
			value = nil
		}
		storable[request] = value
	}
	return storable, nil
}

// notUTF8 returns the first string or key in a value that is not UTF-8.
func notUTF8(value any) (text string, found bool) {
	switch value := value.(type) {
	case string:
		return value, !utf8.ValidString(value)
	case []any:
		for _, item := range value {
			if text, found = notUTF8(item); found {
				return text, true
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if !utf8.ValidString(key) {
				return key, true
			}
			if text, found = notUTF8(value[key]); found {
				return text, true
			}
		}
	}
	return "", false
}

// WriteOp returns the Error.Op of a Set: "unset" if all values are nil, otherwise "set".
func WriteOp(values map[string]any) string {
	for _, value := range values {
		if value != nil {
			return "set"
		}
	}
	if len(values) == 0 {
		return "set"
	}
	return "unset"
}

// losesDigits returns the first whole number in a value that a 64-bit float cannot hold, or "". Fractions are
// rounded.
func losesDigits(value any) string {
	switch value := value.(type) {
	case json.Number:
		if short(value) {
			return ""
		}
		near, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			return string(value)
		}
		if exact, whole := new(big.Int).SetString(string(value), 10); whole {
			if back, _ := big.NewFloat(near).Int(nil); exact.Cmp(back) != 0 {
				return string(value)
			}
		}
	case []any:
		for _, element := range value {
			if number := losesDigits(element); number != "" {
				return number
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if number := losesDigits(value[key]); number != "" {
				return number
			}
		}
	}
	return ""
}

// short reports whether a number consists of at most 15 digits. A 64-bit float holds every such integer.
func short(number json.Number) bool {
	if len(number) > 15 {
		return false
	}
	for i := range len(number) {
		if number[i] < '0' || number[i] > '9' {
			return false
		}
	}
	return true
}

// CheckConstraints returns an *Error of kind ErrBadRequest, with only message and reason set, if a constraint is not
// a scalar. The text is that of snapd 2.75 and later.
func CheckConstraints(constraints map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(constraints)) {
		shape := ""
		switch constraints[name].(type) {
		case nil:
			shape = "null"
		case []any:
			shape = "array"
		case map[string]any:
			shape = "map"
		default:
			continue
		}
		text := fmt.Sprintf("constraint value must be non-null scalar but parameter %q has %s constraint", name, shape)
		return &Error{Kind: ErrBadRequest, Message: text, Reason: text}
	}
	return nil
}
