package release_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet/release"
)

var update = flag.Bool("update", false, "write the table into docs/operators/releases.md")

// docs/operators/releases.md shows the transitions.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "..", "..", "docs", "operators", "releases.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- table: go test ./roles/server/fleet/release -update -->\n", "<!-- end of the table -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	want := before + begin + table() + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show the transitions; run: go test ./roles/server/fleet/release -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table() string {
	var text strings.Builder
	text.WriteString("\nphase | event | if | next phase\n---|---|---|---\n")
	for _, row := range release.Table {
		var from []string
		for _, phase := range row.From {
			from = append(from, string(phase))
		}
		to := string(row.To)
		if row.Then != "" {
			to += ": " + row.Then
		}
		on := string(row.On)
		if row.On != release.Look {
			on = "a person says " + on
		}
		fmt.Fprintf(&text, "%s | %s | %s | %s\n", strings.Join(from, ", "), on, row.When, to)
	}
	text.WriteString("\n")
	return text.String()
}
