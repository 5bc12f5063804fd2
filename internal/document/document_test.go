package document_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/registry/dialect"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

const account = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"

const light = `# The lights of a house.
name: light
revision: 3
summary: Lights
views:
  control-light: # for people
    rules:
      - request: "{room}"
        storage: v1.{room}
        content:
          - {request: on, storage: on}
storage:
  aliases:
    level: {type: int, min: 0, max: 0x64}
  schema:
    v1:
      values:
        schema:
          on: bool
          # how bright
          level: ${level}
`

func parse(t *testing.T, file, text string) *document.Document {
	t.Helper()
	doc, err := document.Parse(file, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func signInput(t *testing.T, doc *document.Document) string {
	t.Helper()
	text, err := doc.SignInput(document.SignOptions{Account: account, Timestamp: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func assertion(t *testing.T, doc *document.Document) string {
	t.Helper()
	content, err := doc.Content("key-id")
	if err != nil {
		t.Fatal(err)
	}
	return string(content) + "\n\nAcLBUgQAAQoABgUCaWolHgAA\nmore\n"
}

// TestPositions reads the same confdb-schema in all forms: the position of each value is right.
func TestPositions(t *testing.T) {
	yaml := parse(t, "light.yaml", light)
	signable := parse(t, "light.json", signInput(t, yaml))
	signed := parse(t, "light.assert", assertion(t, signable))
	files := map[*document.Document]string{yaml: light, signable: signInput(t, yaml), signed: assertion(t, signable)}
	for _, test := range []struct {
		body  bool
		steps []string
		text  string // what is at the position, by form
		yaml  document.Position
	}{
		{steps: []string{"name"}, text: "light", yaml: document.Position{Line: 2, Column: 7}},
		{steps: []string{"views", "control-light", "rules", "0", "storage"}, text: "v1.{room}", yaml: document.Position{Line: 9, Column: 18}},
		{steps: []string{"views", "control-light", "rules", "0", "content"}, text: "content", yaml: document.Position{Line: 10, Column: 9}},
		{steps: []string{"views", "control-light", "rules", "0", "content", "0", "storage"}, text: "on", yaml: document.Position{Line: 11, Column: 36}},
		{body: true, steps: []string{"storage", "aliases", "level", "max"}, text: "100", yaml: document.Position{Line: 14, Column: 37}},
		{body: true, steps: []string{"storage", "schema", "v1", "values", "schema", "level"}, text: "${level}", yaml: document.Position{Line: 21, Column: 18}},
	} {
		for doc, text := range files {
			root := doc.Headers
			if test.body {
				root = doc.Body
			}
			node, at := root.Follow(test.steps...)
			if node == nil {
				t.Errorf("%s: no %v", doc.File, test.steps)
				continue
			}
			if doc == yaml && at != test.yaml {
				t.Errorf("%s: %v is at %v, want %v", doc.File, test.steps, at, test.yaml)
			}
			line := strings.Split(text, "\n")[at.Line-1]
			found := strings.TrimLeft(strings.ReplaceAll(line[at.Column-1:], `\"`, ""), `"`)
			found = strings.ReplaceAll(strings.ReplaceAll(found, `\n`, "\n"), "0x64", "100")
			if !strings.HasPrefix(found, test.text) {
				t.Errorf("%s: %v is at %v, where there is %.30q", doc.File, test.steps, at, found)
			}
		}
	}
}

func TestFormsAreTheSame(t *testing.T) {
	yaml := parse(t, "light.yaml", light)
	signable := parse(t, "light.json", signInput(t, yaml))
	signed := parse(t, "light.assert", assertion(t, signable))
	if yaml.Form != document.YAML || signable.Form != document.JSON || signed.Form != document.Assertion {
		t.Errorf("forms %s, %s, %s", yaml.Form, signable.Form, signed.Form)
	}
	for _, doc := range []*document.Document{yaml, signable, signed} {
		if doc.Faults != nil {
			t.Errorf("%s has faults: %v", doc.File, doc.Faults)
		}
	}
	if !document.Same(signable, signed, false) {
		t.Errorf("signing changed it:\n%s", cmp.Diff(signable.Headers.Value(), signed.Headers.Value()))
	}
	again, err := signed.YAML()
	if err != nil {
		t.Fatal(err)
	}
	back := parse(t, "back.yaml", string(again))
	if !document.Same(signed, back, false) || back.Form != document.YAML {
		t.Errorf("as YAML it differs:\n%s", again)
	}
	want := `type: confdb-schema
authority-id: Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4
account-id: Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4
name: light
revision: 3
timestamp: 2026-11-01T12:00:00Z
summary: Lights
views:
  control-light:
    rules:
      - request: '{room}'
        storage: v1.{room}
        content:
          - request: on
            storage: on
storage:
  aliases:
    level:
      type: int
      max: 100
      min: 0
  schema:
    v1:
      values:
        schema:
          level: ${level}
          on: bool
`
	if diff := cmp.Diff(want, strings.ReplaceAll(string(again), `"on"`, "on")); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
}

// YAML that is read and written keeps its comments.
func TestCommentsAreKept(t *testing.T) {
	text, err := parse(t, "light.yaml", light).YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, comment := range []string{"# The lights of a house.", "# for people", "# how bright", "max: 0x64"} {
		if !strings.Contains(string(text), comment) {
			t.Errorf("%q is lost:\n%s", comment, text)
		}
	}
	again, err := parse(t, "light.yaml", string(text)).YAML()
	if err != nil || string(again) != string(text) {
		t.Errorf("a second time it is written otherwise (%v):\n%s", err, cmp.Diff(string(text), string(again)))
	}
}

// SignInput returns the same for our own confdb-schema as package network, whose output real snapds accepted.
func TestSignInputIsNetworks(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "roles", "network", "confdb-schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, "confdb-schema.json", string(source))
	revision := 7
	at := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	for _, kind := range dialect.All() {
		for _, noAliases := range []bool{false, true} {
			want, err := network.Assertion(network.AssertionOptions{Account: account, Revision: &revision, Timestamp: at,
				Dialect: kind, NoAliases: noAliases})
			if err != nil {
				t.Fatal(err)
			}
			got, err := doc.SignInput(document.SignOptions{Account: account, Revision: &revision, Timestamp: at, Dialect: kind,
				NoAliases: noAliases})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s, no aliases %t (-want +got):\n%s", kind, noAliases, diff)
			}
		}
	}
}

// The body can be text in YAML too, as in published examples.
func TestBodyAsTextInYAML(t *testing.T) {
	doc := parse(t, "proxy.yaml", `name: proxy
views: {}
body: |-
    {
      "storage": {
        "schema": {
          "a": "strin"
        }
      }
    }
`)
	if doc.Faults != nil || !doc.Embedded {
		t.Errorf("faults %v", doc.Faults)
	}
	if _, at := doc.Storage().Follow("schema", "a"); at != (document.Position{Line: 7, Column: 16}) {
		t.Errorf("the type is at %v", at)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		kind             document.FaultKind
		at               document.Position
		message          string
	}{
		{"number in a header", "a.json", `{"revision": 1, "body": "{}"}`, document.NotText, document.Position{Line: 1, Column: 14},
			`header "revision": header values must be strings or nested lists or maps with strings as the only scalars: 1`},
		{"null in YAML", "a.yaml", "summary:\nstorage: {}\n", document.NotText, document.Position{Line: 1, Column: 9},
			`header "summary": header values must be strings or nested lists or maps with strings as the only scalars: <nil>`},
		{"no body", "a.json", `{"name": "x"}`, document.BadBody, document.Position{Line: 1, Column: 1}, "body must contain JSON"},
		{"body is an object", "a.json", `{"body": {}}`, document.BadBody, document.Position{Line: 1, Column: 2},
			"body must be a text that holds JSON, not a map"},
		{"broken body", "a.json", `{"body": "{\n  \"storage\": x}"}`, document.BadBody, document.Position{Line: 1, Column: 29},
			"invalid JSON in body: invalid character 'x' looking for beginning of value"},
		{"layout", "a.json", `{"body": "{\n \"storage\": {}}"}`, document.BadLayout, document.Position{Line: 1, Column: 15},
			"JSON in body must be indented with 2 spaces and sort object entries by key"},
		{"twice", "a.yaml", "storage:\n  a: 1\n  a: 2\n", document.DuplicateKey, document.Position{Line: 3, Column: 3},
			`key "a" is there twice: the last one counts`},
		{"twice in JSON", "a.json", `{"body": "{}", "a": "x", "a": "y"}`, document.DuplicateKey, document.Position{Line: 1, Column: 26},
			`key "a" is there twice: the last one counts`},
		{"too exact", "a.yaml", "storage: {max: 9007199254740993}\n", document.Inexact, document.Position{Line: 1, Column: 16},
			"number 9007199254740993 cannot be kept: signing makes 9007199254740992 of it"},
		{"length", "a.assert", "type: confdb-schema\nbody-length: 3\nsign-key-sha3-384: k\n\n{}\n\nsig\n", document.BadLength,
			document.Position{Line: 2, Column: 14}, "assertion body length and declared body-length don't match: 2 != 3"},
		{"no signature", "a.assert", "type: confdb-schema\nbody-length: 2\nsign-key-sha3-384: k\n\n{}", document.BadSignature,
			document.Position{Line: 5, Column: 3}, "empty assertion signature"},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := parse(t, test.file, test.text)
			want := []document.Fault{{Kind: test.kind, Pos: test.at, Message: test.message}}
			if diff := cmp.Diff(want, doc.Faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ file, text, want string }{
		{"a.yaml", "", "cannot read a.yaml:1:1: it is empty"},
		{"a.yaml", "- a\n", "cannot read a.yaml:1:1: want a map with name, views and storage"},
		{"a.yaml", "a: b\nc: [\n", "cannot read a.yaml:"},
		{"a.yaml", "name: b\n---\nname: d\n", "cannot read a.yaml:3:1: it holds 2 confdb-schemas (b, d), and one is wanted here"},
		{"a.yaml", "views:\n  <<: b\n", "cannot read a.yaml:2:7: a merge key (<<) wants a map, or a list of maps"},
		{"a.yaml", "views:\n  <<: [{a: b}, c]\n", "cannot read a.yaml:2:16: a merge key (<<) wants maps"},
		{"a.assert", "type: account\nname: a\nbody-length: 0\n\nsig\n\ntype: model\nname: a\n\nsig\n",
			"cannot read a.assert:1:1: it holds no confdb-schema, only assertions of these types: account, model"},
		{"a.yaml", "storage: {max: .inf}\n", `cannot read a.yaml:1:16: ".inf" is no number that JSON knows`},
		{"a.yaml", "? [a]\n: b\n", "cannot read a.yaml:1:3: a key must be a text"},
		{"a.yaml", "a: \xff\n", "cannot read a.yaml:1:4: it is not UTF-8"},
		{"a.yaml", "a:\n  b: 1\n  \tc: 2\n", "cannot read a.yaml:3:3: it is not YAML: "},
		{"a.yaml", "a:\n\tb: 1\n", "cannot read a.yaml:2:1: it is not YAML: found character that cannot start any token; a tab does not indent: use spaces"},
		{"a.yaml", "a:\n- \tb: [1\n", "cannot read a.yaml:2:3: it is not YAML: "},
		{"a.json", "{\n  \"a\": }", "cannot read a.json:2:8: it is not JSON: invalid character '}' looking for beginning of value"},
		{"a.json", "{} {}", "cannot read a.json:1:4: it is not JSON: invalid character '{' after top-level value"},
		{"a.json", "// a comment\n{\"name\": \"a\"}", "cannot read a.json:1:1: it is not JSON: invalid character '/' looking for beginning of value; JSON has no comments"},
		{"a.json", "{\n  # a comment\n}", "cannot read a.json:2:3: it is not JSON: invalid character '#' looking for beginning of object key string; JSON has no comments"},
		{"a.assert", "\n \n", "cannot read a.assert:1:1: it is empty"},
		{"a.assert", "type: account\nname: a\nbody-length: 0\n\nsig\n", "cannot read a.assert:1:1: it holds no confdb-schema, only assertions of these types: account"},
		{"a.json", "{", "cannot read a.json:1:1: it is not JSON: unexpected end of JSON input"},
		{"a.assert", "type: x\nviews\n\n{}", `cannot read a.assert:2:1: header entry missing ':' separator: "views"`},
		{"a.assert", "type: x\nA: b\n\n{}", `cannot read a.assert:2:1: invalid header name: "A"`},
		{"a.assert", "type: x\nviews:\n  a:b\n\n{}", `cannot read a.assert:3:5: header entry should have a space or newline (for multiline) before value: "  a:b"`},
		{"a.assert", "type: x\nviews:\n", `cannot read a.assert:2:1: expected 4 chars nesting prefix after multiline introduction "views:": EOF`},
	} {
		_, err := document.Parse(test.file, []byte(test.text))
		var refused *document.Error
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += strings.NewReplacer("N", string(rune('b'+i)), "P", string(rune('a'+i))).Replace(
			"N0: &N0 [*P0, *P0, *P0, *P0, *P0, *P0, *P0, *P0, *P0, *P0]\n")
	}
	if _, err := document.Parse("bomb.yaml", []byte(bomb)); err == nil || !strings.Contains(err.Error(), "it is too large when its anchors (&NAME) are expanded") {
		t.Errorf("error %v for anchors without end", err)
	}
	deep := `{"body": "` + strings.Repeat("[", 5000) + `"}`
	if doc, err := document.Parse("deep.json", []byte(deep)); err != nil || len(doc.Faults) != 1 {
		t.Errorf("error %v for a deep body", err)
	}
}

func TestSignInputErrors(t *testing.T) {
	for _, test := range []struct{ text, account, want string }{
		{"name: x\nstorage: {}\n", "", "no account-id: the document has none, and none was given"},
		{"name: x\nstorage: {}\n", "me@example.com", `"me@example.com" is no account ID`},
		{"name: x\nstorage: {}\n", account, "no timestamp: the document has none, and none was given"},
		{"name: x\ntimestamp: 2026-11-01T12:00:00Z\n", account, `the document has no "storage" to put into the body`},
		{"name: x\ntimestamp: 2026-11-01T12:00:00Z\nbody: {storage: {}, more: 1}\n", account, `the body has "more" beside the storage schema`},
	} {
		_, err := parse(t, "a.yaml", test.text).SignInput(document.SignOptions{Account: test.account})
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
	if _, err := parse(t, "a.json", `{"body": "{}", "views": {"a": {}}}`).Content("k"); err == nil ||
		err.Error() != `cannot write header "views": a map cannot be empty` {
		t.Errorf("error %v for an empty map", err)
	}
}

// roundTrip converts a document to all forms and back, and compares its values.
func roundTrip(t *testing.T, headers, storage any) {
	t.Helper()
	doc := &document.Document{File: "made", Headers: document.FromValue(headers),
		Body: document.FromValue(map[string]any{"storage": storage})}
	text, err := doc.YAML()
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := document.Parse("made.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !document.Same(doc, asYAML, false) {
		got, _ := json.Marshal([]any{asYAML.Headers.Value(), asYAML.Body.Value()})
		want, _ := json.Marshal([]any{doc.Headers.Value(), doc.Body.Value()})
		t.Fatalf("YAML changed it to\n%s, want\n%s\n%s", got, want, text)
	}
	signable, err := asYAML.SignInput(document.SignOptions{Account: account, Timestamp: time.Unix(1790000000, 0)})
	if err != nil {
		return // nothing that could be signed
	}
	asJSON, err := document.Parse("made.json", signable)
	if err != nil {
		t.Fatalf("%v\n%s", err, signable)
	}
	for _, fault := range asJSON.Faults {
		if fault.Kind != document.NotText {
			t.Fatalf("faults %v\n%s", asJSON.Faults, signable)
		}
	}
	if !document.Equal(asJSON.Storage(), doc.Storage()) || !document.Equal(asJSON.Headers.Get("views"), doc.Headers.Get("views")) {
		t.Fatalf("JSON changed it:\n%s", signable)
	}
	content, err := asJSON.Content("key")
	if err != nil {
		return // empty maps and the like
	}
	asAssertion, err := document.Parse("made.assert", append(content, "\n\nsignature\n"...))
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	if asAssertion.Faults != nil || !document.Same(asJSON, asAssertion, false) {
		t.Fatalf("the assertion changed it: %v\n%s", asAssertion.Faults, content)
	}
	final, err := asAssertion.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if last, err := document.Parse("last.yaml", final); err != nil || !document.Same(last, asAssertion, false) {
		t.Fatalf("show changed it (%v):\n%s", err, final)
	}
}

// A stream is what `snap known` prints: several assertions with empty lines between them.
func TestStreams(t *testing.T) {
	account := "type: account\nauthority-id: canonical\naccount-id: acme\nsign-key-sha3-384: k\n\nsig\nnature\n"
	schema := func(name string) string {
		return "type: confdb-schema\nauthority-id: acme\naccount-id: acme\nname: " + name + "\nviews:\n  v:\n    rules:\n      -\n" +
			"        storage: a\nbody-length: 25\nsign-key-sha3-384: k\n\n{\n  \"storage\": {\"a\": 1}\n}\n\nsig\nnature\n"
	}
	for _, test := range []struct {
		name, file, text string
		want             []string
		line             int // of the last one's name
	}{
		{"behind an account", "a.txt", account + "\n" + schema("one"), []string{"one"}, 12},
		{"two", "a.assert", schema("one") + "\n" + account + "\n\n" + schema("two") + "\n", []string{"one", "two"}, 32},
		{"empty lines before it", "a", "\n\n" + schema("one"), []string{"one"}, 6},
		{"no newline at the end", "a", account + "\n" + strings.TrimSuffix(schema("one"), "\n"), []string{"one"}, 12},
		{"YAML documents", "a.yaml", "---\nname: one\nstorage: {}\n---\n---\nname: two\nstorage: {}\n...\n", []string{"one", "two"}, 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, err := document.ParseSchemas(test.file, []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, doc := range docs {
				got = append(got, doc.Header("name"))
				for _, fault := range doc.Faults {
					if fault.Kind != document.BadLayout {
						t.Errorf("%s: %+v", doc.Header("name"), fault)
					}
				}
				if doc.Form == document.Assertion {
					if again, err := document.Parse("again.assert", doc.Text); err != nil || !document.Same(again, doc, false) {
						t.Errorf("its own text is another document: %v", err)
					}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if line := docs[len(docs)-1].Position("name").Line; line != test.line {
				t.Errorf("the last one's name is in line %d, want %d", line, test.line)
			}
		})
	}
}

func TestMergeKeys(t *testing.T) {
	doc := parse(t, "a.yaml", "x: &x {a: '1', b: '2'}\ny: &y {b: '3', c: '4'}\nname: m\nviews:\n  b: '0'\n  <<: [*x, *y]\n"+
		"storage:\n  <<: {schema: {e: int}}\n")
	if got, want := string(doc.Headers.Get("views").JSON()), `{"a":"1","b":"0","c":"4"}`; got != want {
		t.Errorf("views are %s, want %s", got, want)
	}
	if got, want := string(doc.Storage().JSON()), `{"schema":{"e":"int"}}`; got != want {
		t.Errorf("storage is %s, want %s", got, want)
	}
	if len(doc.Faults) != 0 {
		t.Errorf("faults: %+v", doc.Faults)
	}
}

// TestTemplates reads placeholders that YAML could not read, and fills them in.
func TestTemplates(t *testing.T) {
	for _, value := range []string{"<your-account-id>", "@ACCOUNT_ID@", "${ACCOUNT}", "$ACCOUNT", "$(ACCOUNT)", "{{ account_id }}", "{{account}} # yours",
		"%ACCOUNT%", "__ACCOUNT__", "YOUR_ACCOUNT_ID", `"<account id>"`, "%%ACCOUNT%%", "'[[ACCOUNT]]'", "'!ACCOUNT!'", "'#account#'", "~ACCOUNT~"} {
		headers := "account-id: " + value + "\nauthority-id: " + value + "\nname: a\nrevision: " + value + "\ntimestamp: " + value + "\n"
		if _, err := document.Parse("a.yaml", []byte(headers+"{% if x %}\nsummary: s\n{% endif %}\nstorage: {}\n")); err != nil {
			t.Errorf("%s with directives: %v", value, err)
		}
		doc, err := document.Parse("a.yaml", []byte(headers+"storage: {}\n"))
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if !doc.Unfilled("account-id") || !doc.Unfilled("revision") || !doc.NeedsTimestamp() {
			t.Errorf("%s is no placeholder: %q", value, doc.Header("account-id"))
		}
		doc.FillAccount("acme")
		doc.SetRevision(2)
		doc.SetTimestamp(time.Unix(0, 0))
		if doc.Header("account-id") != "acme" || doc.Header("authority-id") != "acme" || doc.Header("revision") != "2" ||
			doc.Header("timestamp") != "1970-01-01T00:00:00Z" {
			t.Errorf("%s is filled in as %s", value, doc.Headers.JSON())
		}
		shown, err := doc.YAML()
		if again := parse(t, "a.yaml", string(shown)); err != nil || !document.Same(doc, again, false) {
			t.Errorf("%s is shown as %s, %v", value, shown, err)
		}
	}
	for _, text := range []string{"acme", "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN", "2026-01-01T00:00:00Z", "", "me@example.com", "Me", "'acme'",
		strings.Repeat("A1", 16), "3", "-1", "x"} {
		if document.Placeholder(text) {
			t.Errorf("%q is a placeholder", text)
		}
	}
}

// TestLineOfWrongYAML has mistakes in another line than the one in the library's error.
func TestLineOfWrongYAML(t *testing.T) {
	for text, want := range map[string]int{
		"a: b: c":                                            1,
		"a: 1\n  b: 2\n":                                     2,
		"a:\n  b: 1\n c: 2\nd: 3\n":                          3,
		"a:\n  b: [1,\n    2]\nc: {d: 1\n":                   4,
		"a: 1\nb: {c: 1\nd: 2\ne: 3\n":                       2,
		"a: 1\nb: \"c\nd: 2\n":                               2,
		"a: [1,\n2,\n3]\nb: \"x\n  y\"\nc: *nothing\nd: 1\n": 6,
		"a:\n\tb: 1\n":                                       2,
		"a: @ID@\n{% if x %}\nb: {{ y }}\nc: [\n":            4,
		"a: 1\nb: 2\nc: ]":                                   3,
	} {
		_, _, err := document.ParseYAML("x.yaml", []byte(text))
		var refused *document.Error
		if !errors.As(err, &refused) || refused.Pos.Line != want {
			t.Errorf("%q: %v, want line %d", text, err, want)
		}
	}
}

// TestWrongLineOfLongText has texts for which the search for the line of a fault would parse thousands of times.
func TestWrongLineOfLongText(t *testing.T) {
	var text strings.Builder
	lines := 0
	for i := range 2000 {
		fmt.Fprintf(&text, "k%d: [1,\n%s1]\n", i, strings.Repeat(" 1,\n", i%40))
		lines += 2 + i%40
	}
	text.WriteString("\tx: 1\n")
	_, err := document.Parse("long.yaml", []byte(text.String()))
	var fault *document.Error
	if !errors.As(err, &fault) || fault.Pos.Line < lines || fault.Pos.Line > lines+1 {
		t.Errorf("got %v, want the fault at line %d", err, lines+1)
	}
}
