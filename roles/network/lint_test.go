package network_test

import (
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

// Our own confdb-schema has no errors. What lint says of it beyond that is known and meant:
//
// version-prefix: its storage paths are those of the original proof of concept, whose data and documents use them.
// entries-unset: the content rules of config.{name} are part of the view that was asked for. control writes each
// interface by a request of its own.
// never-read: the tunnel's key goes in and never comes out; the demo has nothing that uses it.
// unset-unnoticed: nobody unsets all interfaces at once; control unsets them by name.
func TestLint(t *testing.T) {
	want := []string{"entries-unset", "never-read", "unset-unnoticed", "version-prefix"}
	for name, text := range map[string][]byte{"confdb-schema.json": network.Source(), "signable.json": network.Document("")} {
		doc, err := document.Parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		codes := map[string]bool{}
		for _, found := range lint.Check(doc, lint.Options{}) {
			t.Logf("%+v", found)
			codes[found.Code] = true
		}
		got := map[string]bool{}
		for _, code := range want {
			got[code] = true
		}
		if diff := cmp.Diff(got, codes); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
}
