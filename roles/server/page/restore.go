package page

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// restoring returns the confirmation of a restore. missing reports that there is no such revision.
func (p *Page) restoring(c echo.Context) (data confirmation, revision int64, missing bool, err error) {
	revision, err = strconv.ParseInt(c.Param("revision"), 10, 64)
	if err != nil || revision < 1 {
		return data, 0, true, nil
	}
	entry, err := p.fleet.Entry(c.Request().Context(), revision)
	if errors.Is(err, fleet.ErrUnknownEntry) {
		return data, 0, true, nil
	}
	if err != nil {
		return data, 0, false, err
	}
	data = confirmation{common: p.common(c, fmt.Sprintf("Restore revision %d", revision), "history"), Button: "Restore", Back: "../../"}
	switch {
	case entry.Layer == fleet.SignatureName:
		data.Refused = "A statement cannot be restored: an operator has to sign what is to be from now on."
		return data, revision, false, nil
	case entry.Layer.IsRelease():
		data.Refused = "A release is no layer: restore a revision of a layer that it changed."
		return data, revision, false, nil
	case entry.Layer.IsSecret():
		data.Refused = "The history keeps no secrets: set the secret again."
		return data, revision, false, nil
	case entry.Action == fleet.Relabeled:
		data.Says = []string{fmt.Sprintf("The device %s gets the labels that it had after revision %d, under a new revision:", entry.Layer.Device(), revision)}
		data.Says = append(data.Says, labelList(entry.Labels)...)
	case entry.Action == fleet.Renamed:
		data.Says = []string{fmt.Sprintf("The device %s gets the name that it had after revision %d, under a new revision: %s.", entry.Layer.Device(),
			revision, cmp.Or(entry.Name, "none"))}
	case entry.After == nil:
		data.Says = []string{fmt.Sprintf("The layer %s is removed, as revision %d had removed it.", entry.Layer, revision)}
	default:
		data.Says = []string{fmt.Sprintf("The layer %s gets what it had after revision %d, under a new revision.", entry.Layer, revision)}
	}
	if !may(c, rightFor(entry.Layer)) {
		data.Refused = notAllowed
		return data, revision, false, nil
	}
	if entry.Action == fleet.Relabeled || entry.Action == fleet.Renamed {
		return data, revision, false, nil
	}
	planned, err := p.fleet.PlanRestore(c.Request().Context(), revision, 1, within(c))
	if err != nil {
		problem, _, other := refusalOf(c, only(err))
		data.Problem, data.Refused = problem, "There is nothing to do."
		return data, revision, false, other
	}
	if planned.Conflict != nil {
		problem, _, other := refusalOf(c, planned.Conflict)
		data.Problem, data.Refused = problem, "Restore it when the release has ended."
		return data, revision, false, other
	}
	data.Plan = planOf(planned)
	return data, revision, false, nil
}

func (p *Page) askRestore(c echo.Context) error {
	return p.ofRevision(c, func(data confirmation, _ int64) error { return p.confirm(c, http.StatusOK, data) })
}

func (p *Page) restore(c echo.Context) error {
	return p.ofRevision(c, func(data confirmation, revision int64) error {
		if _, err := p.fleet.Restore(c.Request().Context(), revision, author(c), within(c)); err != nil {
			return p.refused(c, err, data)
		}
		return seeOther(c, "../../?done=restore")
	})
}

// ofRevision calls handle with the confirmation of a restore. If there is no such revision, it answers with a page that
// says so.
func (p *Page) ofRevision(c echo.Context, handle func(data confirmation, revision int64) error) error {
	data, revision, missing, err := p.restoring(c)
	switch {
	case err != nil:
		return err
	case missing:
		return p.problem(c, rootOf(c), fmt.Sprintf("The history has no revision %q.", c.Param("revision")))
	}
	return handle(data, revision)
}
