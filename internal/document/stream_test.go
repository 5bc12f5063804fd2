package document_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"aspects-poc/internal/document"
)

const accountAssertion = `type: account
authority-id: testrootorg
account-id: acme
display-name: Acme
sign-key-sha3-384: hIedp1AvrWlcDI4uS

AcLBUgQAAQoABgUC
`

// stationAssertion returns an assertion of a confdb-schema with a name.
func stationAssertion(name string) string {
	body := "{\n  \"storage\": {\n    \"schema\": {\n      \"period\": \"int\"\n    }\n  }\n}"
	return fmt.Sprintf(`type: confdb-schema
authority-id: acme
account-id: acme
name: %s
timestamp: 2024-10-25T08:55:22Z
views:
  control:
    rules:
      -
        request: period
        storage: period
body-length: %d
sign-key-sha3-384: hIedp1AvrWlcDI4uS

%s

AcLBUgQAAQoABgUC
`, name, len(body), body)
}

func TestParseAll(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // types, names and lines of the name
	}{
		"one":                   {stationAssertion("one"), "confdb-schema one 4"},
		"a stream":              {accountAssertion + "\n" + stationAssertion("one") + "\n" + stationAssertion("two"), "account  1, confdb-schema one 12, confdb-schema two 36"},
		"more empty lines":      {"\n\n" + accountAssertion + "\n\n\n" + stationAssertion("one") + "\n\n", "account  1, confdb-schema one 16"},
		"YAML":                  {light, " light 2"},
		"JSON":                  {`{"name": "x", "views": {}, "storage": {}}`, " x 1"},
		"no newline at its end": {strings.TrimSuffix(stationAssertion("one"), "\n"), "confdb-schema one 4"},
	} {
		t.Run(name, func(t *testing.T) {
			documents, err := document.ParseAll("file", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, doc := range documents {
				got = append(got, fmt.Sprintf("%s %s %d", doc.Header("type"), doc.Header("name"), doc.Position("name").Line))
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

// The position of a fault of a later assertion is that in the whole text.
func TestParseAllPositions(t *testing.T) {
	broken := strings.Replace(stationAssertion("two"), "timestamp: ", "timestamp:", 1)
	_, err := document.ParseAll("file", []byte(accountAssertion+"\n"+broken))
	var refused *document.Error
	if !errors.As(err, &refused) || refused.Pos.Line != 13 {
		t.Errorf("error %v, want one at line 13", err)
	}
	short := strings.Replace(stationAssertion("two"), "body-length: ", "body-length: 9", 1)
	documents, err := document.ParseAll("file", []byte(accountAssertion+"\n"+short))
	if err != nil || len(documents) != 2 || len(documents[1].Faults) == 0 || documents[1].Faults[0].Kind != document.BadLength {
		t.Errorf("with a wrong length: %d documents, %v", len(documents), err)
	}
}

// A signed assertion is no template: its placeholders are faults.
func TestSignedIsNoTemplate(t *testing.T) {
	signed := strings.Replace(stationAssertion("one"), "authority-id: acme\naccount-id: acme", "account-id: <your-account-id>", 1)
	doc := parse(t, "a.assert", signed)
	doc.FillAccount("acme")
	if doc.Unfilled("account-id") || doc.Header("account-id") != "<your-account-id>" || doc.Headers.Get("authority-id") != nil {
		t.Errorf("headers are %s", doc.Headers.JSON())
	}
}
