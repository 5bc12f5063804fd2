package docs

import (
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
)

// TestSchemaLanguage gives lint each example of the page: it finds no more than what the example's first line says.
func TestSchemaLanguage(t *testing.T) {
	t.Parallel()
	const file = "schema-language.md"
	for _, block := range blocksOf(t, file) {
		if block.kind != "yaml" {
			continue
		}
		text := strings.Join(block.lines, "\n") + "\n"
		if !strings.Contains(text, "account-id:") {
			text += "account-id: acme\nname: example\n"
		}
		doc, err := document.Parse(file, []byte(text))
		if err != nil {
			t.Errorf("line %d: %v", block.line, err)
			continue
		}
		codes, _ := strings.CutPrefix(block.lines[0], "# lint: ")
		if codes == block.lines[0] {
			codes = ""
		}
		want, got := strings.Fields(codes), []string(nil)
		for _, finding := range lint.Check(doc, lint.Options{}) {
			if finding.Level == lint.Note {
				continue
			}
			if !slices.Contains(want, finding.Code) {
				t.Errorf("line %d: %s: %s [%s]", block.line+finding.Line, finding.Level, finding.Message, finding.Code)
			}
			got = append(got, finding.Code)
		}
		for _, code := range want {
			if !slices.Contains(got, code) {
				t.Errorf("line %d: lint does not find %s", block.line, code)
			}
		}
	}
}
