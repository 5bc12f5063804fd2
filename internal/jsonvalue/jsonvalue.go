// Package jsonvalue reads, writes, compares and merges JSON values, and limits the JSON of callers who are not trusted. Its main
// functions are Decode, Encode, Equal, Merge and Limits.Check. The library, the server, the fleet page and devices use it, so that they
// agree.
//
// A value is nil, bool, string, json.Number, []any or map[string]any. The engine compares values in a form of its own
// (registry/confdb/databag).
package jsonvalue

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Equal reports whether two values are the same. Numbers are compared as numbers: whole numbers exactly, fractions as
// 64-bit floats. So 1, 1.0 and 10e-1 are equal, and 9007199254740992 and 9007199254740993 are not. The cost depends
// on the length of the texts, not on exponents.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || number(string(a)) == number(string(b)))
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, Equal)
	}
	switch b.(type) {
	case json.Number, []any, map[string]any:
		return false // maps and lists cannot be compared with ==
	}
	return a == b
}

// EqualStored is Equal, but nil, an empty list and an empty map count as the same value: confdb stores none of them.
func EqualStored(a, b any) bool {
	if Empty(a) {
		a = nil
	}
	if Empty(b) {
		b = nil
	}
	return Equal(a, b)
}

// Empty reports whether a value is an empty list or map.
func Empty(value any) bool {
	switch value := value.(type) {
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

// Merge applies a merge patch to a value (RFC 7396): null removes a key, objects are merged, anything else replaces.
// It changes neither argument. The result may share parts with both.
func Merge(value, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	old, _ := value.(map[string]any)
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, change := range changes {
		if change == nil {
			delete(merged, name)
			continue
		}
		merged[name] = Merge(merged[name], change)
	}
	return merged
}

// Digits returns a copy of a value where the integral numbers that can fit 64 bits are written with digits only: 1e1 and
// 10.0 as 10, and -0 as 0. encoding/json reads only those into a Go integer.
func Digits(value any) any {
	return MapNumbers(value, func(number json.Number) any {
		digits, exponent, ok := significant(string(number))
		if !ok || exponent.Sign() < 0 || exponent.Cmp(big.NewInt(longestInteger)) > 0 {
			return number
		}
		if digits == "" {
			return json.Number("0")
		}
		return json.Number(digits + strings.Repeat("0", int(exponent.Int64())))
	})
}

// MapNumbers returns a copy of a value in which replace has replaced each number.
func MapNumbers(value any, replace func(json.Number) any) any {
	switch value := value.(type) {
	case json.Number:
		return replace(value)
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = MapNumbers(element, replace)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, entry := range value {
			object[key] = MapNumbers(entry, replace)
		}
		return object
	}
	return value
}

// longestInteger is the number of digits of the largest 64-bit integer.
const longestInteger = 20

// maxExponent is the largest number of digits in an exponent that is parsed, since parsing takes more than linear
// time. Numbers with longer exponents are equal only if their texts are.
const maxExponent = 1000

// number returns a text that is the same for equal numbers.
func number(text string) string {
	digits, exponent, ok := significant(text)
	if !ok {
		return text
	}
	if exponent.Sign() < 0 {
		near, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return text // no JSON number
		}
		digits, exponent, _ = significant(strconv.FormatFloat(near, 'e', -1, 64))
	}
	return digits + "e" + exponent.String()
}

// significant splits a number into digits, with sign and without leading and trailing zeros, and the power of ten of
// the last digit. Zero has no digits.
func significant(text string) (digits string, exponent *big.Int, ok bool) {
	exponent = new(big.Int)
	mantissa := text
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa = text[:at]
		power := strings.TrimPrefix(text[at+1:], "+")
		if len(power) > maxExponent {
			return "", nil, false
		}
		if _, ok := exponent.SetString(power, 10); !ok {
			return "", nil, false
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent.Sub(exponent, big.NewInt(int64(len(fraction))))
	digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent.Add(exponent, big.NewInt(int64(len(digits)-len(trimmed))))
	if trimmed == "" {
		return "", new(big.Int), true
	}
	if negative {
		trimmed = "-" + trimmed
	}
	return trimmed, exponent, true
}
