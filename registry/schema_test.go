package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

func parseSchemas(t *testing.T, text string) []registry.Schema {
	t.Helper()
	schemas, err := registry.ParseSchemas([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

// smallYAML, smallJSON and so on are one confdb-schema in all formats.
const (
	smallYAML = `account-id: acme
name: small
revision: 2
summary: Something small
views:
  control:
    summary: All of it
    parameters:
      id: {presence: required}
    rules:
      - request: things.{id}
        storage: things.{id}
        content:
          - {storage: size}
          - {request: note, storage: note}
storage:
  schema:
    things:
      values:
        schema:
          size: {type: int, max: 9007199254740991}
          note: string
`
	smallViews = `{"control": {"summary": "All of it", "parameters": {"id": {"presence": "required"}}, "rules": [
		{"request": "things.{id}", "storage": "things.{id}", "content": [
			{"storage": "size"}, {"request": "note", "storage": "note"}]}]}}`
	smallStorage = `{"schema": {"things": {"values": {"schema": {"size": {"type": "int", "max": 9007199254740991}, "note": "string"}}}}}`
)

func smallBody(t *testing.T) string {
	body, err := json.Marshal(`{"storage": ` + smallStorage + `}`)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func assertionOf(name string) string {
	const body = `{
  "storage": {
    "schema": {
      "things": {
        "values": {
          "schema": {
            "note": "string",
            "size": {
              "max": 9007199254740991,
              "type": "int"
            }
          }
        }
      }
    }
  }
}`
	return fmt.Sprintf(`type: confdb-schema
authority-id: acme
revision: 2
account-id: acme
name: %s
summary: Something small
timestamp: 2024-10-25T08:55:22Z
views:
  control:
    parameters:
      id:
        presence: required
    rules:
      -
        content:
          -
            storage: size
          -
            request: note
            storage: note
        request: things.{id}
        storage: things.{id}
    summary: All of it
body-length: %d
sign-key-sha3-384: hIedp1AvrWlcDI4uS

%s

AcLBUgQAAQoABgUC
`, name, len(body), body)
}

const accountAssertion = `type: account
authority-id: testrootorg
account-id: acme
display-name: Acme
sign-key-sha3-384: hIedp1AvrWlcDI4uS

AcLBUgQAAQoABgUC

`

// A confdb-schema is the same in all formats.
func TestFormsOfASchema(t *testing.T) {
	small := registry.Schema{
		Account: "acme", Name: "small", Revision: 2, Summary: "Something small",
		Views: map[string]registry.SchemaView{"control": {
			Summary:    "All of it",
			Parameters: map[string]registry.Parameter{"id": {Presence: "required"}},
			Rules: []registry.Rule{{Request: "things.{id}", Storage: "things.{id}", Content: []registry.Rule{
				{Storage: "size"}, {Request: "note", Storage: "note"},
			}}},
		}},
		Storage: map[string]any{"schema": map[string]any{"things": map[string]any{"values": map[string]any{
			"schema": map[string]any{"note": "string", "size": map[string]any{"type": "int", "max": json.Number("9007199254740991")}},
		}}}},
	}
	for name, text := range map[string]string{
		"YAML":                  smallYAML,
		"YAML with a body":      strings.Replace(smallYAML, "storage:\n  schema:", "body:\n  storage:\n   schema:", 1),
		"JSON":                  `{"account-id": "acme", "name": "small", "revision": "2", "summary": "Something small", "views": ` + smallViews + `, "storage": ` + smallStorage + `}`,
		"JSON, number revision": `{"account-id": "acme", "name": "small", "revision": 2, "summary": "Something small", "views": ` + smallViews + `, "storage": ` + smallStorage + `}`,
		"JSON for snap sign":    `{"type": "confdb-schema", "authority-id": "acme", "account-id": "acme", "name": "small", "revision": "2", "summary": "Something small", "views": ` + smallViews + `, "body": ` + smallBody(t) + `}`,
		"assertion":             assertionOf("small"),
		"stream":                accountAssertion + assertionOf("small"),
	} {
		t.Run(name, func(t *testing.T) {
			schemas := parseSchemas(t, text)
			if len(schemas) != 1 {
				t.Fatalf("%d schemas", len(schemas))
			}
			if diff := cmp.Diff(small, schemas[0]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			use(t, schemas)
		})
	}
	use(t, []registry.Schema{small})
	small.Storage = json.RawMessage(smallStorage)
	use(t, []registry.Schema{small})
	small.Account = ""
	reg := open(t, "mem:", registry.Options{Schemas: []registry.Schema{small}, Account: "acme"})
	if id := reg.View("control").ID().String(); id != "acme/small/control" {
		t.Errorf("view %s", id)
	}
}

// A template has no account and no revision yet.
func TestTemplateSchema(t *testing.T) {
	text := strings.Replace(strings.Replace(smallYAML, "account-id: acme", "account-id: <your-account-id>", 1), "revision: 2", `revision: "@REV@"`, 1)
	if small := parseSchemas(t, text)[0]; small.Account != "" || small.Revision != 0 || small.Name != "small" {
		t.Errorf("account %q, revision %d, name %q", small.Account, small.Revision, small.Name)
	}
}

func use(t *testing.T, schemas []registry.Schema) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reg.json")
	reg := open(t, "file:"+path, registry.Options{Schemas: schemas})
	if err := reg.View("control").Set(t.Context(), map[string]any{"things.a.size": 3}); err != nil {
		t.Fatal(err)
	}
	// The file keeps the schema of its data.
	again := open(t, "file:"+path, registry.Options{Account: "acme", Schema: "small"})
	values, err := again.View("control").GetWith(t.Context(), map[string]any{"id": "a"})
	if err != nil || fmt.Sprint(values) != "map[things:map[a:map[size:3]]]" {
		t.Errorf("got %v, %v", values, err)
	}
}

func TestSchemasRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "cannot read confdb-schema:1:1: it is empty"},
		{"no YAML", "name: a\n\tviews: 1", "cannot read confdb-schema:2:1: it is not YAML"},
		{"no JSON", `{"name": `, "cannot read confdb-schema:1:9: it is not JSON"},
		{"a list", "- a", "want a map with name, views and storage"},
		{"no storage", "name: a\nviews: {}", `cannot use confdb-schema: line 1: body must contain a "storage" stanza`},
		{"no views", "name: a\nstorage: {schema: {x: int}}", "cannot define confdb schema: no views"},
		{"no name", "views: {v: {rules: [{storage: x}]}}\nstorage: {schema: {x: int}}", `name "" must match`},
		{"a bad type", "name: a\nviews: {v: {rules: [{storage: x}]}}\nstorage: {schema: {x: nothing}}", `cannot parse unknown type "nothing"`},
		{"a bad revision", "name: a\nrevision: -1\nviews: {v: {rules: [{storage: x}]}}\nstorage: {schema: {x: int}}", `revision "-1" is not a whole number from 0 up`},
		{"only an account", accountAssertion, "it holds no confdb-schema, only assertions of these types: account"},
		{"a later assertion is broken", accountAssertion + strings.Replace(assertionOf("a"), "name: a", "name:a", 1), "cannot read confdb-schema:13:"},
		{"binary", "\xff\xfe", "it is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := registry.ParseSchemas([]byte(c.text))
			var refused *registry.Error
			if !errors.Is(err, registry.ErrBadRequest) || !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "lamp.yaml")
	if _, err := registry.ReadSchemas(path); !errors.Is(err, os.ErrNotExist) || !errors.Is(err, registry.ErrBadRequest) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("name: a\n\tviews: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.ReadSchemas(path); err == nil || !strings.Contains(err.Error(), path+":2:1: ") {
		t.Errorf("a broken file: %v", err)
	}
}

// A single schema completes the names of views. With several schemas, or none, views are named in full.
func TestDefaultSchema(t *testing.T) {
	lamps := parseSchemas(t, lamp)
	doors := parseSchemas(t, strings.ReplaceAll(lamp, "name: lamp", "name: door"))
	both := append(lamps, doors...)
	for _, c := range []struct {
		name, view string
		options    registry.Options
		want       string // "" for an error
	}{
		{"one", "control", registry.Options{Schemas: lamps}, "acme/lamp/control"},
		{"one, and its name", "lamp/control", registry.Options{Schemas: lamps}, "acme/lamp/control"},
		{"one, in full", "acme/lamp/control", registry.Options{Schemas: lamps}, "acme/lamp/control"},
		{"two", "control", registry.Options{Schemas: both}, ""},
		{"two, in full", "acme/door/control", registry.Options{Schemas: both}, "acme/door/control"},
		{"two, and a choice", "control", registry.Options{Schemas: both, Account: "acme", Schema: "door"}, "acme/door/control"},
		{"two, and the name of one", "door/control", registry.Options{Schemas: both, Schema: "lamp"}, "acme/door/control"},
		{"two of one account", "control", registry.Options{Schemas: both, Schema: "lamp"}, "acme/lamp/control"},
		{"none", "control", registry.Options{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			view := open(t, "mem:", c.options).View(c.view)
			err := view.Set(t.Context(), map[string]any{"brightness": 1})
			switch {
			case c.want == "" && (!errors.Is(err, registry.ErrBadRequest) || !strings.Contains(err.Error(), "ACCOUNT/SCHEMA/VIEW")):
				t.Errorf("error %v", err)
			case c.want != "" && (err != nil || view.ID().String() != c.want):
				t.Errorf("view %s, %v; want %s", view.ID(), err, c.want)
			}
		})
	}
	for want, options := range map[string]registry.Options{
		`"lamp" has no account`:    {Schemas: parseSchemas(t, strings.Replace(lamp, "account-id: acme\n", "", 1))},
		"acme/lamp is given twice": {Schemas: append(lamps, lamps...)},
		"is no account ID":         {Schemas: lamps[:1:1], Account: "x"}, // never looked at: lamp has its own
	} {
		_, err := registry.Open(t.Context(), "mem:", options)
		if options.Account == "x" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, registry.ErrBadRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// A registry does not know the roles' schema unless the program passes it.
func TestNothingOfOthersIsKnown(t *testing.T) {
	reg := open(t, "mem:", registry.Options{Schemas: parseSchemas(t, lamp)})
	_, err := reg.View(testschema.AccountID + "/network/" + testschema.ControlTunnelView).Get(t.Context())
	if !errors.Is(err, registry.ErrNoSchema) || !strings.Contains(err.Error(), "only acme/lamp") {
		t.Error(err)
	}
}

// A value that does not fit the program's variable is an *Error, and does not change the variable.
func TestReadIntoWhatDoesNotFit(t *testing.T) {
	reg := open(t, "mem:", registry.Options{Schemas: parseSchemas(t, lamp)})
	control := reg.View("control")
	if err := control.Set(t.Context(), map[string]any{"brightness": 40, "color": "red"}); err != nil {
		t.Fatal(err)
	}
	wrong := struct {
		Color      string `json:"color"`
		Brightness bool   `json:"brightness"`
	}{Color: "blue"}
	var number int
	for want, dst := range map[string]any{
		`"brightness" is of type number, and the program wants a Go bool`:     &wrong,
		"a value is of type object, and the program wants a Go int":           &number,
		"the struct cannot be filled in, as it was given without its address": wrong,
		"<nil> cannot be filled in":                                           nil,
	} {
		err := control.Read(t.Context(), dst)
		var refused *registry.Error
		if !errors.As(err, &refused) || refused.Kind != registry.ErrBadRequest || refused.Op != "get" ||
			refused.View != control.ID() || !strings.Contains(refused.Reason, want) {
			t.Errorf("into %T: %+v, want %s", dst, err, want)
		}
	}
	if wrong.Color != "blue" {
		t.Errorf("the variable became %+v", wrong)
	}
}

// An integer field accepts any notation of an integral number, since snapctl keeps the notation.
func TestDecodeIntegers(t *testing.T) {
	type numbers struct {
		Few  int8               `json:"few"`
		Many map[string][]int64 `json:"many"`
		Half float64            `json:"half"`
	}
	for text, want := range map[string]string{
		`{"few": 1.2e1, "many": {"a": [1e0, 20e-1]}, "half": 5e-1}`: "",
		`{"many": {"a": [1, 1.5]}}`:                                 "many.a[1]",
		`{"many": {"a": [1, 1e19], "b": []}}`:                       "many.a[1]",
		`{"few": 1e3}`:                                              "few",
		`{"few": 1e999999999}`:                                      "few",
		`{"half": 1e999999999}`:                                     "half",
		`{"many": {"a": [], "b": {"c": 1}}}`:                        "many.b",
	} {
		var document map[string]any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&document); err != nil {
			t.Fatal(err)
		}
		var got numbers
		err := registry.Decode(document, &got)
		var refused *registry.Error
		switch errors.As(err, &refused); {
		case want == "":
			if err != nil || got.Few != 12 || !slices.Equal(got.Many["a"], []int64{1, 2}) || got.Half != 0.5 {
				t.Errorf("%s is read as %+v, %v", text, got, err)
			}
		case refused == nil || refused.Kind != registry.ErrBadRequest || refused.Path != want || !reflect.DeepEqual(got, numbers{}):
			t.Errorf("%s is read as %+v, %v; want a refusal of %s", text, got, err, want)
		}
	}
}

// The error about an invalid schema that is built in code has the schema's name.
func TestBuiltSchemasRefused(t *testing.T) {
	views := map[string]registry.SchemaView{"v": {Rules: []registry.Rule{{Storage: "x"}}}}
	storage := map[string]any{"schema": map[string]string{"x": "int"}}
	for _, c := range []struct {
		schema registry.Schema
		want   string
	}{
		{registry.Schema{}, "has no account"},
		{registry.Schema{Account: "acme"}, `name "" must match`},
		{registry.Schema{Account: "acme", Name: "Lamp", Views: views, Storage: storage}, `confdb-schema "acme/Lamp" cannot be used`},
		{registry.Schema{Account: "acme", Name: "lamp", Storage: storage}, "no views"},
		{registry.Schema{Account: "acme", Name: "lamp", Views: views}, `must have a "schema" constraint`},
		{registry.Schema{Account: "acme", Name: "lamp", Views: views, Storage: func() {}}, "its storage schema is no JSON"},
		{registry.Schema{Account: "acme", Name: "lamp", Views: views, Storage: storage, Revision: -1}, "revision"},
		{registry.Schema{Account: "not an account", Name: "lamp", Views: views, Storage: storage}, "is no account ID"},
	} {
		_, err := registry.Open(t.Context(), "mem:", registry.Options{Schemas: []registry.Schema{c.schema}})
		if !errors.Is(err, registry.ErrBadRequest) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.schema, err, c.want)
		}
	}
}
