package lint_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
)

// TestVectors checks every confdb-schema of the recorded cases of snapd's own engine (CONFORMANCE_DIR, as for package
// confdb): lint refuses what snapd refused, in the same words, and finds no error in what snapd accepted.
func TestVectors(t *testing.T) {
	dir := os.Getenv("CONFORMANCE_DIR")
	if dir == "" {
		dir = filepath.Join("..", "shared", "conformance")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", "..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no *.jsonl in %s: name a folder with CONFORMANCE_DIR to run recorded cases", dir)
	}
	refused, taken := 0, 0
	for _, file := range files {
		opened, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		lines := bufio.NewScanner(opened)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var c struct {
				ID, Account, Schema string
				Views               any
				Storage             json.RawMessage
				SchemaError         *struct{ Stage, Message string } `json:"schema-error"`
			}
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			found := checkText(t, vectorDocument(t, c.Account, c.Schema, c.Views, c.Storage))
			var errors []string
			for _, f := range found {
				if f.Level == lint.Error {
					errors = append(errors, f.Message)
				}
			}
			switch {
			case c.SchemaError == nil:
				taken++
				if errors != nil {
					t.Errorf("%s is taken by snapd, but lint finds\n\t%s", c.ID, strings.Join(errors, "\n\t"))
				}
			default:
				refused++
				if !slices.Contains(errors, c.SchemaError.Message) {
					t.Errorf("%s is refused by snapd:\n\t%s\nbut lint finds\n\t%s", c.ID, c.SchemaError.Message, strings.Join(errors, "\n\t"))
				}
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d refused, %d taken", refused, taken)
}

// vectorDocument returns JSON in the form for snap sign, of parts that may be anything.
func vectorDocument(t *testing.T, account, name string, views any, storage json.RawMessage) []byte {
	t.Helper()
	var value any
	if err := json.Unmarshal(storage, &value); err != nil {
		t.Fatal(err)
	}
	body, err := json.MarshalIndent(map[string]any{"storage": value}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if len(account) < 28 && !strings.Contains(account, "-") {
		account += "-id" // recorded ones are shorter than snapd's own checks of assertions let them be
	}
	text, err := json.MarshalIndent(map[string]any{"type": "confdb-schema", "account-id": account, "authority-id": account,
		"name": name, "timestamp": "2026-11-01T12:00:00Z", "views": views, "body": string(body)}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func checkText(t *testing.T, text []byte) []lint.Finding {
	t.Helper()
	doc, err := document.Parse("schema.json", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return lint.Check(doc, lint.Options{})
}
