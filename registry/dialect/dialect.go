// Package dialect writes a confdb-schema as the JSON that `snap sign` takes, for each generation of snapd: the same
// confdb-schema went by another name, in another spelling.
package dialect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Dialect is the type that the assertion has for a generation of snapd.
type Dialect string

// The dialects. Types of assertions and spellings were seen on snapd 2.68.3 and 2.77.1; those of the registry dialect
// follow the assertion of the original proof of concept and have not been tried.
const (
	ConfdbSchema Dialect = "confdb-schema" // snapd 2.71 and later; 2.69 and later without aliases
	Confdb       Dialect = "confdb"        // snapd 2.68
	Registry     Dialect = "registry"      // snapd 2.64 to 2.67
)

// All lists all dialects, newest first.
func All() []Dialect { return []Dialect{ConfdbSchema, Confdb, Registry} }

// Options say what is written.
type Options struct {
	Account   string    // ID of the account that publishes it; it signs, too
	Name      string    // of the confdb-schema; "" stands for the headers'
	Revision  *int      // nil stands for the headers'; 0 is what snapd takes an assertion without the header for
	Timestamp time.Time // in seconds, UTC; zero stands for the headers'
	Dialect   Dialect   // "" stands for ConfdbSchema

	// NoAliases writes the types out where they are used: snapd 2.71 changed how aliases are spelled, and refuses the
	// spelling that earlier ones want, so that only an assertion without them serves 2.69 and 2.70 as well.
	NoAliases bool
}

// accounts is what snapd takes for an account's ID: one that the store made up, or one of the few that are names.
var accounts = regexp.MustCompile(`^(?:[a-zA-Z0-9]{32}|[-a-z0-9]{2,28})$`)

// ValidAccount returns an error that says what is wrong with an account ID, or nil.
func ValidAccount(id string) error {
	if !accounts.MatchString(id) {
		return fmt.Errorf("%q is no account ID: want the 32 letters and digits that `snapcraft whoami` "+
			"shows, not a user name or mail address", id)
	}
	return nil
}

// Check returns an error for options that no assertion can be made of.
func (o Options) Check() error {
	if err := ValidAccount(o.Account); err != nil {
		return err
	}
	if o.Revision != nil && *o.Revision < 0 {
		return fmt.Errorf("revision %d is negative", *o.Revision)
	}
	return nil
}

// Print returns the assertion as JSON, made of its headers, as JSON shapes, and its storage schema. It may change both.
// The body is laid out as snapd demands it: indented by two spaces, keys sorted.
func Print(headers, storage map[string]any, options Options) (json.RawMessage, error) {
	if options.Revision != nil {
		headers["revision"] = strconv.Itoa(*options.Revision)
	}
	if headers["revision"] == "0" {
		delete(headers, "revision") // what is there in its stead, and what snapd prints
	}
	if !options.Timestamp.IsZero() {
		headers["timestamp"] = options.Timestamp.UTC().Format(time.RFC3339)
	}
	kind := cmp.Or(options.Dialect, ConfdbSchema)
	storage, err := translate(headers, storage, kind, options.NoAliases)
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

// translate spells headers, in place, and the storage schema as a dialect has it.
func translate(headers, storage map[string]any, dialect Dialect, noAliases bool) (map[string]any, error) {
	switch dialect {
	case ConfdbSchema:
	case Confdb, Registry:
		if dialect == Registry {
			withoutNews(headers, storage)
			if !noAliases {
				nameAlternatives(storage)
			}
		}
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

// alias is the name in a reference to a type of the user's, "" if the text is none.
func alias(text string) string {
	if inner, ok := strings.CutPrefix(text, "${"); ok && strings.HasSuffix(inner, "}") {
		return strings.TrimSuffix(inner, "}")
	}
	return ""
}

// oldSpelling is $name, for the ${name} of snapd 2.71 and later.
func oldSpelling(text string) any {
	if name := alias(text); name != "" {
		return "$" + name
	}
	return text
}

// writeOut puts each type in the place of its alias, also in types that are made of other aliases.
func writeOut(storage any, aliases map[string]any) any {
	return mapStrings(storage, func(text string) any {
		if definition, ok := aliases[alias(text)]; ok {
			return writeOut(definition, aliases)
		}
		return text
	})
}

// withoutNews drops what the registries of snapd 2.64 to 2.67 do not know: summaries, and who may see a value or keeps
// it. A secret stays as safe as its views make it.
func withoutNews(headers, storage map[string]any) {
	delete(headers, "summary")
	views, _ := headers["views"].(map[string]any)
	for _, view := range views {
		if view, ok := view.(map[string]any); ok {
			delete(view, "summary")
		}
	}
	types(storage, func(definition map[string]any) {
		delete(definition, "visibility")
		delete(definition, "ephemeral")
	})
}

// nameAlternatives makes a type of its own of each list of alternative types that an entry of a map has, named after the
// entry: the only form that is known to have run on registries. Later snapds refuse it.
func nameAlternatives(storage map[string]any) {
	aliases, ok := storage["aliases"].(map[string]any)
	if !ok {
		aliases = map[string]any{}
		storage["aliases"] = aliases
	}
	types(storage, func(definition map[string]any) {
		entries, _ := definition["schema"].(map[string]any)
		for _, entry := range slices.Sorted(maps.Keys(entries)) {
			list, ok := entries[entry].([]any)
			if !ok {
				continue
			}
			name := entry
			for n := 2; aliases[name] != nil && !reflect.DeepEqual(aliases[name], any(list)); n++ {
				name = fmt.Sprintf("%s-%d", entry, n)
			}
			aliases[name], entries[entry] = list, "${"+name+"}"
		}
	})
}

// types calls back with each definition of a type that is a map, in a storage schema.
func types(definition any, visit func(map[string]any)) {
	switch definition := definition.(type) {
	case map[string]any:
		visit(definition)
		for _, key := range []string{"aliases", "schema"} {
			entries, _ := definition[key].(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(entries)) {
				types(entries[name], visit)
			}
		}
		types(definition["keys"], visit)
		types(definition["values"], visit)
	case []any:
		for _, alternative := range definition {
			types(alternative, visit)
		}
	}
}

// mapStrings is a JSON value with what replace makes of its texts.
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
