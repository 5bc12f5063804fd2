package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/e2e"
	"aspects-poc/registry/network"
)

func TestAssertionText(t *testing.T) {
	document := json.RawMessage(`{"type":"confdb-schema","name":"n","account-id":"a","authority-id":"a","revision":"2",
		"timestamp":"2026-09-01T00:00:00Z","summary":"what it is","body":"{\n  \"storage\": {}\n}",
		"views":{"v":{"rules":[{"request":"r","storage":"s","content":[{"storage":"c"}]},{"storage":"t"}]}}}`)
	want := `type: confdb-schema
authority-id: a
revision: 2
account-id: a
name: n
summary: what it is
views:
  v:
    rules:
      -
        content:
          -
            storage: c
        request: r
        storage: s
      -
        storage: t
timestamp: 2026-09-01T00:00:00Z
body-length: 19
sign-key-sha3-384: ` + strings.Repeat("A", 64) + `

{
  "storage": {}
}

`
	got, err := e2e.AssertionText(document)
	if err != nil {
		t.Fatal(err)
	}
	if text, found := strings.CutPrefix(string(got), want); !found {
		t.Errorf("assertion:\n%s\nwant it to begin:\n%s", got, want)
	} else if strings.Contains(strings.TrimSuffix(text, "\n"), "\n") {
		t.Errorf("the signature has several lines: %q", text)
	}
}

func TestAssertionTextOfWhatIsNone(t *testing.T) {
	for _, document := range []string{``, `[]`, `{}`, `{"body":1}`, `{"body":"{}","revision":1}`, `{"body":"{}","name":"a\nb"}`} {
		if text, err := e2e.AssertionText(json.RawMessage(document)); err == nil {
			t.Errorf("%s gave %s", document, text)
		}
	}
}

func TestAssertionTextOfOurSchema(t *testing.T) {
	text, err := e2e.AssertionText(network.Document(""))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "type: confdb-schema\nauthority-id: "+network.AccountID+"\n") {
		t.Errorf("assertion begins %.80q", text)
	}
}
