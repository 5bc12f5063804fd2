// Package params parses the queries of requests, and refuses unknown, repeated and malformed parameters. A server that
// ignores them can change or return more than the caller wants. Parse is its main function; handlers interpret the
// values.
package params

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/nearest"
	"aspects-poc/roles/serverapi"
)

// An Argument is the value of a parameter.
type Argument struct {
	Value string
	Bare  bool // the parameter has no "=", as in ?dry-run
}

// MostComplaints is the largest number of problems in an answer.
const MostComplaints = 10

// Parse parses a query. Every parameter must be known, must not be repeated, and must be UTF-8 text. Package net/url would
// skip malformed parameters.
func Parse(query string, known []string) (arguments map[string]Argument, wrong []serverapi.FieldProblem) {
	arguments = map[string]Argument{}
	complain := func(name, format string, values ...any) {
		wrong = append(wrong, serverapi.FieldProblem{Field: name, Message: fmt.Sprintf(format, values...)})
	}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, valued := strings.Cut(part, "=")
		name, nameErr := url.QueryUnescape(rawName)
		value, valueErr := url.QueryUnescape(rawValue)
		_, twice := arguments[name]
		switch {
		case nameErr != nil || !printable(name) || name == "":
			complain("query", "has a parameter whose name cannot be read: %q", rawName)
		case !slices.Contains(known, name):
			complain(name, "is no parameter of this request%s", unknown(name, known))
		case valueErr != nil:
			complain(name, "has a value whose escapes cannot be read: %q", rawValue)
		case !printable(value):
			complain(name, "must be text in UTF-8 without a character of code 0, not %q", rawValue)
		case twice:
			complain(name, "stands twice in the query")
		default:
			arguments[name] = Argument{Value: value, Bare: !valued}
		}
		if len(wrong) == MostComplaints {
			break
		}
	}
	return arguments, wrong
}

func printable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// unknown returns the end of the refusal of an unknown parameter.
func unknown(name string, known []string) string {
	if len(known) == 0 {
		return "; it takes none"
	}
	return Meant(name, known)
}

// Meant returns the end of the refusal of an unknown name: similar known names, or all of them.
func Meant(name string, known []string) string {
	if near := nearest.Names(name, known); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}
