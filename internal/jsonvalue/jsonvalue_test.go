package jsonvalue_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"

	"github.com/google/go-cmp/cmp"
)

func value(t testing.TB, text string) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func TestDigits(t *testing.T) {
	for text, want := range map[string]string{
		`1e1`: `10`, `7.1e2`: `710`, `-1E+3`: `-1000`, `10.0`: `10`, `-0`: `0`, `0e9`: `0`, `1.5`: `1.5`, `"1e1"`: `"1e1"`, `null`: `null`,
		`18446744073709551615.0`: `18446744073709551615`, `9223372036854775807`: `9223372036854775807`, `1e999999999`: `1e999999999`,
		`{"a":[1e0,{"b":25e-1,"c":250e-1}]}`: `{"a":[1,{"b":25e-1,"c":25}]}`,
	} {
		got, err := json.Marshal(jsonvalue.Digits(value(t, text)))
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s, %v, want %s", text, got, err, want)
		}
	}
}

// The values of a line are equal, and differ from those of all other lines.
func TestEqual(t *testing.T) {
	lines := []string{
		`null`,
		`true`,
		`false`,
		`""`,
		`"1"`,
		`"null"`,
		`0 | -0 | 0.0 | 0e5 | 0e999999999 | -0.000e-7 | 1e-400`,
		`1 | 1.0 | 10e-1 | 0.1e1 | 1E0 | 1e+0 | 1.00000000000000000001`,
		`-1 | -1.0`,
		`9007199254740992 | 9007199254740992.0 | 9.007199254740992e15`,
		`9007199254740993 | 9007199254740993.0 | 9.007199254740993e15`,
		`18446744073709551615`,
		`18446744073709551616`,
		`0.1 | 0.10 | 1e-1 | 0.1000000000000000055`,
		`0.30000000000000004 | 0.3000000000000000444`,
		`0.3`,
		`1e999999999 | 10e999999998`,
		`1e1000000000`,
		`[]`,
		`[1] | [1.0]`,
		`[[1]]`,
		`[1,2]`,
		`[2,1]`,
		`[null]`,
		`{}`,
		`{"a":1} | {"a":1.0}`,
		`{"a":1,"b":null}`,
		`{"b":1}`,
		`{"a":{"a":1}}`,
	}
	for i, line := range lines {
		for _, a := range strings.Split(line, " | ") {
			for j, other := range lines {
				for _, b := range strings.Split(other, " | ") {
					if got := jsonvalue.Equal(value(t, a), value(t, b)); got != (i == j) {
						t.Errorf("Equal(%s, %s) is %t", a, b, got)
					}
				}
			}
		}
	}
	if !jsonvalue.EqualStored(value(t, `[]`), nil) || !jsonvalue.EqualStored(value(t, `{}`), value(t, `[]`)) ||
		jsonvalue.EqualStored(value(t, `[null]`), nil) || jsonvalue.EqualStored(value(t, `""`), nil) {
		t.Error("what is not stored is not the same")
	}
}

// An exponent may be as long as a request: the comparison must cost no more than the text.
func TestEqualOfHugeExponents(t *testing.T) {
	huge := json.Number("1e" + strings.Repeat("9", 1<<20))
	if jsonvalue.Equal(huge, json.Number("1")) || !jsonvalue.Equal(huge, huge) {
		t.Error("a huge exponent is compared wrongly")
	}
}

// The examples are those of RFC 7396, appendix A.
func TestMerge(t *testing.T) {
	for _, test := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		old, patch := value(t, test[0]), value(t, test[1])
		if diff := cmp.Diff(value(t, test[2]), jsonvalue.Merge(old, patch)); diff != "" {
			t.Errorf("%s with %s (-want +got)\n%s", test[0], test[1], diff)
		}
		if diff := cmp.Diff(value(t, test[0]), old) + cmp.Diff(value(t, test[1]), patch); diff != "" {
			t.Errorf("%s with %s: an argument was changed\n%s", test[0], test[1], diff)
		}
	}
}

// FuzzEqual compares Equal with math/big.
func FuzzEqual(f *testing.F) {
	for _, text := range []string{"1", "1.0", "10e-1", "-0", "9007199254740993", "0.1", "1e21", "123456789012345678901234567890"} {
		f.Add(text, "1.00")
		f.Add(text, text+"0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 40 || len(b) > 40 || !json.Valid([]byte(a)) || !json.Valid([]byte(b)) {
			return
		}
		x, isX := value(t, a).(json.Number)
		y, isY := value(t, b).(json.Number)
		if !isX || !isY || strings.ContainsAny(a+b, "eE") && !small(a, b) {
			return
		}
		if got, want := jsonvalue.Equal(x, y), kept(t, x.String()).Cmp(kept(t, y.String())) == 0; got != want {
			t.Errorf("Equal(%s, %s) is %t", a, b, got)
		}
	})
}

// small reports whether no exponent has more than two digits.
func small(texts ...string) bool {
	for _, text := range texts {
		if at := strings.IndexAny(text, "eE"); at >= 0 && len(strings.TrimLeft(text[at+1:], "+-0")) > 2 {
			return false
		}
	}
	return true
}

// kept returns the number that confdb stores: a whole number exactly, a fraction as the nearest float.
func kept(t *testing.T, text string) *big.Rat {
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatal(text)
	}
	if exact.IsInt() {
		return exact
	}
	near, _ := exact.Float64()
	shown, _ := new(big.Rat).SetString(json.Number(shortest(near)).String())
	return shown
}

func shortest(number float64) string {
	text, _ := json.Marshal(number)
	return string(text)
}
