package snapdhttp_test

import (
	"testing"

	"aspects-poc/internal/snapdhttp"
)

func TestDecodeTakesOneValue(t *testing.T) {
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{`0`, true}, {" {\"a\": [1]}\n", true}, {`null`, true},
		{``, false}, {`0}`, false}, {`{"a":1}]`, false}, {`{}{}`, false}, {`1 2`, false}, {`{} x`, false}, {`[1`, false},
	} {
		var value any
		if err := snapdhttp.Decode([]byte(test.text), &value); (err == nil) != test.ok {
			t.Errorf("%q: got %v, %v", test.text, value, err)
		}
	}
}
