package network

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/registry/dialect"
)

// A Dialect is the type that the assertion has for a generation of snapd: the same confdb-schema goes by another name, in
// another spelling.
type Dialect = dialect.Dialect

// The dialects; package dialect tells where they come from.
const (
	ConfdbSchemaDialect = dialect.ConfdbSchema // snapd 2.71 and later; 2.69 and later without aliases
	ConfdbDialect       = dialect.Confdb       // snapd 2.68
	RegistryDialect     = dialect.Registry     // snapd 2.64 to 2.67
)

// Dialects lists all dialects, newest first.
func Dialects() []Dialect { return dialect.All() }

// AssertionOptions say which assertion to make. The zero value makes Document("").
type AssertionOptions struct {
	Account   string    // ID of the account that publishes it; "" stands for AccountID
	Revision  *int      // nil stands for the document's; 0 is what snapd takes an assertion without the header for
	Timestamp time.Time // in seconds, UTC; zero stands for the document's
	Dialect   Dialect   // "" stands for ConfdbSchemaDialect

	// NoAliases writes the types out where they are used: snapd 2.71 changed how aliases are spelled, and refuses the
	// spelling that earlier ones want, so that only an assertion without them serves 2.69 and 2.70 as well.
	NoAliases bool
}

// ValidAccount returns an error that says what is wrong with an account ID, or nil.
func ValidAccount(id string) error { return dialect.ValidAccount(id) }

// Assertion returns the confdb-schema as JSON in the form that `snap sign` takes. The body is laid out as snapd demands
// it: indented by two spaces, keys sorted.
func Assertion(options AssertionOptions) (json.RawMessage, error) {
	printed := dialect.Options{Account: cmp.Or(options.Account, AccountID), Name: Name, Revision: options.Revision,
		Timestamp: options.Timestamp, Dialect: options.Dialect, NoAliases: options.NoAliases}
	if err := printed.Check(); err != nil {
		return nil, err
	}
	return assemble(printed)
}

// assemble makes an assertion's JSON, of options that are valid.
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
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	var headers map[string]any
	if err := decoder.Decode(&headers); err != nil {
		return nil, fmt.Errorf("internal error: embedded confdb-schema: %w", err)
	}
	return headers, nil
}
