package generate_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/generate"
	"aspects-poc/internal/kit/lint"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A vector is a confdb-schema of the recorded cases.
type vector struct {
	ID      string          `json:"id"`
	Account string          `json:"account"`
	Schema  string          `json:"schema"`
	Views   json.RawMessage `json:"views"`
	Storage json.RawMessage `json:"storage"`
	Refused any             `json:"schema-error"`
}

// vectors calls each with the recorded cases (CONFORMANCE_DIR, as for package confdb), as confdb-schemas for snap sign.
func vectors(t *testing.T, each func(v vector, signable json.RawMessage)) {
	t.Helper()
	dir := cmp.Or(os.Getenv("CONFORMANCE_DIR"), filepath.Join("..", "shared", "conformance"))
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
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var v vector
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(map[string]any{"storage": v.Storage})
			if err != nil {
				t.Fatal(err)
			}
			signable, err := json.Marshal(map[string]any{"type": "confdb-schema", "authority-id": v.Account, "account-id": v.Account,
				"name": v.Schema, "timestamp": "2026-11-01T00:00:00Z", "views": v.Views, "body": string(body)})
			if err != nil {
				t.Fatal(err)
			}
			each(v, signable)
		}
	}
}

// TestEverySchema generates code from all confdb-schemas of the recorded cases. The Go code is formatted, so its syntax is valid; some
// code of both languages is compiled.
func TestEverySchema(t *testing.T) {
	dir := t.TempDir()
	goModule(t, dir)
	generated, compiled := 0, 0
	vectors(t, func(v vector, signable json.RawMessage) {
		if v.Refused != nil {
			return
		}
		s := source(t, v.ID+".json", signable)
		code, err := s.Go("generated")
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		python := s.Python()
		for name, page := range map[string]string{"Markdown": s.Markdown(), "HTML": s.HTML()} {
			if !strings.Contains(page, s.Parsed.ID()) {
				t.Errorf("%s: the %s does not name it", v.ID, name)
			}
		}
		if generated++; generated%100 != 0 {
			return
		}
		compiled++
		write(t, filepath.Join(dir, strings.ReplaceAll(v.ID, "-", "_"), "generated.go"), code)
		write(t, filepath.Join(dir, strings.ReplaceAll(v.ID, "-", "_")+".py"), []byte(python))
	})
	t.Logf("%d confdb-schemas, %d compiled", generated, compiled)
	if generated < 1000 {
		t.Errorf("only %d confdb-schemas", generated)
	}
	build(t, dir, "vet", "-mod=mod", "./...")
	run(t, dir, "python3", "-m", "compileall", "-q", ".")
}

// TestDeterministic generates the same code twice.
func TestDeterministic(t *testing.T) {
	for _, file := range []string{"testdata/lamp.yaml", "../../../examples/proxy/proxy.yaml"} {
		one, other := read(t, file), read(t, file)
		first, err := one.Go("")
		if err != nil {
			t.Fatal(err)
		}
		second, err := other.Go("")
		if err != nil || !bytes.Equal(first, second) || one.Python() != other.Python() || one.Markdown() != other.Markdown() || one.HTML() != other.HTML() {
			t.Errorf("%s: two runs differ (%v)", file, err)
		}
	}
}

// TestSchemaFiles compares the description of confdb-schemas with the engine: all that it accepts fits, but for keys that snapd
// does not know, and of what it refuses as storage schema much does not fit.
func TestSchemaFiles(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	description, err := jsonschema.UnmarshalJSON(bytes.NewReader(generate.SchemaFiles()))
	if err == nil {
		err = compiler.AddResource("schema.json", description)
	}
	if err != nil {
		t.Fatal(err)
	}
	check, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	fits := func(views, storage json.RawMessage) error {
		text, err := json.Marshal(map[string]any{"account-id": "acme", "name": "net", "views": views, "storage": storage})
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return check.Validate(value)
	}
	accepted, refused, both := 0, 0, 0
	vectors(t, func(v vector, signable json.RawMessage) {
		err := fits(v.Views, v.Storage)
		switch {
		case v.Refused != nil:
			if refused++; err != nil {
				both++
			}
		case err == nil:
			accepted++
		default:
			doc, failed := document.Parse("x.json", signable)
			if failed != nil {
				t.Fatal(failed)
			}
			if !slices.ContainsFunc(lint.Check(doc, lint.Options{}), func(f lint.Finding) bool { return f.Code == "unknown-key" || f.Code == "bound-null" }) &&
				!bytes.Contains(v.Storage, []byte("null")) { // which nobody writes
				t.Errorf("%s is accepted by snapd, and does not fit: %v", v.ID, err)
			}
		}
	})
	t.Logf("%d fit; of %d that snapd refuses %d do not fit", accepted, refused, both)
	if accepted < 1000 || both*3 < refused {
		t.Errorf("%d fit, and of %d that snapd refuses only %d do not fit", accepted, refused, both)
	}
}
