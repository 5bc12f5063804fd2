// Package confdb is the engine: it implements the semantics of snapd's confdb without files, sockets or clocks. Its
// main types are Schema, a parsed confdb-schema, and Tx, a transaction. The data is a databag.Bag, an immutable
// value: reads take a Bag, and a Tx turns one Bag into another. Callers store the bags. Package registry/embedded
// does so in a file.
package confdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/faults"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
	"aspects-poc/registry/confdb/view"
)

// An Error is the error of a read or write.
type Error = view.Error

// A Kind is the kind of an Error.
type Kind = view.Kind

// The kinds of errors.
const (
	NoView               = view.NoView
	NoMatch              = view.NoMatch
	NoData               = view.NoData
	BadRequest           = view.BadRequest
	Invalid              = view.Invalid
	UnconstrainedParams  = view.UnconstrainedParams
	UnmatchedConstraints = view.UnmatchedConstraints
	Unauthorized         = view.Unauthorized
	Other                = view.Other
)

// ReadOptions are options of Schema.Read. The zero value reads as an administrator, without constraints.
type ReadOptions = view.ReadOptions

// A Schema is a parsed confdb-schema: its storage schema and its views. It is immutable.
type Schema struct {
	Account, Name string
	Revision      int

	storage *schema.Schema
	views   map[string]*view.View
}

// A SchemaError says what is wrong with a confdb-schema.
type SchemaError struct {
	Stage   string // "headers", "storage" or "views"
	Message string // in snapd's words if snapd has this error

	// View is the view that is wrong, or "" where none is.
	View string
	// Fault has the place in the storage schema, or in the definition of the view. It is nil for other parts of the
	// document.
	Fault *faults.Fault
}

func (e *SchemaError) Error() string { return e.Message }

// A Parser parses confdb-schemas. The zero value stops at the first fault.
type Parser struct {
	// Report, unless it is nil, receives every fault. The parser then continues after a fault. It returns the first
	// fault, and a Schema of the parts that have none.
	Report func(*SchemaError)
}

// ParseDocument parses a confdb-schema as JSON in the form for `snap sign`: headers, with the storage schema as text
// in "body". Errors are *SchemaError.
func ParseDocument(document []byte) (*Schema, error) { return Parser{}.ParseDocument(document) }

// A memo stores the Schemas that Parsed has returned.
type memo struct {
	mu      sync.Mutex
	schemas map[string]*Schema // by document
}

var parsed = memo{schemas: map[string]*Schema{}}

// mostParsed is how many documents Parsed remembers. A program has few, each in several spellings.
const mostParsed = 8

// Parsed is ParseDocument with a memory of its last results. Call it to check many values against few confdb-schemas: to parse one
// takes a hundred times as long as to check a value.
func Parsed(document []byte) (*Schema, error) {
	parsed.mu.Lock()
	known := parsed.schemas[string(document)]
	parsed.mu.Unlock()
	if known != nil {
		return known, nil
	}
	schema, err := ParseDocument(document)
	if err != nil {
		return schema, err
	}
	parsed.mu.Lock()
	defer parsed.mu.Unlock()
	if len(parsed.schemas) >= mostParsed {
		clear(parsed.schemas)
	}
	parsed.schemas[string(document)] = schema
	return schema, nil
}

// New builds a Schema from the "storage" object of an assertion's body and its "views" header in JSON shapes. Errors
// are *SchemaError.
func New(account, name string, storage json.RawMessage, views any) (*Schema, error) {
	return Parser{}.New(account, name, storage, views)
}

// ParseDocument is like the function of that name. It stops at headers or a body that cannot be read.
func (p Parser) ParseDocument(document []byte) (*Schema, error) {
	headers, revision, refused := parseHeaders(document)
	var storage json.RawMessage
	if refused == nil {
		storage, refused = storageOf(headers.Body)
	}
	if refused != nil {
		if p.Report != nil {
			p.Report(refused)
		}
		return nil, refused
	}
	parsed, err := p.New(headers.Account, headers.Name, storage, headers.Views)
	if parsed != nil {
		parsed.Revision = revision
	}
	return parsed, err
}

