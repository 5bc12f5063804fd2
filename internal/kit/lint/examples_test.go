package lint_test

import (
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/lint"
)

// lint has no finding in the examples.
func TestExamples(t *testing.T) {
	for schema, snaps := range map[string][]string{
		"monitor/monitor.yaml": {"monitor/sensor"},
		"proxy/proxy.yaml":     {"proxy/custodian", "proxy/browser"},
	} {
		file := filepath.Join("..", "..", "..", "examples", filepath.FromSlash(schema))
		var options lint.Options
		for _, name := range snaps {
			snap, err := lint.ReadSnap(filepath.Join("..", "..", "..", "examples", filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			options.Snaps = append(options.Snaps, snap)
		}
		for _, found := range lint.Check(readDocument(t, file), options) {
			if found.Level != lint.Note {
				t.Errorf("%+v", found)
			}
		}
	}
}
