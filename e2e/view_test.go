package e2e_test

import (
	"strings"
	"testing"

	"aspects-poc/e2e"
	"aspects-poc/internal/kit/assertion"
	"aspects-poc/roles/network"
)

// TestWithView has each dialect that a machine's snapd may use.
func TestWithView(t *testing.T) {
	for _, dialect := range []network.Dialect{network.ConfdbSchemaDialect, network.ConfdbDialect} {
		document, err := network.Assertion(network.AssertionOptions{Dialect: dialect})
		if err != nil {
			t.Fatal(err)
		}
		text, err := assertion.UnsignedText(e2e.WithView(document, "reset", "device", "tunnel"))
		if err != nil {
			t.Errorf("%s: %v", dialect, err)
			continue
		}
		if want := "type: " + string(dialect) + "\nauthority-id: " + network.AccountID + "\n"; !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: the assertion is %s", dialect, text)
		}
		if !strings.Contains(string(text), "\n  reset:\n    rules:\n      -\n        request: device\n        storage: device\n") {
			t.Errorf("%s: no view reset: %s", dialect, text)
		}
	}
}