// headers are the headers of a document, and its body.
type headers struct {
	Type     string `json:"type"`
	Account  string `json:"account-id"`
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Views    any    `json:"views"`
	Body     string `json:"body"`
}

func parseHeaders(document []byte) (headers headers, revision int, refused *SchemaError) {
	if err := json.Unmarshal(document, &headers); err != nil {
		return headers, 0, refuse("headers", "cannot parse confdb-schema: %v", err)
	}
	if headers.Revision != "" {
		var err error
		if revision, err = strconv.Atoi(headers.Revision); err != nil || revision < 0 {
			return headers, 0, refuse("headers", "cannot parse confdb-schema: revision %q is no number", headers.Revision)
		}
	}
	if headers.Account == "" {
		return headers, 0, refuse("headers", `cannot parse confdb-schema: "account-id" header is mandatory`)
	}
	if !path.ValidSubkey(headers.Name) {
		return headers, 0, refuse("headers", "cannot parse confdb-schema: name %q must match %s", headers.Name, path.Subkey)
	}
	return headers, revision, nil
}

func storageOf(body string) (json.RawMessage, *SchemaError) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		return nil, refuse("storage", "invalid JSON in body: %v", err)
	}
	storage, ok := fields["storage"]
	if !ok {
		return nil, refuse("storage", `body must contain a "storage" stanza`)
	}
	return storage, nil
}

func refuse(stage, format string, args ...any) *SchemaError {
	return &SchemaError{Stage: stage, Message: fmt.Sprintf(format, args...)}
}

// New is like the function of that name.
func (p Parser) New(account, name string, storage json.RawMessage, views any) (*Schema, error) {
	s := &Schema{Account: account, Name: name, views: map[string]*view.View{}}
	var first *SchemaError
	stop := false
	add := func(e *SchemaError) (goOn bool) {
		if first == nil {
			first = e
		}
		if stop = p.Report == nil; !stop {
			p.Report(e)
		}
		return !stop
	}
	report := func(stage, view string) *faults.Report {
		return faults.New(func(f *faults.Fault) bool {
			return add(&SchemaError{Stage: stage, Message: f.Error(), View: view, Fault: f})
		})
	}
	s.storage = schema.Report(report("storage", ""), storage)
	definitions, ok := views.(map[string]any)
	if !stop && (!ok || len(definitions) == 0) {
		add(refuse("views", "cannot define confdb schema: no views"))
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		if !stop {
			s.views[name] = view.Report(report("views", name), s.ID()+"/"+name, name, definitions[name], s.storage)
		}
	}
	switch {
	case first == nil:
		return s, nil
	case stop:
		return nil, first
	}
	return s, first
}

// ID returns ACCOUNT/NAME.
func (s *Schema) ID() string { return s.Account + "/" + s.Name }

// Views returns the names of the views, sorted.
func (s *Schema) Views() []string { return slices.Sorted(maps.Keys(s.views)) }

func (s *Schema) view(name string) (*view.View, error) {
	if v, ok := s.views[name]; ok {
		return v, nil
	}
	message := fmt.Sprintf("cannot find view %q in confdb schema %s", name, s.ID())
	return nil, &Error{Kind: NoView, Message: message, Reason: message}
}

// Storage returns the storage schema.
func (s *Schema) Storage() *schema.Schema { return s.storage }

// View returns a view, or nil if there is no such view.
func (s *Schema) View(name string) *view.View { return s.views[name] }

// Matches reports whether a readable (or, with write, a writable) rule of the view matches the request path.
func (s *Schema) Matches(view, request string, write bool) bool {
	v, err := s.view(view)
	return err == nil && v.Matches(request, write)
}

