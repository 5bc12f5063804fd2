package api

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// Takes describes what a request of a route may have in addition to its path.
type Takes struct {
	Query string // names of the parameters, separated by spaces
	Body  bool
	Tags  bool // If-Match and If-None-Match are allowed, because the resource has an ETag
	// Ask is the right that a dry run needs; zero means the right of the route. The handler checks that the request is
	// a dry run.
	Ask access.Right
}

// argumentsKey is the key of a request's parameters in its context.
const argumentsKey = "arguments"

// understand returns the middleware that refuses requests with anything that their route does not take.
func (h *handlers) understand(right access.Right, takes Takes) echo.MiddlewareFunc {
	known := strings.Fields(takes.Query)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			arguments, wrong := params.Parse(c.Request().URL.RawQuery, known)
			if wrong != nil {
				return fieldProblem(wrong...)
			}
			c.Set(argumentsKey, arguments)
			changes := !slices.Contains([]string{http.MethodGet, http.MethodHead}, c.Request().Method)
			if changes && !takes.Body {
				if err := h.noBody(c); err != nil {
					return err
				}
			}
			if right.Changes() && !takes.Tags {
				if err := noConditions(c.Request().Header); err != nil {
					return err
				}
			}
			return next(c)
		}
	}
}

// noBody refuses a body, except an empty object, which some clients always send.
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
