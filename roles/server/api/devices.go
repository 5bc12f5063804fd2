package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// listDevices lists devices.
//
//	@Summary		List devices
//	@Description	In the order of their registration, without what they reported. A page may have fewer devices than limit,
//	@Description	or none, and a next all the same, where a filter passes over many.
//	@Tags			devices
//	@ID				list-devices
//	@Param			selector	query		string					false	"Terms over labels, such as site=berlin,stage!=test"
//	@Param			state		query		string					false	"One state"	Enums(new,in-sync,behind,refused,failed,drifted,pending,revoked)
//	@Param			silent		query		bool					false	"Only those that were not seen for three poll intervals, or only the others"
//	@Param			cloned		query		bool					false	"Only those as which two machines report, or only the others"
//	@Param			q			query		string					false	"A part of the UUID, address, architecture or a label"
//	@Param			limit		query		int						false	"How many at most, up to 1000"	default(100)
//	@Param			after		query		string					false	"Where to go on: next of the page before"
//	@Success		200			{object}	serverapi.DevicePage	"The devices"
//	@Failure		401			{object}	serverapi.Problem		"A token of an operator is needed"
//	@Failure		422			{object}	serverapi.Problem		"A parameter is not as it must be"
//	@Failure		503			{object}	serverapi.Problem		"The server cannot read it; Retry-After says when to try again"
//	@Router			/devices/ [get]
func (h *handlers) listDevices(c echo.Context) error {
	q := query{c: c}
	filter := fleet.Filter{Selector: q.selector(), State: q.state(), Silent: q.flag("silent"), Cloned: q.flag("cloned"),
		Match: Match(q.text("q"))}
	limit, after := q.limit(), q.text("after")
	if err := q.done(); err != nil {
		return err
	}
	list, next, err := h.fleet.Devices(c.Request().Context(), filter, after, limit)
	if err != nil {
		return err
	}
	page := serverapi.DevicePage{Devices: []serverapi.Device{}, Next: next}
	for _, view := range list {
		page.Devices = append(page.Devices, wire.Device(view))
	}
	return answerJSON(c, page)
}

// Match returns the filter for devices that have a text in their UUID, address, architecture or labels ("name=value"). It
// ignores case. It returns nil for no text.
func Match(text string) func(fleet.Device) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	return func(device fleet.Device) bool {
		if strings.Contains(device.ID.String(), text) || strings.Contains(strings.ToLower(device.IPAddress), text) ||
			strings.Contains(strings.ToLower(device.Arch), text) {
			return true
		}
		for name, value := range device.Labels {
			if strings.Contains(strings.ToLower(name+"="+value), text) {
				return true
			}
		}
		return false
	}
}

// getDevice shows a device.
//
//	@Summary		Show a device
//	@Description	Its state, what it is to have and what it runs, what it reported, and the paths of values in that that
//	@Description	contradict its target.
//	@Tags			devices
//	@ID				get-device
//	@Param			uuid	path		string				true	"UUID that registration gave"	format(uuid)
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		422		{object}	serverapi.Problem	"That is no UUID"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot read it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/ [get]
func (h *handlers) getDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) { return h.fleet.Device(c.Request().Context(), id) })
}

// answerDevice answers with the device that a function returns for the UUID in the path.
func (h *handlers) answerDevice(c echo.Context, of func(uuid.UUID) (fleet.View, error)) error {
	id, err := deviceOf(c)
	if err != nil {
		return err
	}
	view, err := of(id)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return noDevice()
	}
	if err != nil {
		return err
	}
	shape, err := wire.WholeDevice(view)
	if err != nil {
		return err
	}
	return answerJSON(c, shape)
}

// deleteDevice removes a device.
//
//	@Summary		Forget a device
//	@Description	With what it reported, its statistics and its layer. When it polls again, it is told to register. The key of
//	@Description	a revoked device stays revoked: GET /revoked-keys/ has it, and DELETE /revoked-keys/KEY/ allows it.
//	@Tags			devices
//	@ID				delete-device
//	@Param			uuid	path	string	true	"UUID that registration gave"	format(uuid)
//	@Success		204		"It is forgotten"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"The device is revoked, and the server remembers as many revoked keys as it may"
//	@Failure		422		{object}	serverapi.Problem	"That is no UUID"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/ [delete]
func (h *handlers) deleteDevice(c echo.Context) error {
	return h.withoutAnswer(c, func(ctx context.Context, id uuid.UUID) error {
		err := h.fleet.Remove(ctx, id, author(c))
		if err == nil && h.gate != nil {
			h.gate.Forget(id)
		}
		return err
	})
}

// patchLabels changes a device's labels.
//
//	@Summary		Change a device's labels
//	@Description	By a merge patch (RFC 7396): names with their values, null takes a label away, and what is not named stays.
//	@Tags			devices
//	@ID				patch-labels
//	@Param			uuid	path		string				true	"UUID that registration gave"	format(uuid)
//	@Param			body	body		LabelsPatch			true	"What is to change"
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is not as it must be; errors names the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/labels/ [patch]
func (h *handlers) patchLabels(c echo.Context) error {
	text, err := h.readBody(c)
	if err != nil {
		return err
	}
	members, names, err := parseObject(text)
	if err != nil {
		return err
	}
	patch := LabelsPatch{}
	for _, name := range names {
		var value *string
		if err := json.Unmarshal(members[name], &value); err != nil {
			return fieldProblem(serverapi.FieldProblem{Field: "labels." + name,
				Message: "must be a string, or null, not " + kindOf(members[name])})
		}
		patch[name] = value
	}
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetLabels(c.Request().Context(), id, patch, author(c))
	})
}

