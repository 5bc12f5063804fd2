package lint_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/registrytest/testschema"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzCheck: lint never panics, every finding is in the file, and it refuses a storage schema or a view exactly where the
// engine does, among others for the engine's reason.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if doc, err := document.Parse("x.yaml", text); err == nil {
			agree(t, doc, strings.Count(string(text), "\n")+1)
		}
	})
}

// agree compares lint with the engine on a document of so many lines.
func agree(t *testing.T, doc *document.Document, rows int) {
	t.Helper()
	found := lint.Check(doc, lint.Options{Against: doc})
	var messages []string
	refused := ""
	for _, finding := range found {
		if finding.Line < 1 || finding.Line > rows || finding.Column < 1 {
			t.Fatalf("%+v is not in %d lines", finding, rows)
		}
		switch finding.Code {
		case "storage", "view", "alias-alternatives":
			refused = finding.Message
		}
		messages = append(messages, finding.Message)
	}
	signable, err := doc.SignInput(document.SignOptions{Account: "canonical", Timestamp: time.Unix(0, 0)})
	if err != nil || len(found) > 150 {
		return
	}
	_, err = confdb.ParseDocument(signable)
	var wrong *confdb.SchemaError
	switch {
	case err == nil && refused != "":
		t.Fatalf("the engine takes it, lint says %s\n%s", refused, signable)
	case errors.As(err, &wrong) && wrong.Stage != "headers" && !slices.Contains(messages, wrong.Message) &&
		doc.Headers.Get("views").Is(document.Map):
		t.Fatalf("the engine says\n\t%s\nlint says\n\t%s\n%s", wrong.Message, strings.Join(messages, "\n\t"), signable)
	}
}

// TestEdits breaks good documents at random places.
func TestEdits(t *testing.T) {
	sources := map[string][]byte{"network.json": testschema.Document()}
	for _, name := range []string{"regrets", "required", "clean", "against"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		sources[archive.Files[0].Name] = archive.Files[0].Data
	}
	for name, text := range sources {
		for seed := range uint64(60) {
			doc, err := document.Parse(name, text)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(seed, 1))
			for range 1 + r.IntN(4) {
				spoil(r, doc.Headers.Get("views"))
				spoil(r, doc.Storage())
			}
			agree(t, doc, strings.Count(string(text), "\n")+1)
		}
	}
}

// spoil changes a random node below n, or a random key.
func spoil(r *rand.Rand, n *document.Node) {
	var all []*document.Node
	var collect func(*document.Node)
	collect = func(n *document.Node) {
		if n == nil {
			return
		}
		all = append(all, n)
		for _, item := range n.Items {
			collect(item)
		}
		for _, entry := range n.Entries {
			collect(entry.Value)
		}
	}
	collect(n)
	if len(all) < 2 {
		return
	}
	chosen := all[1+r.IntN(len(all)-1)]
	if len(chosen.Entries) > 0 && r.IntN(2) == 0 {
		i := r.IntN(len(chosen.Entries))
		switch r.IntN(3) {
		case 0:
			chosen.Entries = slices.Delete(chosen.Entries, i, i+1)
		case 1:
			chosen.Entries[i].Key = []string{"schema", "keys", "values", "type", "required", "content", "access", "Bad", "choices", "min"}[r.IntN(10)]
		default:
			chosen.Entries = append(chosen.Entries, chosen.Entries[i])
		}
		return
	}
	at := chosen.Pos
	*chosen = *document.FromValue([]any{nil, true, 1.5, "", "int", "map", "${ip}", "${uint}", "a.{b}[{n}]", "{x}", "v1", "secret", []any{},
		map[string]any{}, []any{"int", map[string]any{"visibility": "secret", "type": "string"}}, map[string]any{"type": "string", "pattern": "("},
		map[string]any{"keys": "string", "values": "any"}, map[string]any{"type": "array"}, "write", "read"}[r.IntN(20)])
	chosen.Pos = at
}
