// Package dialect writes a confdb-schema as the JSON for `snap sign`, in the form of each generation of snapd. The
// generations differ in the assertion's type and in the spelling of aliases. Its main function is Print. Parsing and
// checking a confdb-schema are in package confdb.
package dialect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Dialect is the assertion's type in a generation of snapd.
type Dialect string

// The dialects. They were seen on snapd 2.77.1 and 2.68.3.
const (
	ConfdbSchema Dialect = "confdb-schema" // snapd 2.71 and later; 2.69 and later without aliases
	Confdb       Dialect = "confdb"        // snapd 2.68
)

// All returns all dialects, newest first.
func All() []Dialect { return []Dialect{ConfdbSchema, Confdb} }

// Options are options of Print.
type Options struct {
	Account   string    // account ID of the publisher, who also signs
	Name      string    // name of the confdb-schema; "" means the headers' name
	Revision  *int      // nil means the headers' revision; without the header snapd assumes 0
	Timestamp time.Time // second precision, UTC; zero means the headers' timestamp
	Dialect   Dialect   // "" means ConfdbSchema

	// NoAliases replaces each alias by its type. snapd 2.71 changed the spelling of aliases and refuses the earlier
	// one, so only an assertion without aliases works on 2.69, 2.70 and later.
	NoAliases bool
}

// accounts matches what snapd accepts as an account ID: one made by the store, or one of the few that are names.
var accounts = regexp.MustCompile(`^(?:[a-zA-Z0-9]{32}|[-a-z0-9]{2,28})$`)

// ValidAccount returns an error if the text is not an account ID.
func ValidAccount(id string) error {
	if !accounts.MatchString(id) {
		return fmt.Errorf("%q is no account ID: want the 32 letters and digits that `snapcraft whoami` "+
			"shows, not a user name or mail address", id)
	}
	return nil
}

// Check returns an error for an invalid account or a negative revision.
func (o Options) Check() error {
	if err := ValidAccount(o.Account); err != nil {
		return err
	}
	if o.Revision != nil && *o.Revision < 0 {
		return fmt.Errorf("revision %d is negative", *o.Revision)
	}
	return nil
}

// Print returns the assertion as JSON, from headers in JSON shapes and the storage schema. It may change both
// arguments. The body has the layout that snapd requires: indented by two spaces, keys sorted. It returns an error for an
// unknown dialect.
func Print(headers, storage map[string]any, options Options) (json.RawMessage, error) {
	if options.Revision != nil {
		headers["revision"] = strconv.Itoa(*options.Revision)
	}
	if headers["revision"] == "0" {
		delete(headers, "revision") // snapd prints no revision 0
	}
	if !options.Timestamp.IsZero() {
		headers["timestamp"] = options.Timestamp.UTC().Format(time.RFC3339)
	}
	kind := cmp.Or(options.Dialect, ConfdbSchema)
	storage, err := translate(storage, kind, options.NoAliases)
	if err != nil {
		return nil, err
	}
	body, err := json.MarshalIndent(map[string]any{"storage": storage}, "", "  ")
	if err != nil {
		return nil, err
	}
	if options.Name != "" {
		headers["name"] = options.Name
	}
	headers["type"], headers["body"] = string(kind), string(body)
	headers["authority-id"], headers["account-id"] = options.Account, options.Account
	return json.MarshalIndent(headers, "", "  ")
}

// translate spells a storage schema in a dialect.
func translate(storage map[string]any, dialect Dialect, noAliases bool) (map[string]any, error) {
	switch dialect {
	case ConfdbSchema:
	case Confdb:
		if !noAliases {
			storage = mapStrings(storage, oldSpelling).(map[string]any)
		}
	default:
		return nil, fmt.Errorf("no dialect %q: known are %s", dialect, strings.Join(names(), ", "))
	}
	if !noAliases {
		return storage, nil
	}
	aliases, _ := storage["aliases"].(map[string]any)
	delete(storage, "aliases")
	return writeOut(storage, aliases).(map[string]any), nil
}

func names() []string {
	var list []string
	for _, dialect := range All() {
		list = append(list, string(dialect))
	}
	return list
}

// alias returns the name in ${name}, or "" for other text.
func alias(text string) string {
	if inner, ok := strings.CutPrefix(text, "${"); ok && strings.HasSuffix(inner, "}") {
		return strings.TrimSuffix(inner, "}")
	}
	return ""
}

// oldSpelling turns ${name}, of snapd 2.71 and later, into $name.
func oldSpelling(text string) any {
	if name := alias(text); name != "" {
		return "$" + name
	}
	return text
}

// writeOut replaces each alias by its type, also within types of other aliases.
func writeOut(storage any, aliases map[string]any) any {
	return mapStrings(storage, func(text string) any {
		if definition, ok := aliases[alias(text)]; ok {
			return writeOut(definition, aliases)
		}
		return text
	})
}

// mapStrings returns a copy of a JSON value with each string replaced.
func mapStrings(value any, replace func(string) any) any {
	switch value := value.(type) {
	case string:
		return replace(value)
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = mapStrings(item, replace)
		}
		return list
	case map[string]any:
		mapped := make(map[string]any, len(value))
		for key, item := range value {
			mapped[key] = mapStrings(item, replace)
		}
		return mapped
	}
	return value
}
