package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"aspects-poc/internal/document"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/dialect"
)

// A Schema is a confdb-schema: the storage schema, and the views for reading and writing. ReadSchemas and
// ParseSchemas read it from files and text. A program can also build it:
//
//	lamp := registry.Schema{
//		Account: "canonical", Name: "lamp",
//		Views: map[string]registry.SchemaView{
//			"control": {Rules: []registry.Rule{{Request: "brightness", Storage: "lamp.brightness"}}},
//		},
//		Storage: json.RawMessage(`{"schema": {"lamp": {"schema": {"brightness": {"type": "int", "max": 100}}}}}`),
//	}
type Schema struct {
	Account  string                `json:"account-id"`                // ID of the publisher's account; "" means Options.Account
	Name     string                `json:"name"`                      // such as "lamp"
	Revision int                   `json:"revision,string,omitempty"` // a later one replaces an earlier one in a registry's file
	Summary  string                `json:"summary,omitempty"`         // for people
	Views    map[string]SchemaView `json:"views"`                     // by name; at least one
	Storage  any                   `json:"storage"`                   // storage schema: JSON shapes or json.RawMessage
}

// A SchemaView is a view of a Schema.
type SchemaView struct {
	Summary    string               `json:"summary,omitempty"`    // for people
	Parameters map[string]Parameter `json:"parameters,omitempty"` // by name: the constraints that GetWith accepts
	Rules      []Rule               `json:"rules"`                // at least one
}

// A Rule maps a request path to a storage path. Users of a view know only request paths.
type Rule struct {
	Request string `json:"request,omitempty"` // request path, such as "lamps.{id}.brightness"; "" means Storage
	Storage string `json:"storage"`           // storage path
	Access  string `json:"access,omitempty"`  // "read", "write" or "read-write"; "" means "read-write"
	Content []Rule `json:"content,omitempty"` // nested rules; their paths continue this rule's paths
}

// A Parameter is a constraint of a view.
type Parameter struct {
	Summary  string `json:"summary,omitempty"`  // for people
	Presence string `json:"presence,omitempty"` // "optional", "required", "required-on-read" or "required-on-write"; "" means "optional"
}

// ReadSchemas reads confdb-schemas from a file. See ParseSchemas for the formats and the errors.
func ReadSchemas(path string) ([]Schema, error) {
	text, err := document.Read(path)
	if err != nil {
		return nil, &Error{Op: "read", Kind: ErrBadRequest, Err: err, Message: fmt.Sprintf("cannot read confdb-schema: %v", err)}
	}
	return parseSchemas(path, text)
}

// ParseSchemas parses confdb-schemas in any of their formats:
//
//   - YAML or JSON, with the storage schema as "storage"
//   - JSON for `snap sign`, with the storage schema as text in "body"
//   - a signed assertion
//   - a stream of assertions, separated by empty lines, as `snap known` prints it; other types of assertions are skipped
//
// A placeholder such as <your-account-id> counts as no account, or no revision. Signatures are not verified. The error is
// ErrBadRequest; its text has the line if it is known.
func ParseSchemas(text []byte) ([]Schema, error) { return parseSchemas("confdb-schema", text) }

func parseSchemas(file string, text []byte) ([]Schema, error) {
	refuse := func(message string, cause error) error {
		return &Error{Op: "read", Kind: ErrBadRequest, Message: message, Err: cause}
	}
	documents, err := document.ParseAll(file, text)
	if err != nil {
		return nil, refuse(err.Error(), err)
	}
	var schemas []Schema
	var others []string
	for _, doc := range documents {
		if kind := doc.Header("type"); doc.Form == document.Assertion && kind != string(dialect.ConfdbSchema) {
			others = append(others, kind)
			continue
		}
		schema, err := schemaOf(doc)
		if err != nil {
			return nil, refuse(fmt.Sprintf("cannot use %s: %v", file, err), err)
		}
		schemas = append(schemas, schema)
	}
	if len(schemas) == 0 {
		return nil, refuse(fmt.Sprintf("cannot use %s: %s", file, document.NoSchema(others)), nil)
	}
	return schemas, nil
}

