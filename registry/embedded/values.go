package embedded

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"aspects-poc/registry/backend"
)

// storable returns values in which empty lists and maps have become nil. Numbers that would be stored as others are
// ErrBadRequest, as in all backends: confdb keeps numbers as 64-bit floats.
func storable(values map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(values))
	for _, request := range slices.Sorted(maps.Keys(values)) {
		value := values[request]
		if number := altered(value); number != "" {
			return nil, &backend.Error{Kind: backend.ErrBadRequest, Reason: fmt.Sprintf(
				"%s of %q would lose digits, as numbers are kept as 64-bit floats", number, request),
				Remedy: "write it as a string"}
		}
		switch container := value.(type) {
		case []any:
			if len(container) == 0 {
				value = nil
			}
		case map[string]any:
			if len(container) == 0 {
				value = nil
			}
		}
		out[request] = value
	}
	return out, nil
}

// altered returns a number in a value that a 64-bit float cannot hold, or "". Fractions are rounded as anywhere.
func altered(value any) string {
	switch value := value.(type) {
	case json.Number:
		if digits(value) {
			return ""
		}
		near, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			return string(value)
		}
		if exact, ok := new(big.Int).SetString(string(value), 10); ok {
			if back, _ := big.NewFloat(near).Int(nil); exact.Cmp(back) != 0 {
				return string(value)
			}
		}
	case []any:
		for _, element := range value {
			if number := altered(element); number != "" {
				return number
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if number := altered(value[key]); number != "" {
				return number
			}
		}
	}
	return ""
}

// digits tells whether a number is a short row of digits: every integer of up to 15 is a float.
func digits(number json.Number) bool {
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
