package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/audit"

	"github.com/labstack/echo/v4"
)

// audited returns the middleware of an operators' route. It begins the record of an act, which the store writes with
// the change. If the act changes nothing, the record is written before the answer. It also counts requests without a
// valid token.
func (h *handlers) audited(route Route) echo.MiddlewareFunc {
	verb, thing, _ := strings.Cut(route.Act, " ")
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if h.audit == nil {
			return next
		}
		return func(c echo.Context) error {
			request := c.Request()
			ctx := request.Context()
			record := audit.Record{Verb: verb, Thing: thing, Agent: request.UserAgent(), Request: requestID(c), Kind: audit.Stranger}
			record.Address, _ = access.Caller{}.Origin(request)
			if route.Act == "" || dryRunAsked(c) {
				err := next(c)
				h.countStranger(c, record, err)
				return err
			}
			for i, name := range c.ParamNames() {
				record.Thing = strings.ReplaceAll(record.Thing, ":"+name, c.ParamValues()[i])
			}
			pending := h.audit.Begin(record)
			c.SetRequest(request.WithContext(audit.With(ctx, pending)))
			c.Response().Before(func() { h.audit.Settle(ctx, pending, c.Response().Status) })
			err := next(c)
			if h.countStranger(c, record, err) {
				pending.Drop()
			}
			if err != nil {
				var refused *access.Refusal
				if errors.As(err, &refused) && refused.Caller.Kind != access.Nobody {
					identify(pending, refused.Caller, request)
				}
				pending.Refuse(Reason(err))
			}
			return err
		}
	}
}

// countStranger counts a request that was refused because it has no valid token.
func (h *handlers) countStranger(c echo.Context, record audit.Record, err error) bool {
	var refused *access.Refusal
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		return false
	}
	record.Verb, record.Thing, record.Status, record.Reason = "call", c.Path(), refused.Status, refused.Detail
	h.audit.Stranger(c.Request().Context(), record)
	return true
}

// identified is the middleware that sets who acts in the record. It runs after the check of the caller.
func identified(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		identify(audit.From(c.Request().Context()), access.From(c.Request().Context()), c.Request())
		return next(c)
	}
}

// identify sets in a record who acts.
func identify(pending *audit.Pending, caller access.Caller, request *http.Request) {
	pending.Amend(func(r *audit.Record) {
		*r = Actor(*r, caller, request)
	})
}

// Actor returns a record with who acts, and from which address.
func Actor(r audit.Record, caller access.Caller, request *http.Request) audit.Record {
	if r.Kind = audit.Operator; caller.Kind == access.Loopback {
		r.Kind = audit.Loopback
	}
	r.Name, r.Person, r.Role, r.Scope = caller.Name, caller.Person, string(caller.Role), caller.Scope.String()
	r.Address, r.Proxy = caller.Origin(request)
	return r
}

// recordRead writes to the audit log, before the answer, that the caller reads something as valuable as a secret.
func (h *handlers) recordRead(c echo.Context, thing string) error {
	if h.audit == nil {
		return nil
	}
	record := audit.Record{Verb: "read", Thing: thing, Agent: c.Request().UserAgent(), Request: requestID(c)}
	return h.audit.Write(c.Request().Context(), Actor(record, access.From(c.Request().Context()), c.Request()))
}

// dryRunAsked reports whether a request is a dry run, which is no act.
func dryRunAsked(c echo.Context) bool {
	given, there := c.QueryParams()["dry-run"]
	if !there {
		return false
	}
	dry, err := strconv.ParseBool(given[0])
	return err == nil && dry || strings.Contains("&"+c.Request().URL.RawQuery+"&", "&dry-run&")
}

// Reason returns why a request is refused, for the audit log. For a body it names only the invalid fields, because a
// value may be a secret.
func Reason(err error) string {
	answer := problemOf(err)
	if answer.Status != http.StatusUnprocessableEntity {
		return answer.Detail
	}
	places := make([]string, len(answer.Errors))
	for i, field := range answer.Errors {
		places[i] = field.Field
	}
	return strings.TrimSuffix("cannot be taken: "+strings.Join(places, ", "), ": ")
}