// LabelsPatch is the body of PATCH /devices/{uuid}/labels/.
type LabelsPatch map[string]*string

// approveDevice lets a device poll.
//
//	@Summary		Approve a device
//	@Description	Lets a device poll that is pending, or was revoked.
//	@Tags			devices
//	@ID				approve-device
//	@Param			uuid	path		string				true	"UUID that registration gave"	format(uuid)
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		422		{object}	serverapi.Problem	"That is no UUID"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/approve/ [post]
func (h *handlers) approveDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetStatus(c.Request().Context(), id, fleet.Active)
	})
}

// revokeDevice revokes a device.
//
//	@Summary		Revoke a device
//	@Description	Its polls are refused from now on, until it is approved again. It goes on with what it runs.
//	@Tags			devices
//	@ID				revoke-device
//	@Param			uuid	path		string				true	"UUID that registration gave"	format(uuid)
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		422		{object}	serverapi.Problem	"That is no UUID"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/revoke/ [post]
func (h *handlers) revokeDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetStatus(c.Request().Context(), id, fleet.Revoked)
	})
}

// deleteCloned removes the mark "cloned" from a device.
//
//	@Summary		Say that one machine alone is the device
//	@Description	Takes away the mark of two machines, which would pass by itself when one has been alone for ten poll
//	@Description	intervals. Where two are noticed anew, it comes back.
//	@Tags			devices
//	@ID				delete-cloned
//	@Param			uuid	path	string	true	"UUID that registration gave"	format(uuid)
//	@Success		204		"There is no mark"
//	@Failure		401		{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		422		{object}	serverapi.Problem	"That is no UUID"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/cloned/ [delete]
func (h *handlers) deleteCloned(c echo.Context) error {
	return h.withoutAnswer(c, h.fleet.SetAlone)
}

// withoutAnswer calls a function for the device in the path, and answers 204.
func (h *handlers) withoutAnswer(c echo.Context, do func(context.Context, uuid.UUID) error) error {
	id, err := deviceOf(c)
	if err != nil {
		return err
	}
	err = do(c.Request().Context(), id)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return noDevice()
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// getDeviceTarget shows a device's target.
//
//	@Summary		Show a device's target
//	@Description	All layers that concern it, merged. With explain=true it tells for each value which layer has set it.
//	@Tags			devices
//	@ID				get-device-target
//	@Param			uuid	path		string					true	"UUID that registration gave"	format(uuid)
//	@Param			explain	query		bool					false	"Tell where each value comes from"
//	@Success		200		{object}	serverapi.DeviceTarget	"The target"
//	@Failure		401		{object}	serverapi.Problem		"A token of an operator is needed"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is not as it must be"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/target/ [get]
func (h *handlers) getDeviceTarget(c echo.Context) error {
	q := query{c: c}
	id, explain := q.device(), q.flag("explain")
	if err := q.done(); err != nil {
		return err
	}
	view, err := h.fleet.Device(c.Request().Context(), id)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return noDevice()
	}
	if err != nil {
		return err
	}
	shape, err := wire.DeviceTarget(view.Target, explain != nil && *explain)
	if err != nil {
		return err
	}
	return answerJSON(c, shape)
}

// getStats shows a device's statistics.
//
//	@Summary		Show a device's statistics
//	@Description	As it reported them, at times of the server's clock. They are kept for a while, the older the sparser.
//	@Tags			devices
//	@ID				get-stats
//	@Param			uuid	path		string					true	"UUID that registration gave"	format(uuid)
//	@Param			since	query		int						false	"Seconds since 1970; default: all that is kept"
//	@Param			step	query		int						false	"Seconds between points at the least"
//	@Success		200		{object}	serverapi.DeviceStats	"The statistics, the oldest first"
//	@Failure		401		{object}	serverapi.Problem		"A token of an operator is needed"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is not as it must be"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read it; Retry-After says when to try again"
//	@Router			/devices/{uuid}/stats/ [get]
func (h *handlers) getStats(c echo.Context) error {
	const longestStep int64 = 1 << 31 // seconds
	q := query{c: c}
	id, since, step := q.device(), q.number("since", 0), q.number("step", 0)
	if step > longestStep {
		q.complain("step", "must not be larger than %d", longestStep)
	}
	if err := q.done(); err != nil {
		return err
	}
	points, taken, err := h.fleet.Stats(c.Request().Context(), id, time.Unix(since, 0), time.Duration(step)*time.Second)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return noDevice()
	}
	if err != nil {
		return err
	}
	shape, err := wire.Stats(points, taken)
	if err != nil {
		return err
	}
	return answerJSON(c, shape)
}
