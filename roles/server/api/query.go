package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// The number of elements on a page of a list.
const (
	standardPage = 100
	largestPage  = 1000
)

// A query parses the parameters of path and query, and collects their problems. Handlers read only the parameters that
// their route takes (Takes.Query): understand has refused all others.
type query struct {
	c     echo.Context
	wrong []serverapi.FieldProblem
}

// argument returns a parameter. there is false if the query does not have it.
func (q *query) argument(name string) (given params.Argument, there bool) {
	arguments, _ := q.c.Get(argumentsKey).(map[string]params.Argument)
	given, there = arguments[name]
	return given, there
}

// text returns a parameter; "" if it is absent or empty.
func (q *query) text(name string) string {
	given, _ := q.argument(name)
	if given.Bare {
		q.complain(name, "has no value")
	}
	return given.Value
}

func (q *query) complain(name, format string, arguments ...any) {
	q.wrong = append(q.wrong, serverapi.FieldProblem{Field: name, Message: fmt.Sprintf(format, arguments...)})
}

// done returns the collected problems as an error; nil for none.
func (q *query) done() error {
	if q.wrong != nil {
		return fieldProblem(q.wrong...)
	}
	return nil
}

// limit returns the number of elements on a page.
func (q *query) limit() int {
	given, there := q.argument("limit")
	if !there {
		return standardPage
	}
	n, err := strconv.Atoi(given.Value)
	if err != nil || n < 1 || n > largestPage {
		q.complain("limit", "must be a number from 1 to %d, not %q", largestPage, clip(given.Value))
	}
	return n
}

// number returns a whole number, or absent without the parameter.
func (q *query) number(name string, absent int64) int64 {
	given, there := q.argument(name)
	if !there {
		return absent
	}
	n, err := strconv.ParseInt(given.Value, 10, 64)
	if err != nil || n < 0 {
		q.complain(name, "must be a whole number from 0 on, not %q", clip(given.Value))
	}
	return n
}

// place returns the number at which a list continues; 0 if it is absent or empty, as in the first turn of a loop over
// pages.
func (q *query) place(name string) int64 {
	if given, _ := q.argument(name); given == (params.Argument{}) {
		return 0
	}
	return q.number(name, 0)
}

// flag returns true or false; nil if the parameter is absent. The name alone means true.
func (q *query) flag(name string) *bool {
	given, there := q.argument(name)
	if !there {
		return nil
	}
	value, err := strconv.ParseBool(given.Value)
	if given.Bare {
		value, err = true, nil
	}
	if err != nil {
		q.complain(name, "must be true or false, not %q", clip(given.Value))
	}
	return &value
}

func (q *query) selector() fleet.Selector {
	selector, err := fleet.ParseSelector(q.text("selector"))
	if err != nil {
		q.complain("selector", "cannot be read: %s", err)
	}
	return selector
}

func (q *query) state() fleet.State {
	given, there := q.argument("state")
	if !there {
		return fleet.StateUnknown
	}
	state, known := fleet.ParseState(given.Value)
	switch {
	case given.Value == "silent", given.Value == "cloned":
		q.complain("state", "must be one of %s; %s devices, in whatever state, are chosen by %s=true",
			strings.Join(fleet.StateNames(), ", "), given.Value, given.Value)
	case !known:
		q.complain("state", "must be one of %s, not %q", strings.Join(fleet.StateNames(), ", "), clip(given.Value))
	}
	return state
}

// layer returns the name of a layer; "" if the parameter is absent. devices/WORD is the layer of the device that Find
// returns for the word.
func (h *handlers) layer(q *query) (fleet.LayerName, error) {
	given, there := q.argument("layer")
	if !there {
		return "", nil
	}
	if word, is := strings.CutPrefix(given.Value, "devices/"); is {
		id, err := h.fleet.Find(q.c.Request().Context(), word)
		var wrong *fleet.NameError
		if errors.As(err, &wrong) {
			q.complain("layer", "cannot be read: devices/ID %s", wrong)
			return "", nil
		}
		return fleet.DeviceLayer(id), err
	}
	name, err := fleet.ParseLayerName(given.Value)
	if err != nil {
		q.complain("layer", "cannot be read: %s", err)
	}
	return name, nil
}

// revision returns the revision in the path.
func (q *query) revision() int64 {
	given := q.c.Param("revision")
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 1 {
		q.complain("revision", "must be a number from 1 on, not %q", clip(given))
	}
	return n
}

// device returns the ID of the device in the path: by its ID, a unique beginning of the ID, or its name. A whole ID
// need not be of a registered device.
func (h *handlers) device(c echo.Context) (uuid.UUID, error) {
	id, err := h.fleet.Find(c.Request().Context(), c.Param("uuid"))
	var wrong *fleet.NameError
	if errors.As(err, &wrong) {
		return uuid.Nil, fieldProblem(serverapi.FieldProblem{Field: "uuid", Message: wrong.Error()})
	}
	return id, err
}

// noDevice returns the answer to operators for a device that is not registered.
func noDevice() error { return newProblem(http.StatusNotFound, "There is no such device") }
