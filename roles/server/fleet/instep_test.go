package fleet_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
)

func tree(t testing.TB, text string) map[string]any {
	t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	value, err := config.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestInStep(t *testing.T) {
	for _, test := range []struct {
		name, target, reported string
		want                   bool
	}{
		{"nothing demanded, nothing reported", `{}`, `{}`, true},
		{"nothing demanded", `{}`, `{"a":1}`, true},
		{"empty objects demand nothing", `{"a":{"b":{}}}`, `{}`, true},
		{"an empty object against a scalar", `{"a":{}}`, `{"a":1}`, true},
		{"equal", `{"a":{"b":1,"c":"x","d":true,"e":[1]}}`, `{"a":{"e":[1],"d":true,"c":"x","b":1}}`, true},
		{"more is reported", `{"a":{"b":1}}`, `{"a":{"b":1,"c":2},"z":{}}`, true},
		{"a leaf differs", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, false},
		{"a leaf is missing", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1}}`, false},
		{"a view is missing", `{"a":{"b":1}}`, `{}`, false},
		{"false is not missing", `{"a":false}`, `{}`, false},
		{"names have case", `{"a":1}`, `{"A":1}`, false},
		{"types differ: string and number", `{"a":"1"}`, `{"a":1}`, false},
		{"types differ: bool and number", `{"a":true}`, `{"a":1}`, false},
		{"types differ: scalar and object", `{"a":1}`, `{"a":{"b":1}}`, false},
		{"types differ: scalar and array", `{"a":"b"}`, `{"a":["b"]}`, false},
		{"types differ: object and array", `{"a":{"b":1}}`, `{"a":[1]}`, false},
		{"types differ: object and scalar", `{"a":{"b":1}}`, `{"a":1}`, false},
		{"types differ: object and null", `{"a":{"b":1}}`, `{"a":null}`, false},

		{"unset, not reported", `{"a":null}`, `{}`, true},
		{"unset, reported as null", `{"a":null}`, `{"a":null}`, true},
		{"unset, reported", `{"a":null}`, `{"a":0}`, false},
		{"unset, reported empty", `{"a":null}`, `{"a":{}}`, false},
		{"unset below, parent missing", `{"a":{"b":{"c":null}}}`, `{}`, true},
		{"unset below a scalar", `{"a":{"b":null}}`, `{"a":1}`, true},
		{"unset below, sibling there", `{"a":{"b":null}}`, `{"a":{"c":1}}`, true},
		{"unset below, reported", `{"a":{"b":null,"c":1}}`, `{"a":{"b":"x","c":1}}`, false},
		{"null is no value", `{"a":1}`, `{"a":null}`, false},

		{"arrays keep their order", `{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{"arrays are whole: longer", `{"a":[1]}`, `{"a":[1,2]}`, false},
		{"arrays are whole: shorter", `{"a":[1,2]}`, `{"a":[1]}`, false},
		{"an empty array is a leaf", `{"a":[]}`, `{}`, false},
		{"an empty array is no object", `{"a":[]}`, `{"a":{}}`, false},
		{"empty arrays", `{"a":[]}`, `{"a":[]}`, true},
		{"objects in arrays are whole", `{"a":[{"b":1}]}`, `{"a":[{"b":1,"c":2}]}`, false},
		{"objects in arrays: other name", `{"a":[{"b":null}]}`, `{"a":[{"c":null}]}`, false},
		{"null in arrays is a value", `{"a":[null]}`, `{"a":[null]}`, true},
		{"null in arrays is not nothing", `{"a":[{"b":null}]}`, `{"a":[{}]}`, false},
		{"arrays in arrays", `{"a":[[1.0],[{"b":[2]}]]}`, `{"a":[[1],[{"b":[20e-1]}]]}`, true},
		{"a scalar against an array in an array", `{"a":[1]}`, `{"a":[[1]]}`, false},
		{"a string against an object in an array", `{"a":["x"]}`, `{"a":[{}]}`, false},

		{"numbers by value: fraction", `{"a":1}`, `{"a":1.00}`, true},
		{"numbers by value: exponent", `{"a":100}`, `{"a":1E+2}`, true},
		{"numbers by value: negative exponent", `{"a":0.0015}`, `{"a":15e-4}`, true},
		{"numbers by value: zeros", `{"a":0}`, `{"a":-0.0e7}`, true},
		{"numbers: sign", `{"a":1}`, `{"a":-1}`, false},
		{"numbers: power of ten", `{"a":1}`, `{"a":10}`, false},
		{"numbers: beyond a float's digits", `{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{"numbers: 64 bit", `{"a":18446744073709551615}`, `{"a":18446744073709551615.0}`, true},
		{"numbers: beyond a float's range", `{"a":1e999999999999}`, `{"a":10e999999999998}`, true},
		{"numbers: beyond a float's range, differ", `{"a":1e999999999999}`, `{"a":1e999999999998}`, false},
		{"numbers: absurd exponent", `{"a":1e1` + strings.Repeat("0", 2000) + `}`, `{"a":1e2}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fleet.InStep(tree(t, test.target), tree(t, test.reported)); got != test.want {
				t.Errorf("InStep(%s, %s) = %v", test.target, test.reported, got)
			}
		})
	}
}

