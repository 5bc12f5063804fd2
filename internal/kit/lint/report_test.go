package lint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func examples() []lint.Finding {
	return []lint.Finding{
		{File: "a b/ż\n.yaml", Line: 3, Column: 7, Level: lint.Error, Code: "view", Message: "100% wrong:\nno", Doc: "docs/devkit/lint.md#view"},
		{File: "./x,y.yaml", Line: 1, Column: 1, Level: lint.Warning, Code: "unknown-key", Message: "odd", Help: "look", Doc: "docs/devkit/lint.md#unknown-key"},
		{File: "/abs/z.json", Line: 2, Column: 1, Level: lint.Note, Code: "alias-unused", Message: "idle", Doc: "docs/devkit/lint.md#alias-unused"},
	}
}

func TestWrite(t *testing.T) {
	for format, want := range map[lint.Format]string{
		lint.Text: "a b/ż\\n.yaml:3:7: error: 100% wrong:\n\tno [view]\n" +
			"./x,y.yaml:1:1: warning: odd [unknown-key]\n\tlook\n" +
			"/abs/z.json:2:1: note: idle [alias-unused]\n",
		lint.GitHub: "::error file=a b/ż%0A.yaml,line=3,col=7,title=view::100%25 wrong:%0Ano\n" +
			"::warning file=./x%2Cy.yaml,line=1,col=1,title=unknown-key::odd%0Alook\n" +
			"::notice file=/abs/z.json,line=2,col=1,title=alias-unused::idle\n",
	} {
		var text bytes.Buffer
		if err := lint.Write(&text, format, examples(), ""); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, text.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	if got := lint.Summary(examples()); got != "1 error, 1 warning, 1 note" {
		t.Errorf("summary %q", got)
	}
	if got := lint.Summary(append(examples(), examples()...)); got != "2 errors, 2 warnings, 2 notes" {
		t.Errorf("summary %q", got)
	}
	if err := lint.Write(&bytes.Buffer{}, "xml", nil, ""); err == nil || err.Error() != `no format "xml"` {
		t.Errorf("error %v", err)
	}
}

func TestWriteJSON(t *testing.T) {
	for _, findings := range [][]lint.Finding{nil, examples()} {
		var text bytes.Buffer
		if err := lint.Write(&text, lint.JSON, findings, ""); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Findings                []lint.Finding
			Errors, Warnings, Notes *int
		}
		decoder := json.NewDecoder(&text)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil || got.Findings == nil || got.Errors == nil || got.Warnings == nil || got.Notes == nil {
			t.Fatalf("%+v, %v", got, err)
		}
		if diff := cmp.Diff(append([]lint.Finding{}, findings...), got.Findings); diff != "" || *got.Errors != len(findings)/3 {
			t.Errorf("%d errors (-want +got):\n%s", *got.Errors, diff)
		}
	}
}

// SARIF is valid by the standard's own schema.
func TestWriteSARIF(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "sarif", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, findings := range [][]lint.Finding{nil, examples()} {
		var text bytes.Buffer
		if err := lint.Write(&text, lint.SARIF, findings, "0.3"); err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%v\n%s", err, text.String())
		}
		var log struct {
			Runs []struct {
				Tool struct {
					Driver struct{ Rules []struct{ ID string } }
				}
				Results []struct {
					RuleID    string
					RuleIndex int
					Level     string
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI string }
							Region           struct{ StartLine, StartColumn int }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(text.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		run := log.Runs[0]
		if len(run.Results) != len(findings) || len(run.Tool.Driver.Rules) != len(lint.Rules()) {
			t.Fatalf("%d results, %d rules", len(run.Results), len(run.Tool.Driver.Rules))
		}
		uris := []string{"a%20b/%C5%BC%0A.yaml", "x,y.yaml", "file:///abs/z.json"}
		for i, result := range run.Results {
			place := result.Locations[0].PhysicalLocation
			if result.RuleID != findings[i].Code || run.Tool.Driver.Rules[result.RuleIndex].ID != findings[i].Code ||
				place.ArtifactLocation.URI != uris[i] || place.Region.StartLine != findings[i].Line || result.Level != string(findings[i].Level) {
				t.Errorf("result %d: %+v", i, result)
			}
		}
	}
	// The schema is able to refuse.
	if schema.Validate(map[string]any{"version": "2.1.0", "runs": []any{map[string]any{"results": []any{}}}}) == nil {
		t.Error("a run without a tool is valid")
	}
}

func TestFailed(t *testing.T) {
	all := examples()
	for _, test := range []struct {
		findings      []lint.Finding
		lax, strictly bool
	}{{nil, false, false}, {all[2:], false, false}, {all[1:], false, true}, {all, true, true}} {
		if lint.Failed(test.findings, false) != test.lax || lint.Failed(test.findings, true) != test.strictly {
			t.Errorf("%v", test.findings)
		}
	}
}

func TestUnreadable(t *testing.T) {
	_, err := document.Parse("x.yaml", []byte("a: ["))
	found, ok := lint.Unreadable(err)
	if !ok || found.File != "x.yaml" || found.Line != 1 || found.Level != lint.Error || !strings.HasPrefix(found.Message, "it is not YAML") {
		t.Errorf("%+v", found)
	}
	if _, ok := lint.Unreadable(fs.ErrNotExist); ok {
		t.Error("a file that is not there is a finding")
	}
}

func TestReadSnap(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty/x": "", "bad/snapcraft.yaml": "- a", "nameless/meta/snap.yaml": "version: 1\n"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"empty": "it has no snap/snapcraft.yaml, snapcraft.yaml or meta/snap.yaml", "bad": "want a map",
		"nameless": "the snap has no name", "nosuch": "no such file or directory",
	} {
		if _, err := lint.ReadSnap(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
	if _, err := lint.ReadSnap(filepath.Join(dir, "nosuch")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Findings beyond maxFindings are left out.
func TestMore(t *testing.T) {
	var text strings.Builder
	text.WriteString("name: x\nviews: {control-a: {rules: [{storage: v1}]}}\nstorage:\n  schema:\n    v1: any\n")
	for i := range 300 {
		text.WriteString("    a" + strings.Repeat("x", i%9) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ": strin\n")
	}
	doc, err := document.Parse("x.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	found := lint.Check(doc, lint.Options{})
	if last := found[len(found)-1]; len(found) != 201 || last.Code != "more" || last.Level != lint.Note {
		t.Errorf("%d findings, the last is %+v", len(found), found[len(found)-1])
	}
}