// schemaOf converts a document to a Schema. It returns an error if the engine refuses the document.
func schemaOf(doc *document.Document) (Schema, error) {
	if doc.Body == nil {
		for _, fault := range doc.Faults {
			if fault.Kind == document.BadBody {
				return Schema{}, fmt.Errorf("line %d: %s", fault.Pos.Line, fault.Message)
			}
		}
		return Schema{}, errors.New("it has no storage schema")
	}
	headers, _ := doc.Headers.Value().(map[string]any)
	text := func(header string) string {
		if value := headers[header]; value != nil {
			return fmt.Sprint(value) // JSON may have a number here
		}
		return ""
	}
	storage, views := doc.Storage(), headers["views"]
	if storage == nil {
		return Schema{}, errors.New(`body must contain a "storage" stanza`)
	}
	account := text("account-id")
	if doc.Unfilled("account-id") {
		account = ""
	}
	schema := Schema{Account: account, Name: text("name"), Summary: text("summary"), Storage: storage.Value()}
	if revision := text("revision"); revision != "" && !doc.Unfilled("revision") {
		var err error
		if schema.Revision, err = strconv.Atoi(revision); err != nil || schema.Revision < 0 {
			return Schema{}, fmt.Errorf("revision %q is not a whole number from 0 up", revision)
		}
	}
	if err := check(schema, storage.JSON(), views); err != nil {
		return Schema{}, err
	}
	encoded, err := json.Marshal(views)
	if err != nil {
		return Schema{}, err
	}
	if err := json.Unmarshal(encoded, &schema.Views); err != nil {
		return Schema{}, fmt.Errorf("its views cannot be read: %w", err)
	}
	return schema, nil
}

// check returns the engine's error for a confdb-schema with this storage and these views.
func check(schema Schema, storage json.RawMessage, views any) error {
	body, err := json.Marshal(map[string]any{"storage": storage})
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"account-id": cmp.Or(schema.Account, "account"), "name": schema.Name,
		"views": views, "body": string(body)})
	if err != nil {
		return err
	}
	_, err = confdb.ParseDocument(text)
	return err
}

// document returns the schema in the form for `snap sign`, as the embedded engine takes it.
func (s Schema) document() (json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"storage": s.Storage})
	if err != nil {
		return nil, fmt.Errorf("its storage schema is no JSON: %w", err)
	}
	headers := map[string]any{"type": dialect.ConfdbSchema, "authority-id": s.Account, "account-id": s.Account,
		"name": s.Name, "views": s.Views, "body": string(body)}
	if s.Revision != 0 {
		headers["revision"] = strconv.Itoa(s.Revision)
	}
	if s.Summary != "" {
		headers["summary"] = s.Summary
	}
	return jsonvalue.EncodeLines(headers, "")
}

// id returns ACCOUNT/NAME.
func (s Schema) id() string { return s.Account + "/" + s.Name }

// completeSchemas returns a copy of the schemas with missing accounts filled in. It returns an error for invalid
// accounts.
func completeSchemas(schemas []Schema, account string) ([]Schema, error) {
	schemas = slices.Clone(schemas)
	for i := range schemas {
		s := &schemas[i]
		s.Account = cmp.Or(s.Account, account)
		refuse := func(reason, remedy string) error {
			return &Error{Op: "open", Kind: ErrBadRequest, Remedy: remedy,
				Reason: fmt.Sprintf("confdb-schema %q %s", s.Name, reason)}
		}
		switch {
		case s.Account == "":
			return nil, refuse("has no account", "give it an account-id, or set Options.Account")
		case dialect.ValidAccount(s.Account) != nil:
			return nil, refuse("cannot be used: "+dialect.ValidAccount(s.Account).Error(), "")
		}
	}
	return schemas, nil
}

// accountOf returns the account that all schemas share, or "".
func accountOf(schemas []Schema) string {
	account := ""
	for _, schema := range schemas {
		if account != "" && schema.Account != account {
			return ""
		}
		account = schema.Account
	}
	return account
}

// documents returns the schemas in the form for `snap sign`.
func (o Options) documents() ([]json.RawMessage, error) {
	var list []json.RawMessage
	for _, schema := range o.Schemas {
		text, err := schema.document()
		if err != nil {
			return nil, &Error{Op: "open", Kind: ErrBadRequest, Err: err,
				Reason: fmt.Sprintf("confdb-schema %s cannot be used: %v", schema.id(), err)}
		}
		list = append(list, text)
	}
	return list, nil
}
