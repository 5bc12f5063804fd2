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
//	@Description	Devices come in the order of their registration, without their reports. The answer may have fewer
//	@Description	devices than limit. If it has a next, there may be more.
//	@Tags			devices
//	@ID				list-devices
//	@Param			selector	query		string					false	"Terms over labels, such as site=berlin,stage!=test"
//	@Param			state		query		string					false	"One state"	Enums(new,in-sync,behind,refused,failed,drifted,pending,revoked)
//	@Param			silent		query		bool					false	"true: only devices not seen for three poll intervals; false: only the others"
//	@Param			cloned		query		bool					false	"true: only devices as which two machines report; false: only the others"
//	@Param			name		query		string					false	"Only the device with this name"
//	@Param			q			query		string					false	"Part of the UUID, the name, the address, the architecture or a label"
//	@Param			limit		query		int						false	"Most devices in the answer, up to 1000"	default(100)
//	@Param			after		query		string					false	"next of the previous page"
//	@Success		200			{object}	serverapi.DevicePage	"The devices"
//	@Failure		401			{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		422			{object}	serverapi.Problem		"A parameter is invalid"
//	@Failure		503			{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/devices/ [get]
func (h *handlers) listDevices(c echo.Context) error {
	q := query{c: c}
	filter := fleet.Filter{Selector: q.selector(), State: q.state(), Silent: q.flag("silent"), Cloned: q.flag("cloned"),
		Name: strings.ToLower(q.text("name")), Match: Match(q.text("q"))}
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

// Match returns a filter for devices with a text in their UUID, name, address, architecture or labels ("name=value").
// It ignores case. For "" it returns nil.
func Match(text string) func(fleet.Device) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	return func(device fleet.Device) bool {
		if strings.Contains(device.ID.String(), text) || strings.Contains(device.Name, text) ||
			strings.Contains(strings.ToLower(device.IPAddress), text) || strings.Contains(strings.ToLower(device.Arch), text) {
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
//	@Description	The answer has the device's state, its target, what it runs, its last report, and the paths of reported
//	@Description	values that contradict the target.
//	@Tags			devices
//	@ID				get-device
//	@Param			uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/ [get]
func (h *handlers) getDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) { return h.fleet.Device(c.Request().Context(), id) })
}

// answerDevice answers with the device that of returns for the UUID in the path.
func (h *handlers) answerDevice(c echo.Context, of func(uuid.UUID) (fleet.View, error)) error {
	id, err := h.device(c)
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
//	@Summary		Delete a device
//	@Description	Deletes the device with its report, its statistics and its layer. If it polls again, the server answers
//	@Description	that it has to register. The key of a revoked device stays revoked: GET /revoked-keys/ lists it, and
//	@Description	DELETE /revoked-keys/KEY/ allows it.
//	@Tags			devices
//	@ID				delete-device
//	@Param			uuid	path	string	true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		204		"The device is deleted"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"The device is revoked, and the server's list of revoked keys is full; or several UUIDs begin so"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
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
//	@Description	The body is a merge patch (RFC 7396): a value sets a label, null removes it, and other labels stay.
//	@Tags			devices
//	@ID				patch-labels
//	@Param			uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param			body	body		LabelsPatch			true	"The labels to change"
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/labels/ [patch]
func (h *handlers) patchLabels(c echo.Context) error {
	text, err := h.readBody(c)
	if err != nil {
		return err
	}
	members, err := parseObject(text)
	if err != nil {
		return err
	}
	patch := LabelsPatch{}
	for _, member := range members {
		var value *string
		if err := json.Unmarshal(member.value, &value); err != nil {
			return fieldProblem(serverapi.FieldProblem{Field: "labels." + member.name,
				Message: "must be a string, or null, not " + kindOf(member.value)})
		}
		patch[member.name] = value
	}
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetLabels(c.Request().Context(), id, patch, author(c), within(c))
	})
}

// LabelsPatch is the body of PATCH /devices/{uuid}/labels/.
type LabelsPatch map[string]*string

