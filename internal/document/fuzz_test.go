package document_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"aspects-poc/internal/document"
)

// TestRoundTrip converts random documents to all forms and back.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 5))
		roundTrip(t, map[string]any{"name": "x", "views": texts(r, 4), "summary": text(r)}, shapes(r, 5))
	}
}

var words = []string{"", "a", "on", "no", "null", "~", "1", "1.0", "0x10", "2026-01-01", "2026-01-01T00:00:00Z", " x", "x ", "a: b", "# c",
	"- d", "{e}", "[{n}]", "\"q\"", "'", "\\", "<&>", "zażółć", "\u2028", "two\nlines", "\n", "lead\n\n  space\n", "tab\tin", "!tag", "&a",
	"*a", "%", "@", "`", "|", ">", "$", "${x}", "true", "=", "<<", "\U0001F4A1", "\x7f", "\u0085", "x\r\ny", strings.Repeat("long ", 40)}

func text(r *rand.Rand) string { return words[r.IntN(len(words))] }

func key(r *rand.Rand) string {
	return []string{"a", "b2", "c-d", "rules", "storage", "on", "y", "null"}[r.IntN(8)]
}

func texts(r *rand.Rand, depth int) any {
	switch n := r.IntN(4); {
	case depth == 0 || n == 0:
		return text(r)
	case n == 1:
		list := make([]any, 1+r.IntN(3))
		for i := range list {
			list[i] = texts(r, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for range 1 + r.IntN(3) {
		object[key(r)] = texts(r, depth-1)
	}
	return object
}

func shapes(r *rand.Rand, depth int) any {
	object := map[string]any{}
	for range 1 + r.IntN(4) {
		switch n := r.IntN(8); {
		case n == 0:
			object[text(r)] = nil
		case n == 1:
			object[text(r)] = r.IntN(2) == 0
		case n == 2:
			object[text(r)] = json.Number([]string{"0", "-1", "1.0", "1e3", "1.5", "-0", "9007199254740993", "1e21", "1e-9"}[r.IntN(9)])
		case n < 5 || depth == 0:
			object[text(r)] = text(r)
		case n == 5:
			object[key(r)] = []any{text(r), shapes(r, depth-1)}
		default:
			object[key(r)] = shapes(r, depth-1)
		}
	}
	return object
}

// FuzzParse: no text makes the reader panic, and a document that was read is read as the same from each form.
func FuzzParse(f *testing.F) {
	f.Add("a.yaml", []byte(light))
	f.Add("a.json", []byte(`{"name": "x", "body": "{\n  \"storage\": {}\n}", "views": {"a": {"rules": [{"storage": "\u00e9"}]}}}`))
	f.Add("a.assert", []byte("type: confdb-schema\nviews:\n  a:\n    rules:\n      -\n        storage: a\nbody-length: 2\nsign-key-sha3-384: k\n\n{}\n\nsig\n"))
	f.Add("a.yaml", []byte("body: |\n  {\"storage\": 1}\nviews: &a\n  b: *a\n"))
	f.Fuzz(func(t *testing.T, file string, text []byte) {
		doc, err := document.Parse(file, text)
		if err != nil {
			return
		}
		rows := strings.Count(string(text), "\n") + 1
		for _, fault := range doc.Faults {
			if fault.Pos.Line < 1 || fault.Pos.Line > rows || fault.Pos.Column < 1 {
				t.Fatalf("%v is outside of %d lines", fault, rows)
			}
		}
		if doc.Storage() == nil || !doc.Headers.Is(document.Map) {
			return
		}
		written, err := doc.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := document.Parse("again.yaml", written); err != nil || !document.Same(doc, again, false) {
			t.Fatalf("written again it differs (%v):\n%s", err, written)
		}
		if clean(doc) {
			roundTrip(t, doc.Headers.Value(), doc.Storage().Value())
		}
	})
}

// clean reports whether a document can be signed without a change.
func clean(doc *document.Document) bool {
	return len(doc.Faults) == 0 && doc.Header("name") != "" && doc.Headers.Get("body") == nil && doc.Headers.Get("storage") == nil
}
