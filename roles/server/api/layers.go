package api

import (
	"errors"
	"net/http"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// mostPreviewed is the number of devices whose changes a dry run lists.
const mostPreviewed = 20

// listTargets lists all layers.
//
//	@Summary		List the layers
//	@Description	Layers come in the order in which they are merged: everyone, layers of labels by priority and name, then
//	@Description	layers of single devices. Only layers of single devices are paged. Revision is the last change of any
//	@Description	layer.
//	@Tags			target
//	@ID				list-targets
//	@Param			limit	query		int					false	"Most layers of devices in the answer, up to 1000"	default(100)
//	@Param			after	query		string				false	"next of the previous page; the answer then has layers of devices only"
//	@Success		200		{object}	serverapi.Targets	"The layers"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		422		{object}	serverapi.Problem	"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/targets/ [get]
func (h *handlers) listTargets(c echo.Context) error {
	q := query{c: c}
	limit, after := q.limit(), q.text("after")
	if err := q.done(); err != nil {
		return err
	}
	layers, _, err := h.fleet.Targets()
	if err != nil {
		return err
	}
	revision, err := h.fleet.LastChange(c.Request().Context())
	if err != nil {
		return err
	}
	if after != "" {
		layers = nil
	}
	own, next, err := h.fleet.DeviceLayers(c.Request().Context(), after, limit)
	if err != nil {
		return err
	}
	var devices []uuid.UUID
	for _, layer := range own {
		devices = append(devices, layer.Name.Device())
	}
	names, err := h.fleet.NamesOf(c.Request().Context(), devices)
	if err != nil {
		return err
	}
	list := serverapi.Targets{Revision: revision, Layers: []serverapi.Layer{}, Next: next}
	for _, layer := range append(layers, own...) {
		shape, err := wire.Layer(layer)
		if err != nil {
			return err
		}
		shape.Device = names[layer.Name.Device()]
		list.Layers = append(list.Layers, shape)
	}
	return answerJSON(c, list)
}

// getEveryone shows the layer of everyone.
//
//	@Summary	Show the layer of everyone
//	@Tags		target
//	@ID			get-everyone
//	@Param		If-None-Match	header		string			false	"The ETag that the caller has"
//	@Success	200				{object}	serverapi.Layer	"The layer; empty and of revision 0 if it was never set"
//	@Success	304				"The caller has this revision"
//	@Failure	401				{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	503				{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router		/targets/everyone/ [get]
func (h *handlers) getEveryone(c echo.Context) error { return h.showLayer(c, fleet.Everyone) }

// putEveryone replaces the layer of everyone.
//
//	@Summary		Set the layer of everyone
//	@Description	The server checks the layer against the confdb-schema first. With dry-run it changes nothing, and
//	@Description	answers what would change. With release, devices get the change in stages.
//	@Tags			target
//	@ID				put-everyone
//	@Param			If-Match		header		string					false	"Change the layer only if it has this ETag"
//	@Param			If-None-Match	header		string					false	"*: only if it was never set"
//	@Param			dry-run			query		bool					false	"Change nothing, and answer what would change"
//	@Param			body			body		serverapi.LayerRequest	true	"The layer, without selector and priority"
//	@Success		200				{object}	serverapi.Layer			"The layer as it is stored; after a dry run a DryRun"
//	@Failure		401				{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403				{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		409				{object}	serverapi.Problem		"A release is active: one in stages at a time, and none of its layers meanwhile"
//	@Failure		412				{object}	serverapi.Problem		"The layer has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem		"The body is too large"
//	@Failure		415				{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem		"The body is invalid, or the confdb-schema refuses the target"
//	@Failure		503				{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/targets/everyone/ [put]
func (h *handlers) putEveryone(c echo.Context) error { return h.putLayer(c, fleet.Everyone) }

// deleteEveryone removes the layer of everyone.
//
//	@Summary	Remove the layer of everyone
//	@Tags		target
//	@ID			delete-everyone
//	@Param		If-Match	header		string				false	"Change the layer only if it has this ETag"
//	@Param		dry-run		query		bool				false	"Change nothing, and answer what would change"
//	@Success	200			{object}	serverapi.DryRun	"After a dry run: what would change"
//	@Success	204			"The layer is removed"
//	@Failure	401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	403			{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure	404			{object}	serverapi.Problem	"There is no such layer"
//	@Failure	409			{object}	serverapi.Problem	"The active release changes this layer"
//	@Failure	412			{object}	serverapi.Problem	"The layer has another revision than If-Match names"
//	@Failure	503			{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router		/targets/everyone/ [delete]
func (h *handlers) deleteEveryone(c echo.Context) error { return h.deleteLayer(c, fleet.Everyone) }

// getLabelLayer shows a layer of labels.
//
//	@Summary	Show a layer of labels
//	@Tags		target
//	@ID			get-label-layer
//	@Param		name			path		string			true	"The layer's name"
//	@Param		If-None-Match	header		string			false	"The ETag that the caller has"
//	@Success	200				{object}	serverapi.Layer	"The layer"
//	@Success	304				"The caller has this revision"
//	@Failure	401				{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	404				{object}	serverapi.Problem	"There is no such layer"
//	@Failure	422				{object}	serverapi.Problem	"Not a name of a layer"
//	@Failure	503				{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router		/targets/labels/{name}/ [get]
func (h *handlers) getLabelLayer(c echo.Context) error {
	name, err := labelLayer(c)
	if err != nil {
		return err
	}
	return h.showLayer(c, name)
}

// putLabelLayer makes or replaces a layer of labels.
//
//	@Summary		Set a layer of labels
//	@Description	The layer is for the devices that its selector matches: terms such as site=berlin, stage!=test, canary,
//	@Description	!old, separated by commas, all of which have to hold. Layers of higher priority are merged later and
//	@Description	override the others. With dry-run the server changes nothing, and answers what would change.
//	@Tags			target
//	@ID				put-label-layer
//	@Param			name			path		string					true	"The layer's name: letters, digits, and ._- between them"
//	@Param			If-Match		header		string					false	"Change the layer only if it has this ETag"
//	@Param			If-None-Match	header		string					false	"*: only if there is no layer of this name"
//	@Param			dry-run			query		bool					false	"Change nothing, and answer what would change"
//	@Param			body			body		serverapi.LayerRequest	true	"The layer"
//	@Success		200				{object}	serverapi.Layer			"The layer as it is stored; after a dry run a DryRun"
//	@Failure		401				{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403				{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		409				{object}	serverapi.Problem		"A release is active: one in stages at a time, and none of its layers meanwhile"
//	@Failure		412				{object}	serverapi.Problem		"The layer has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem		"The body is too large"
//	@Failure		415				{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem		"The body is invalid, or the confdb-schema refuses the target"
//	@Failure		503				{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/targets/labels/{name}/ [put]
func (h *handlers) putLabelLayer(c echo.Context) error {
	name, err := labelLayer(c)
	if err != nil {
		return err
	}
	return h.putLayer(c, name)
}

// deleteLabelLayer removes a layer of labels.
//
//	@Summary	Remove a layer of labels
//	@Tags		target
//	@ID			delete-label-layer
//	@Param		name		path		string				true	"The layer's name"
//	@Param		If-Match	header		string				false	"Change the layer only if it has this ETag"
//	@Param		dry-run		query		bool				false	"Change nothing, and answer what would change"
//	@Success	200			{object}	serverapi.DryRun	"After a dry run: what would change"
//	@Success	204			"The layer is removed"
//	@Failure	401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	403			{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure	404			{object}	serverapi.Problem	"There is no such layer"
//	@Failure	409			{object}	serverapi.Problem	"The active release changes this layer"
//	@Failure	412			{object}	serverapi.Problem	"The layer has another revision than If-Match names"
//	@Failure	422			{object}	serverapi.Problem	"Not a name of a layer"
//	@Failure	503			{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router		/targets/labels/{name}/ [delete]
func (h *handlers) deleteLabelLayer(c echo.Context) error {
	name, err := labelLayer(c)
	if err != nil {
		return err
	}
	return h.deleteLayer(c, name)
}

// getDeviceLayer shows a device's own layer.
//
//	@Summary	Show a device's own layer
//	@Tags		target
//	@ID			get-device-layer
//	@Param		uuid			path		string			true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param		If-None-Match	header		string			false	"The ETag that the caller has"
//	@Success	200				{object}	serverapi.Layer	"The layer"
//	@Success	304				"The caller has this revision"
//	@Failure	401				{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	404				{object}	serverapi.Problem	"There is no such layer"
//	@Failure	409				{object}	serverapi.Problem	"Several UUIDs begin so; the detail names them"
//	@Failure	422				{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure	503				{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router		/targets/devices/{uuid}/ [get]
func (h *handlers) getDeviceLayer(c echo.Context) error {
	id, err := h.device(c)
	if err != nil {
		return err
	}
	return h.showLayer(c, fleet.DeviceLayer(id))
}

// putDeviceLayer makes or replaces a device's own layer.
//
//	@Summary		Set a device's own layer
//	@Description	The server checks the layer against the confdb-schema, together with the device's last report.
//	@Tags			target
//	@ID				put-device-layer
//	@Param			uuid			path		string					true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param			If-Match		header		string					false	"Change the layer only if it has this ETag"
//	@Param			If-None-Match	header		string					false	"*: only if the device has no layer"
//	@Param			dry-run			query		bool					false	"Change nothing, and answer what would change"
//	@Param			body			body		serverapi.LayerRequest	true	"The layer, without selector and priority"
//	@Success		200				{object}	serverapi.Layer			"The layer as it is stored; after a dry run a DryRun"
//	@Failure		401				{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403				{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404				{object}	serverapi.Problem		"There is no such device"
//	@Failure		409				{object}	serverapi.Problem		"A release is active: one in stages at a time, and none of its layers meanwhile; or several UUIDs begin so"
//	@Failure		412				{object}	serverapi.Problem		"The layer has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem		"The body is too large"
//	@Failure		415				{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem		"The body is invalid, or the confdb-schema refuses the target"
//	@Failure		503				{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/targets/devices/{uuid}/ [put]
func (h *handlers) putDeviceLayer(c echo.Context) error {
	id, err := h.device(c)
	if err != nil {
		return err
	}
	return h.putLayer(c, fleet.DeviceLayer(id))
}

// deleteDeviceLayer removes a device's own layer.
//
//	@Summary	Remove a device's own layer
//	@Tags		target
//	@ID			delete-device-layer
//	@Param		uuid		path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Param		If-Match	header		string				false	"Change the layer only if it has this ETag"
//	@Param		dry-run		query		bool				false	"Change nothing, and answer what would change"
//	@Success	200			{object}	serverapi.DryRun	"After a dry run: what would change"
//	@Success	204			"The layer is removed"
//	@Failure	401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	403			{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure	404			{object}	serverapi.Problem	"There is no such layer"
//	@Failure	409			{object}	serverapi.Problem	"The active release changes this layer; or several UUIDs begin so"
//	@Failure	412			{object}	serverapi.Problem	"The layer has another revision than If-Match names"
//	@Failure	422			{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure	503			{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router		/targets/devices/{uuid}/ [delete]
func (h *handlers) deleteDeviceLayer(c echo.Context) error {
	id, err := h.device(c)
	if err != nil {
		return err
	}
	return h.deleteLayer(c, fleet.DeviceLayer(id))
}

func labelLayer(c echo.Context) (fleet.LayerName, error) {
	name, err := fleet.LabelLayer(c.Param("name"))
	if err != nil {
		return "", fieldProblem(serverapi.FieldProblem{Field: "name", Message: "cannot be used: " + err.Error()})
	}
	return name, nil
}

func (h *handlers) showLayer(c echo.Context, name fleet.LayerName) error {
	layer, err := h.fleet.Layer(c.Request().Context(), name)
	if err != nil {
		return err
	}
	if unchanged(c, layer.Revision) {
		setTag(c, layer.Revision)
		return c.NoContent(http.StatusNotModified)
	}
	return answerLayer(c, layer)
}

func answerLayer(c echo.Context, layer fleet.Layer) error {
	shape, err := wire.Layer(layer)
	if err != nil {
		return err
	}
	setTag(c, layer.Revision)
	return answerJSON(c, shape)
}

func (h *handlers) putLayer(c echo.Context, name fleet.LayerName) error {
	change := fleet.Change{Layer: fleet.Layer{Name: name}, Within: within(c)}
	var staged planned
	err := h.decode(c,
		field{name: "selector", read: selector(&change.Selector), optional: true},
		field{name: "priority", read: integer(&change.Priority, -1<<31), optional: true},
		field{name: "config", read: configuration(&change.Config)},
		staged.field(),
	)
	if err != nil {
		return err
	}
	plan, err := staged.plan(h.fleet)
	if err != nil {
		return err
	}
	if dry, err := h.dryRun(c, change, plan); dry || err != nil {
		return err
	}
	layer, release, err := h.change(c, change, plan)
	if err != nil {
		return err
	}
	shape, err := wire.Layer(layer)
	if err != nil {
		return err
	}
	shape.Release = release
	return answerJSON(c, shape)
}

func (h *handlers) deleteLayer(c echo.Context, name fleet.LayerName) error {
	change := fleet.Change{Layer: fleet.Layer{Name: name}, Remove: true, Within: within(c)}
	if dry, err := h.dryRun(c, change, nil); dry || err != nil {
		return err
	}
	if _, _, err := h.change(c, change, nil); err != nil {
		return err
	}
	c.Response().Header().Del("ETag")
	return c.NoContent(http.StatusNoContent)
}

// change makes a change with the caller as author, under the conditions of the request; in stages if plan is not nil.
// It sets the ETag of the answer. It returns the ID of the release; 0 for none.
func (h *handlers) change(c echo.Context, change fleet.Change, plan *release.Plan) (fleet.Layer, int64, error) {
	change.By = author(c)
	for {
		if err := h.condition(c, &change); err != nil {
			return fleet.Layer{}, 0, err
		}
		layers, release, err := h.begin(c, fleet.Batch{Changes: []fleet.Change{change}}, plan)
		switch {
		case errors.Is(err, fleet.ErrStale):
			continue // another change was first: check the conditions again
		case errors.Is(err, fleet.ErrUnknownDevice):
			return fleet.Layer{}, 0, noDevice()
		case err != nil:
			return fleet.Layer{}, 0, err
		}
		setTag(c, layers[0].Revision)
		return layers[0], release, nil
	}
}

// dryRun answers what a change would do if the request asks for a dry run; in stages if plan is not nil. dry reports
// whether it has answered.
func (h *handlers) dryRun(c echo.Context, change fleet.Change, plan *release.Plan) (dry bool, err error) {
	q := query{c: c}
	wanted := q.flag("dry-run")
	if err := q.done(); err != nil || wanted == nil || !*wanted {
		return false, err
	}
	if err := h.condition(c, &change); err != nil {
		return true, err
	}
	preview, err := h.fleet.DryRun(c.Request().Context(), change, plan, mostPreviewed)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		err = noDevice()
	}
	if err != nil {
		return true, err
	}
	shape := dryRun(preview)
	if plan != nil {
		shape.Stages = wire.PlannedStages(*plan, preview.Stages)
	}
	return true, answerJSON(c, shape)
}

func dryRun(preview fleet.Preview) serverapi.DryRun {
	shape := serverapi.DryRun{Devices: preview.Devices, Changes: []serverapi.DeviceChange{}}
	for _, device := range preview.Changes {
		shape.Changes = append(shape.Changes, serverapi.DeviceChange{UUID: device.ID, Name: device.Name, Changes: wire.Changes(device.Changes)})
	}
	return shape
}
