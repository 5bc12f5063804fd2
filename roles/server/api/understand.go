package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"aspects-poc/roles/internal/nearest"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// takes is what a request of a route may have beside its path. Whatever else it has is refused before the handler sees it:
// a request that is understood in part only must not change anything, and must not answer more than was asked for.
type takes struct {
	query string // the parameters, separated by spaces
	body  bool
	tags  bool // If-Match and If-None-Match: what the path names has an ETag
}

// An argument is what a query says of a parameter.
type argument struct {
	value string
	bare  bool // there is no "=", as in ?dry-run
}

// argumentsKey is where a request's arguments are, by name.
const argumentsKey = "arguments"

// understand lets requests through that have nothing but what their route takes.
func (h *handlers) understand(right access.Right, takes takes) echo.MiddlewareFunc {
	known := strings.Fields(takes.query)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			arguments, wrong := parseQuery(c.Request().URL.RawQuery, known)
			if wrong != nil {
				return fieldProblem(wrong...)
			}
			c.Set(argumentsKey, arguments)
			changes := !slices.Contains([]string{http.MethodGet, http.MethodHead}, c.Request().Method)
			if changes && !takes.body {
				if err := h.noBody(c); err != nil {
					return err
				}
			}
			if right == access.Write && !takes.tags {
				if err := noConditions(c.Request().Header); err != nil {
					return err
				}
			}
			return next(c)
		}
	}
}

// parseQuery reads a query in which every parameter is known, stands once, and is text. Package url would pass over what
// it cannot read.
func parseQuery(query string, known []string) (arguments map[string]argument, wrong []serverapi.FieldProblem) {
	arguments = map[string]argument{}
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
			complain("query", "has a parameter whose name cannot be read: %q", clip(rawName))
		case !slices.Contains(known, name):
			complain(clip(name), "is no parameter of this request%s", unknownParameter(name, known))
		case valueErr != nil:
			complain(name, "has a value whose escapes cannot be read: %q", clip(rawValue))
		case !printable(value):
			complain(name, "must be text in UTF-8 without a character of code 0, not %q", clip(rawValue))
		case twice:
			complain(name, "stands twice in the query")
		default:
			arguments[name] = argument{value: value, bare: !valued}
		}
		if len(wrong) == mostStrangers {
			break // who sends more has seen enough
		}
	}
	return arguments, wrong
}

func printable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// unknownParameter says what may have been meant.
func unknownParameter(name string, known []string) string {
	if len(known) == 0 {
		return "; it takes none"
	}
	return meant(name, known)
}

// meant ends the refusal of an unknown name.
func meant(name string, known []string) string {
	if near := nearest.Names(name, known); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}

// noBody refuses a body where there is nothing to say in one. Clients that always send one send an empty object.
func (h *handlers) noBody(c echo.Context) error {
	text, err := h.readAll(c)
	if err != nil {
		return err
	}
	if text = bytes.TrimSpace(text); len(text) > 0 && string(text) != "{}" {
		return fieldProblem(serverapi.FieldProblem{Field: wholeBody, Message: "is not read here: this request takes none"})
	}
	return nil
}