// putName gives a device a name.
//
//	@Summary		Give a device a name
//	@Description	The name stands for the device wherever the API of operators takes a UUID. It has lower-case letters, digits,
//	@Description	and ._- between them, 63 characters at most; one of them is a letter from g to z, a dot or an underscore, so
//	@Description	that no name looks like the beginning of a UUID. The history has the change, and restoring an earlier one
//	@Description	gives the device its earlier name back.
//	@Tags			devices
//	@ID				put-name
//	@Param			uuid	path		string					true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param			body	body		serverapi.NameRequest	true	"The name"
//	@Success		200		{object}	serverapi.Device		"The device"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		409		{object}	serverapi.Problem		"Another device has the name; or several UUIDs begin so. The detail names the devices"
//	@Failure		413		{object}	serverapi.Problem		"The body is too large"
//	@Failure		415		{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem		"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/name/ [put]
func (h *handlers) putName(c echo.Context) error {
	var name string
	if err := h.decode(c, field{name: "name", read: text(&name, 1000)}); err != nil {
		return err
	}
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetName(c.Request().Context(), id, name, author(c))
	})
}

// deleteName removes a device's name.
//
//	@Summary	Take a device's name away
//	@Tags		devices
//	@ID			delete-name
//	@Param		uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success	200		{object}	serverapi.Device	"The device, which has no name"
//	@Failure	401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure	404		{object}	serverapi.Problem	"There is no such device"
//	@Failure	409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure	422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure	503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router		/devices/{uuid}/name/ [delete]
func (h *handlers) deleteName(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetName(c.Request().Context(), id, "", author(c))
	})
}

// approveDevice approves a device.
//
//	@Summary		Approve a device
//	@Description	A pending or revoked device may poll from now on.
//	@Tags			devices
//	@ID				approve-device
//	@Param			uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/approve/ [post]
func (h *handlers) approveDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetStatus(c.Request().Context(), id, fleet.Active, within(c))
	})
}

// revokeDevice revokes a device.
//
//	@Summary		Revoke a device
//	@Description	The server refuses the device's polls until it is approved again. The device keeps the configuration
//	@Description	that it runs.
//	@Tags			devices
//	@ID				revoke-device
//	@Param			uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		200		{object}	serverapi.Device	"The device"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/revoke/ [post]
func (h *handlers) revokeDevice(c echo.Context) error {
	return h.answerDevice(c, func(id uuid.UUID) (fleet.View, error) {
		return h.fleet.SetStatus(c.Request().Context(), id, fleet.Revoked, within(c))
	})
}

// deleteCloned removes the mark "cloned" from a device.
//
//	@Summary		Remove the mark of two machines
//	@Description	Removes the mark that two machines report as this device. Without this request the mark ends when one
//	@Description	machine has been alone for ten poll intervals. It comes back if two machines report again.
//	@Tags			devices
//	@ID				delete-cloned
//	@Param			uuid	path	string	true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		204		"There is no mark"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such device"
//	@Failure		409		{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/cloned/ [delete]
func (h *handlers) deleteCloned(c echo.Context) error {
	return h.withoutAnswer(c, func(ctx context.Context, id uuid.UUID) error { return h.fleet.SetAlone(ctx, id, within(c)) })
}

// withoutAnswer calls do for the device in the path, and answers 204.
func (h *handlers) withoutAnswer(c echo.Context, do func(context.Context, uuid.UUID) error) error {
	id, err := h.device(c)
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
//	@Description	The target is all layers of the device, merged. With explain=true the answer has the layer that set each
//	@Description	value.
//	@Tags			devices
//	@ID				get-device-target
//	@Param			uuid	path		string					true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param			explain	query		bool					false	"Include the layer that set each value"
//	@Success		200		{object}	serverapi.DeviceTarget	"The target"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		409		{object}	serverapi.Problem		"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/target/ [get]
func (h *handlers) getDeviceTarget(c echo.Context) error {
	q := query{c: c}
	explain := q.flag("explain")
	if err := q.done(); err != nil {
		return err
	}
	id, err := h.device(c)
	if err != nil {
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
//	@Description	Points have the times of the server's clock. Older points are kept in larger steps, and the oldest are
//	@Description	deleted.
//	@Tags			devices
//	@ID				get-stats
//	@Param			uuid	path		string					true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param			since	query		int						false	"Only points after this time, in seconds since 1970; default: all"
//	@Param			step	query		int						false	"Least number of seconds between points"
//	@Success		200		{object}	serverapi.DeviceStats	"The statistics, the oldest first"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		409		{object}	serverapi.Problem		"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/devices/{uuid}/stats/ [get]
func (h *handlers) getStats(c echo.Context) error {
	const longestStep int64 = 1 << 31 // seconds
	q := query{c: c}
	since, step := q.number("since", 0), q.number("step", 0)
	if step > longestStep {
		q.complain("step", "must not be larger than %d", longestStep)
	}
	if err := q.done(); err != nil {
		return err
	}
	id, err := h.device(c)
	if err != nil {
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