// merge applies a target to what a device has, as RFC 7396 says: what a willing device does.
func merge(target, have any) any {
	object, ok := target.(map[string]any)
	if !ok {
		return target
	}
	result := map[string]any{}
	if have, ok := have.(map[string]any); ok {
		for name, value := range have {
			result[name] = value
		}
	}
	for name, value := range object {
		if value == nil {
			delete(result, name)
			continue
		}
		result[name] = merge(value, result[name])
	}
	return result
}

// leaves counts what a target demands.
func leaves(value any) (n int) {
	object, ok := value.(map[string]any)
	if !ok {
		return 1
	}
	for _, below := range object {
		n += leaves(below)
	}
	return n
}

func FuzzInStep(f *testing.F) {
	f.Add(`{"a":{"b":null,"c":[1,{"d":null}]},"e":1.50}`, `{"a":{"b":2},"z":true}`)
	f.Add(`{"a":{}}`, `{"a":[]}`)
	f.Fuzz(func(t *testing.T, targetText, reportedText string) {
		targetConfig, err1 := fleet.ParseConfig([]byte(targetText))
		reportedConfig, err2 := fleet.ParseConfig([]byte(reportedText))
		if err1 != nil || err2 != nil {
			t.Skip()
		}
		target, reported := tree(t, targetConfig.String()), tree(t, reportedConfig.String())
		got := fleet.InStep(target, reported)
		if got != fleet.InStep(target, reported) {
			t.Error("not a function")
		}
		if merged := merge(target, reported).(map[string]any); !fleet.InStep(target, merged) {
			t.Errorf("%s applied to %s is not in step: %v", targetConfig, reportedConfig, merged)
		}
		if leaves(target) == 0 && !got {
			t.Errorf("%s demands nothing, but %s is not in step", targetConfig, reportedConfig)
		}
		if !fleet.InStep(map[string]any{}, reported) {
			t.Error("not in step with nothing")
		}
		// One more leaf to demand, which cannot be reported, is never in step; one more report changes nothing.
		const name = "\uffff a name that was not there"
		if _, there := target[name]; !there {
			reported[name] = "more"
			if fleet.InStep(target, reported) != got {
				t.Error("more than the target names made a difference")
			}
			target[name] = "other"
			if fleet.InStep(target, reported) {
				t.Error("in step with a leaf that differs")
			}
		}
	})
}

// FuzzNumbers compares the comparison with big.Rat's, where that can.
func FuzzNumbers(f *testing.F) {
	f.Add("1", "1.0")
	f.Add("-0.001e2", "-1e-1")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, text := range []string{a, b} {
			_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
			if len(text) > 30 || len(exponent) > 4 || !json.Valid([]byte(text)) ||
				!strings.Contains("-0123456789", text[:1]) || strings.TrimSpace(text) != text {
				t.Skip()
			}
		}
		ratA, okA := new(big.Rat).SetString(a)
		ratB, okB := new(big.Rat).SetString(b)
		if !okA || !okB {
			t.Skip()
		}
		got := fleet.InStep(map[string]any{"n": json.Number(a)}, map[string]any{"n": json.Number(b)})
		if want := ratA.Cmp(ratB) == 0; got != want {
			t.Errorf("%s and %s: equal %v, want %v", a, b, got, want)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{`{}`, ` {"b":[1.10,"\u00fc"],"a":{"b":null}} `, `{"a":1,"a":2}`, `[]`, `{"a":"\ud800"}`,
		"{\"\xff\":1}", `{"n":9007199254740993}`, strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		config, err := fleet.ParseConfig(text)
		if !bytes.Equal(before, text) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		again, err := fleet.ParseConfig([]byte(config.String()))
		if err != nil || !again.Equal(config) {
			t.Errorf("%s became %s: %v", config, again, err)
		}
		loaded, err := fleet.LoadConfig([]byte(config.String()))
		if err != nil || !loaded.Equal(config) {
			t.Errorf("%s loads as %s: %v", config, loaded, err)
		}
		value, err := config.Tree()
		if err != nil {
			t.Fatal(err)
		}
		// A configuration is in step with itself, but for nulls, which ask for absence.
		if !fleet.InStep(value, value) {
			t.Errorf("%s is not in step with itself", config)
		}
	})
}
