package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
)

// The parts of a confdb-schema and a snap that the examples of explanations leave out.
const (
	exampleHeaders = "account-id: Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4\nname: lamp\nrevision: 1\n"
	exampleSchema  = "views:\n  lamp-admin:\n    rules:\n      - {request: color, storage: v1.color}\nstorage:\n  schema: {v1: {schema: {color: string}}}\n"
)

// Each rule has an explanation: its bad example gives the finding, and its good one gives neither the finding nor an error.
func TestExplanations(t *testing.T) {
	for _, rule := range lint.Rules() {
		t.Run(rule.Code, func(t *testing.T) {
			e, ok := lint.Explain(rule.Code)
			if !ok || len(e.Why) < 40 {
				t.Fatalf("nothing is said about why: %q", e.Why)
			}
			if !strings.Contains(e.Text(), e.Summary) || !strings.Contains(lint.Markdown(rule.Code), "#"+rule.Code) {
				t.Error("the texts lack the summary or the link")
			}
			if rule.Code == "more" {
				return // an example would have 200 faults
			}
			if len(e.Bad) == 0 || len(e.Good) == 0 {
				t.Fatal("an example is missing")
			}
			modes := strings.HasSuffix(rule.Code, "-not-executable")
			bad, good := lintExample(t, e.Bad, rule, !modes), lintExample(t, e.Good, rule, true)
			is := func(f lint.Finding) bool { return f.Code == rule.Code }
			if !slices.ContainsFunc(bad, is) {
				t.Errorf("the bad example gives %v", bad)
			}
			if slices.ContainsFunc(good, is) || lint.Failed(good, false) {
				t.Errorf("the good example gives %v", good)
			}
		})
	}
	if _, ok := lint.Explain("nothing"); ok || lint.Markdown("nothing") != "" {
		t.Error("what is no rule is explained")
	}
}

func lintExample(t *testing.T, files []lint.Example, rule lint.Rule, executable bool) []lint.Finding {
	t.Helper()
	dir := t.TempDir()
	file, against := "", ""
	snaps := map[string]bool{}
	for _, f := range files {
		name, text, mode := filepath.Join(dir, f.File), f.Text, os.FileMode(0o644)
		switch base := filepath.Base(f.File); {
		case base == "schema.yaml" && !regexp.MustCompile(`(?m)^name:`).MatchString(text):
			file, text = name, exampleHeaders+text
		case base == "published.yaml":
			against = name
		case base == "snapcraft.yaml" || base == "snap.yaml":
			snaps[filepath.Dir(filepath.Dir(name))] = true
		case strings.HasPrefix(f.Text, "#!") || strings.Contains(f.File, "hooks/"):
			if executable {
				mode = 0o755
			}
		case strings.HasPrefix(f.File, "lib/"):
		default:
			file = name
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if file == "" {
		file = filepath.Join(dir, "schema.yaml")
		if err := os.WriteFile(file, []byte(exampleHeaders+exampleSchema), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := document.ParseSchemas(file, text)
	if found, ok := lint.Unreadable(err); ok {
		return []lint.Finding{found}
	} else if err != nil {
		t.Fatal(err)
	}
	options := lint.Options{}
	if rule.Off {
		options.Enable = []string{rule.Code}
	}
	if against != "" {
		options.Against = readDocument(t, against)
	}
	for snap := range snaps {
		found, err := lint.ReadSnap(snap)
		if err != nil {
			t.Fatal(err)
		}
		options.Snaps = append(options.Snaps, found)
	}
	slices.SortFunc(options.Snaps, func(a, b *lint.Snap) int { return strings.Compare(a.File, b.File) })
	return lint.Check(docs[0], options)
}
