package fleet

import (
	"encoding/json"
	"math/big"
	"strings"
)

// InStep tells whether a device that reports reported has everything that target demands. Both are trees of nil, bool,
// string, json.Number, []any and map[string]any.
//
// Each leaf of the target has to be reported equal. Leaves are what is no object: scalars, and arrays, which are
// compared whole and in order. Numbers are compared by value, to the last digit. A null leaf is a demand to unset: the
// device must not report it (or report null). An empty object demands nothing, and neither does what a device reports
// beyond the target.
func InStep(target, reported map[string]any) bool {
	for name, demanded := range target {
		got, there := reported[name]
		switch demanded := demanded.(type) {
		case nil:
			if there && got != nil {
				return false
			}
		case map[string]any:
			// What is no object reports no leaf below it, which is what nulls in the target ask for.
			below, _ := got.(map[string]any)
			if !InStep(demanded, below) {
				return false
			}
		default:
			if !there || !equal(demanded, got) {
				return false
			}
		}
	}
	return true
}

// equal compares two values whole.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(a.String(), b.String())
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any: // inside an array
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name := range a {
			value, there := b[name]
			if !there || !equal(a[name], value) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, map[string]any:
		return false // not comparable with ==
	}
	return a == b
}

// equalNumbers compares two JSON numbers by value: 1, 1.0 and 10e-1 are equal. It works on the digits, as "1e999999999"
// must cost no more than its text.
func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	digitsA, exponentA := normal(a)
	digitsB, exponentB := normal(b)
	return digitsA == digitsB && exponentA.Cmp(exponentB) == 0
}

// normal splits a JSON number into its significant digits, with sign and without zeros at either end, and the power of
// ten of the last one. Zero has no digits.
func normal(number string) (digits string, exponent *big.Int) {
	exponent = new(big.Int)
	mantissa := number
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa = number[:at]
		// A body's size bounds the exponent's length, but its conversion takes more than linear time; nobody means
		// a number of that kind, so beyond 1,000 digits only equal texts are equal.
		if text := strings.TrimPrefix(number[at+1:], "+"); len(text) <= 1000 {
			exponent.SetString(text, 10)
		} else {
			return number, exponent
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent.Sub(exponent, big.NewInt(int64(len(fraction))))
	digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent.Add(exponent, big.NewInt(int64(len(digits)-len(trimmed))))
	if trimmed == "" {
		return "", new(big.Int)
	}
	if negative {
		trimmed = "-" + trimmed
	}
	return trimmed, exponent
}
