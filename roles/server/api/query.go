package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// How many elements a page of a list has.
const (
	standardPage = 100
	largestPage  = 1000
)

// A query reads the parameters of a path and its query, and collects what is wrong with them.
type query struct {
	c     echo.Context
	wrong []serverapi.FieldProblem
}

func (q *query) complain(name, format string, arguments ...any) {
	q.wrong = append(q.wrong, serverapi.FieldProblem{Field: name, Message: fmt.Sprintf(format, arguments...)})
}

// done returns what was wrong.
func (q *query) done() error {
	if q.wrong != nil {
		return fieldProblem(q.wrong...)
	}
	return nil
}

// limit reads how many elements are wanted.
func (q *query) limit() int {
	given := q.c.QueryParam("limit")
	if given == "" {
		return standardPage
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > largestPage {
		q.complain("limit", "must be a number from 1 to %d, not %q", largestPage, clip(given))
	}
	return n
}

// number reads a whole number; absent where it is not given.
func (q *query) number(name string, absent int64) int64 {
	given := q.c.QueryParam(name)
	if given == "" {
		return absent
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 0 {
		q.complain(name, "must be a whole number from 0 on, not %q", clip(given))
	}
	return n
}

// flag reads true or false; nil where it is not given.
func (q *query) flag(name string) *bool {
	given := q.c.QueryParam(name)
	if given == "" {
		return nil
	}
	value, err := strconv.ParseBool(given)
	if err != nil {
		q.complain(name, "must be true or false, not %q", clip(given))
	}
	return &value
}

func (q *query) selector() fleet.Selector {
	selector, err := fleet.ParseSelector(q.c.QueryParam("selector"))
	if err != nil {
		q.complain("selector", "cannot be read: %s", err)
	}
	return selector
}

func (q *query) state() fleet.State {
	given := q.c.QueryParam("state")
	if given == "" {
		return fleet.StateUnknown
	}
	state, known := fleet.ParseState(given)
	if !known {
		q.complain("state", "must be one of %s, not %q", strings.Join(fleet.StateNames(), ", "), clip(given))
	}
	return state
}

// device reads the UUID in the path.
func (q *query) device() uuid.UUID {
	id, complaint := parseID(q.c.Param("uuid"))
	if complaint != "" {
		q.complain("uuid", "%s", complaint)
	}
	return id
}

// revision reads the revision in the path.
func (q *query) revision() int64 {
	given := q.c.Param("revision")
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 1 {
		q.complain("revision", "must be a number from 1 on, not %q", clip(given))
	}
	return n
}

// deviceOf reads the UUID in the path, where it is all there is to read.
func deviceOf(c echo.Context) (uuid.UUID, error) {
	q := query{c: c}
	id := q.device()
	return id, q.done()
}

// noDevice is the answer about a device that is not registered, in the operators' part.
func noDevice() error { return newProblem(http.StatusNotFound, "There is no such device") }
