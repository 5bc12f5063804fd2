package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/kit/lint"

	"github.com/google/go-cmp/cmp"
)

const begin, end = "<!-- rules: go test ./internal/kit/lint -update writes them -->\n", "<!-- end of rules -->\n"

// The page that findings name describes every rule. go test -update rewrites that part of it.
func TestDocPage(t *testing.T) {
	file := filepath.Join("..", "..", "..", filepath.FromSlash(lint.DocPage))
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part for the rules", lint.DocPage)
	}
	var want strings.Builder
	want.WriteString("\n| code | level | what is found | what to do |\n|---|---|---|---|\n")
	for _, rule := range lint.Rules() {
		level := string(rule.Level)
		if rule.Off {
			level += ", off"
		}
		fmt.Fprintf(&want, "| <a id=\"%s\"></a>`%[1]s` | %s | %s | %s |\n", rule.Code, level, rule.Summary, rule.Help)
	}
	want.WriteString("\n")
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("%s, go test -update rewrites it (-want +got):\n%s", lint.DocPage, diff)
	}
}