// A Rule is a rule of a view.
type Rule = view.Rule

// Rules returns the rules of a view, or nil if there is no such view.
func (s *Schema) Rules(view string) []Rule {
	v, err := s.view(view)
	if err != nil {
		return nil
	}
	return v.Rules()
}

// Touched returns the indexes of the Rules that a read or write of a request path uses. "" is the whole view.
func (s *Schema) Touched(view, request string, write bool) []int {
	v, err := s.view(view)
	if err != nil {
		return nil
	}
	return v.Touched(request, write)
}

// Secret reports whether a request path leads to secret data or to data that contains some.
func (s *Schema) Secret(view, request string) bool {
	v, err := s.view(view)
	return err == nil && v.Secret(request)
}

// Affected returns the sorted names of the views with a rule that leads to a change at one of the storage paths.
func (s *Schema) Affected(storage []string) []string { return s.among(storage, (*view.View).Affected) }

// Shows is Affected for rules that can be read.
func (s *Schema) Shows(storage []string) []string { return s.among(storage, (*view.View).Shows) }

// among returns the sorted names of the views for which a test of storage paths is true.
func (s *Schema) among(storage []string, test func(*view.View, []path.Path) bool) []string {
	paths := make([]path.Path, 0, len(storage))
	for _, text := range storage {
		if parsed, err := path.ParseStorage(text); err == nil {
			paths = append(paths, parsed)
		}
	}
	return slices.DeleteFunc(s.Views(), func(name string) bool { return !test(s.views[name], paths) })
}

// Validate checks a whole bag against the storage schema. The error is an *Error of kind Invalid.
func (s *Schema) Validate(bag databag.Bag) error { return s.validate(bag, "") }

// Read reads request paths through a view. It returns a map from each request, as written, to its value; without
// requests, it returns the view's merged document. Values are JSON shapes with json.Number. Errors are *Error.
func (s *Schema) Read(bag databag.Bag, view string, requests []string, options ReadOptions) (any, error) {
	v, err := s.view(view)
	if err != nil {
		return nil, err
	}
	return v.Get(bag, requests, options)
}

// ReadsEphemeral reports whether a read may need ephemeral data. Its errors, for malformed paths among others, are
// those of snapd's daemon.
func (s *Schema) ReadsEphemeral(view string, requests []string, options ReadOptions) (bool, error) {
	v, err := s.view(view)
	if err != nil {
		return false, err
	}
	return v.ReadsEphemeral(requests, options)
}

func (s *Schema) validate(bag databag.Bag, prefix string) error {
	err := s.storage.Validate(bag)
	if err == nil {
		return nil
	}
	refused := err.(*schema.ValidationError)
	return &Error{Kind: Invalid, Message: prefix + refused.Error(), Path: refused.Path, Reason: refused.Cause}
}

// DaemonError returns the error that snapd's daemon reports for a read. err is the error of Read, or nil. The daemon
// checks for ephemeral data first, with messages of its own, and wraps later errors other than "no data".
func (s *Schema) DaemonError(view string, requests []string, options ReadOptions, err error) error {
	if _, ok := s.views[view]; !ok {
		return err
	}
	if _, checkErr := s.ReadsEphemeral(view, requests, options); checkErr != nil {
		return checkErr
	}
	refused, ok := err.(*Error)
	if !ok || refused.Kind == NoData {
		return err
	}
	wrapped := *refused
	wrapped.Message = fmt.Sprintf("internal error: cannot read confdb %s: %s", s.ID(), refused.Message)
	return &wrapped
}

// Conceal returns a document of a view with its secrets replaced by what hide returns for them; see view.View.Conceal. It
// returns the document of an unknown view unchanged.
func (s *Schema) Conceal(view string, document any, hide func(request path.Path, value any) any) any {
	v, err := s.view(view)
	if err != nil {
		return document
	}
	return v.Conceal(document, hide)
}
