package api_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/roles/server/audit"
)

// TestReadersPlan: whoever reads may plan what leaves secrets as they are. Nothing is changed, and nothing is an act. A plan of a
// reader does not tell whether a guess of a secret is right.
func TestReadersPlan(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	must := func(method, path, body string) string {
		t.Helper()
		got := a.send("ann", method, path, body)
		if got.status != 200 {
			t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
		}
		return got.body
	}
	must("PUT", "/secrets/vpn/", `{"value":"s3cr3t"}`)
	must("PUT", "/secrets/other/", `{"value":"0ther"}`)
	must("PUT", "/targets/labels/berlin/", `{"selector":"site=berlin","config":{"control-tunnel":{"secret-key":"hunter2"}}}`)
	must("PUT", "/targets/labels/rome/", `{"selector":"site=rome","config":{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}}`)
	marker := regexp.MustCompile(`\{"\$secret":"set","digest":"[^"]+"\}`).FindString(must("GET", "/targets/labels/berlin/", ""))
	last := a.after(0)
	before := must("GET", "/targets/", "")

	layer := func(name, selector, config string) string {
		return fmt.Sprintf(`{"layer":"labels/%s","selector":"%s","config":{"control-telemetry":{"sample-rate":3}%s}}`, name, selector, config)
	}
	key := func(value string) string { return `,"control-tunnel":{"secret-key":` + value + `}` }
	for _, test := range []struct {
		what, change string
		status       int
	}{
		{"no secret", layer("new", "site=new", ""), 200},
		{"the same secret", layer("berlin", "site=berlin", key(marker)), 200},
		{"the same reference", layer("rome", "site=rome", key(`{"$secret":"vpn"}`)), 200},
		{"a right guess", layer("berlin", "site=berlin", key(`"hunter2"`)), 403},
		{"a wrong guess", layer("berlin", "site=berlin", key(`"hunter3"`)), 403},
		{"a right guess of a named secret", layer("rome", "site=rome", key(`"s3cr3t"`)), 403},
		{"a new reference", layer("new", "site=new", key(`{"$secret":"vpn"}`)), 403},
		{"another reference", layer("rome", "site=rome", key(`{"$secret":"other"}`)), 403},
		{"no secret any more", layer("berlin", "site=berlin", ""), 403},
		{"the secret for others", layer("berlin", "site=mine", key(marker)), 403},
		{"the removal of a secret", `{"layer":"labels/berlin","remove":true}`, 403},
		{"a fault", layer("new", "", ""), 422},
	} {
		for _, who := range []string{"vera", "app"} {
			if got := a.send(who, "POST", "/targets/?dry-run", `{"changes":[`+test.change+`]}`); got.status != test.status {
				t.Errorf("%s of %s: %d %s", test.what, who, got.status, got.body)
			}
			for _, query := range []string{"", "?dry-run=false", "?dry-run=true&dry-run=false", "?dry-run=false&dry-run", "?dry-run=false;dry-run"} {
				if got := a.send(who, "POST", "/targets/"+query, `{"changes":[`+test.change+`]}`); got.status != 403 && got.status != 422 {
					t.Errorf("%s of %s with %q: %d %s", test.what, who, query, got.status, got.body)
				}
			}
		}
		if got := a.send("otto", "POST", "/targets/?dry-run", `{"changes":[`+test.change+`]}`); got.status != min(test.status, 200) && test.status != 422 {
			t.Errorf("%s of an operator: %d %s", test.what, got.status, got.body)
		}
	}
	if got := a.send("vera", "PUT", "/targets/everyone/?dry-run", `{"config":{}}`); got.status != 403 {
		t.Errorf("another dry run: %d %s", got.status, got.body)
	}
	if after := must("GET", "/targets/", ""); after != before {
		t.Errorf("%s has become %s", before, after)
	}
	for _, record := range a.after(last[len(last)-1].Number) {
		if record.Result != audit.Refused || !strings.HasPrefix(record.Verb, "apply") || record.Name == "otto" {
			t.Errorf("%+v", record)
		}
	}
}
