// Package confdb is the engine: the semantics of snapd's confdb, pure, without files, sockets or clocks.
//
// A Schema is a parsed confdb-schema; a databag.Bag is what is stored, an immutable value. Reading takes both, writing
// collects changes in a Tx over a Bag and yields another Bag. Whoever calls decides where bags are kept.
package confdb

import (
	"encoding/json"

	"aspects-poc/registry/confdb/databag"
)

// A Schema is a parsed confdb-schema: its storage schema and its views. It is immutable.
type Schema struct {
	Account, Name string
	Revision      int
}

// ParseDocument reads a confdb-schema as JSON in the form that `snap sign` takes: headers, with the storage schema as
// text in "body". Its errors are *SchemaError where snapd has a message for the fault.
func ParseDocument(document []byte) (*Schema, error) { panic("not yet") }

// New builds a Schema of its parts: the assertion body's "storage" object and its "views" header.
func New(account, name string, storage json.RawMessage, views any) (*Schema, error) { panic("not yet") }

// A SchemaError says what is wrong with a confdb-schema.
type SchemaError struct {
	Stage   string // "storage" or "views"
	Message string // as snapd words it
}

func (e *SchemaError) Error() string { return e.Message }

// Views returns the names of the views, sorted.
func (s *Schema) Views() []string { panic("not yet") }

// Matches tells whether some rule of the view that can be read (or written) matches the request path.
func (s *Schema) Matches(view, request string, write bool) bool { panic("not yet") }

// Affected returns the names of the views, sorted, that may show a change of one of these storage paths.
func (s *Schema) Affected(paths []string) []string { panic("not yet") }

// ReadOptions say how to read. The zero value reads as an administrator, without constraints.
type ReadOptions struct {
	Constraints  map[string]any // parameter or placeholder -> scalar
	Unprivileged bool           // hide what is secret
}

// Read reads request paths through a view: the answer maps each as it was written to its value; without requests it is
// the view's merged document. Values are JSON shapes with json.Number. Errors are *Error.
func (s *Schema) Read(bag databag.Bag, view string, requests []string, options ReadOptions) (any, error) {
	panic("not yet")
}

// ReadsEphemeral tells whether such a read may need ephemeral data. It makes the daemon's check of a read: its errors,
// for malformed paths among others, are the daemon's.
func (s *Schema) ReadsEphemeral(view string, requests []string, options ReadOptions) (bool, error) {
	panic("not yet")
}

// A Tx collects changes over a bag; each is validated as it comes, as snapd does.
type Tx struct{}

// Begin starts a transaction over what is stored.
func (s *Schema) Begin(stored databag.Bag) *Tx { panic("not yet") }

// Write sets (nil: unsets) request paths through a view, in a fixed order: sorted, indexes by number. The first error
// ends it and makes the transaction unusable. Errors are *Error.
func (t *Tx) Write(view string, values map[string]any) error { panic("not yet") }

// Bag returns the data with all changes so far.
func (t *Tx) Bag() databag.Bag { panic("not yet") }

// Altered returns the storage paths written or removed, sorted, each once.
func (t *Tx) Altered() []string { panic("not yet") }

// Ephemeral tells whether a path written may hold ephemeral data; the check itself can fail, with the daemon's message.
func (t *Tx) Ephemeral() (bool, error) { panic("not yet") }

// Commit applies the changes to what is stored by now, as JSON would carry them, validates all of it and returns it.
func (t *Tx) Commit(stored databag.Bag) (databag.Bag, error) { panic("not yet") }

// Kind tells errors apart.
type Kind string

// The kinds of errors.
const (
	NoView               Kind = "no-view"
	NoMatch              Kind = "no-match"
	NoData               Kind = "no-data"
	BadRequest           Kind = "bad-request"
	Invalid              Kind = "schema"
	UnconstrainedParams  Kind = "unconstrained-params"
	UnmatchedConstraints Kind = "unmatched-constraints"
	Unauthorized         Kind = "unauthorized"
	Other                Kind = "other"
)

// An Error is a refused read or write.
type Error struct {
	Kind    Kind
	Message string // as snapd words it
	Path    string // storage path of a schema violation; "" for the top level
	Reason  string // its bare cause
}

func (e *Error) Error() string { return e.Message }
