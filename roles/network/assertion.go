package network

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/dialect"
)

// A Dialect is the assertion's type in a generation of snapd.
type Dialect = dialect.Dialect

// The dialects; see package dialect.
const (
	ConfdbSchemaDialect = dialect.ConfdbSchema // snapd 2.71 and later; 2.69 and later without aliases
	ConfdbDialect       = dialect.Confdb       // snapd 2.68
)

// Dialects returns all dialects, newest first.
func Dialects() []Dialect { return dialect.All() }

// AssertionOptions are options of Assertion. The zero value gives the same as Document("").
type AssertionOptions struct {
	Account   string    // account ID of the publisher; "" means AccountID
	Revision  *int      // nil means the document's revision; without the header snapd assumes 0
	Timestamp time.Time // second precision, UTC; zero means the document's timestamp
	Dialect   Dialect   // "" means ConfdbSchemaDialect

	// NoAliases replaces each alias by its type. snapd 2.71 changed the spelling of aliases and refuses the earlier
	// one, so only an assertion without aliases works on 2.69, 2.70 and later.
	NoAliases bool
}

// ValidAccount returns an error if the text is not an account ID.
func ValidAccount(id string) error { return dialect.ValidAccount(id) }

// Assertion returns the confdb-schema as JSON for `snap sign`. The body has the layout that snapd requires: indented
// by two spaces, keys sorted. The error is for an invalid account, revision or dialect.
func Assertion(options AssertionOptions) (json.RawMessage, error) {
	printed := dialect.Options{Account: cmp.Or(options.Account, AccountID), Name: Name, Revision: options.Revision,
		Timestamp: options.Timestamp, Dialect: options.Dialect, NoAliases: options.NoAliases}
	if err := printed.Check(); err != nil {
		return nil, err
	}
	return assemble(printed)
}

// assemble returns an assertion's JSON. The options are valid.
func assemble(options dialect.Options) (json.RawMessage, error) {
	headers, err := decode(source)
	if err != nil {
		return nil, err
	}
	storage, ok := headers["storage"].(map[string]any)
	if !ok {
		return nil, errors.New("internal error: the confdb-schema has no storage schema")
	}
	delete(headers, "storage")
	return dialect.Print(headers, storage, options)
}

func decode(document []byte) (map[string]any, error) {
	var headers map[string]any
	if err := jsonvalue.Decode(document, &headers); err != nil {
		return nil, fmt.Errorf("internal error: embedded confdb-schema: %w", err)
	}
	return headers, nil
}
