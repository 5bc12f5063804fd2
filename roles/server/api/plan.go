package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// mostMembers is the number of devices in each group of a plan.
const mostMembers = 5

// fullDevices is the number of the fleet's devices in one page of a full plan.
const fullDevices = 10_000

// mostFaults is the largest number of a batch's faults in an answer.
const mostFaults = 100

// changeTargets sets and removes several layers.
//
//	@Summary		Set and remove several layers at once
//	@Description	All changes happen together, or none. A change names a layer as the list of layers does: everyone,
//	@Description	labels/NAME or devices/UUID. With a revision the layer must have it; 0: there must be no such layer. With
//	@Description	a revision of the whole, nothing in the fleet may have drawn a revision since: no layer, no label, no
//	@Description	named secret. With dry-run the server changes nothing, and answers the plan: what would become of each
//	@Description	layer, and what the devices would do whose target would change, in groups with the same changes. The
//	@Description	confdb-schema decides on top of what each device reports. With full the plan is of the first 10,000 devices and
//	@Description	names all of them that are concerned; "next" is the value of "after" for the others. With release, devices get
//	@Description	the changes in stages. A plan that an active release would refuse has the reason as "conflict".
//	@Description	Every role may send a dry run; one that may not set the layers has to leave secrets as they are.
//	@Tags			target
//	@ID				change-targets
//	@Param			dry-run	query		bool				false	"Change nothing, and answer the plan"
//	@Param			full	query		bool				false	"Name all devices of each group, and not only the first; with dry-run"
//	@Param			after	query		string				false	"Begin after the place that next of the page before names; with full"
//	@Param			body	body		serverapi.Batch		true	"The changes"
//	@Success		200		{object}	serverapi.Targets	"The layers that were set, as they are stored; after a dry run a Plan"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		409		{object}	serverapi.Problem	"A release is active: one in stages at a time, and none of its layers meanwhile"
//	@Failure		412		{object}	serverapi.Problem	"A layer or the fleet has another revision than the body names"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is invalid, or the confdb-schema refuses a layer; errors has all faults"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/targets/ [post]
func (h *handlers) changeTargets(c echo.Context) error {
	q := query{c: c}
	dry, full, after := q.flag("dry-run"), q.flag("full"), q.text("after")
	if err := q.done(); err != nil {
		return err
	}
	batch, staged, err := h.readBatch(c)
	if err != nil {
		return err
	}
	stages, err := staged.plan(h.fleet)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	lacks := access.From(ctx).Lacks(access.WriteInScope)
	if dry != nil && *dry {
		batch.Reads = lacks != nil
		few, section := mostMembers, fleet.Section{}
		if full != nil && *full {
			few, section = -1, fleet.Section{After: after, Limit: fullDevices}
		}
		plan, err := h.fleet.PlanOf(ctx, batch, stages, section, few)
		if err != nil {
			return batchProblem(batch, err)
		}
		shape := wire.Plan(plan)
		if stages != nil && section.After == "" {
			shape.Stages = wire.PlannedStages(*stages, plan.Stages)
		}
		return answerJSON(c, shape)
	}
	if lacks != nil {
		return lacks // the gate permits a dry run
	}
	layers, release, err := h.begin(c, batch, stages)
	if err != nil {
		return batchProblem(batch, err)
	}
	answer := serverapi.Targets{Layers: []serverapi.Layer{}, Release: release}
	for i, layer := range layers {
		if answer.Revision = max(answer.Revision, layer.Revision); batch.Changes[i].Remove {
			continue
		}
		shape, err := wire.Layer(layer)
		if err != nil {
			return err
		}
		answer.Layers = append(answer.Layers, shape)
	}
	return answerJSON(c, answer)
}

// getSchema shows what targets may contain.
//
//	@Summary		Show what targets may contain
//	@Description	The answer is the JSON Schema (draft 2020-12) of the configuration of a layer, made from the server's
//	@Description	confdb-schema: a member for each view that can be written. In a layer null, which unsets a value, may take
//	@Description	the place of any value. A value that fits may still be refused, because of what a device has.
//	@Tags			target
//	@ID				get-schema
//	@Success		200	{object}	map[string]any		"The JSON Schema"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Router			/schema/ [get]
func (h *handlers) getSchema(c echo.Context) error { return answerJSON(c, h.fleet.Schema()) }

// readBatch parses the body of changeTargets. Its error lists all faults.
func (h *handlers) readBatch(c echo.Context) (batch fleet.Batch, staged planned, err error) {
	text, err := h.readBody(c)
	if err != nil {
		return batch, staged, err
	}
	members, err := parseObject(text)
	if err != nil {
		return batch, staged, err
	}
	var list jsontext.Value
	var last int64
	var bound bool
	wrong := assign("", members, []field{
		{name: "revision", read: integer(&last, 0), optional: true, present: &bound},
		{name: "changes", read: func(value jsontext.Value) string {
			if list = value; value.Kind() != '[' {
				return "must be an array, not " + kindOf(value)
			}
			return ""
		}},
		staged.field(),
	})
	if wrong != nil {
		return batch, staged, fieldProblem(wrong...)
	}
	if bound {
		batch.Last = &last
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(list))
	if _, err := decoder.ReadToken(); err != nil {
		return batch, staged, err // it was parsed before, so there is no error
	}
	for i := 0; decoder.PeekKind() != ']'; i++ {
		value, err := decoder.ReadValue()
		if err != nil {
			return batch, staged, err // as above
		}
		change, faults := readChange(fmt.Sprintf("changes[%d]", i), value)
		wrong = append(wrong, faults...)
		change.By, change.Within = author(c), within(c)
		batch.Changes = append(batch.Changes, change)
	}
	if wrong != nil {
		return batch, staged, fieldProblem(wrong...)
	}
	return batch, staged, nil
}

// readChange parses an element of the changes. at is the element's path.
func readChange(at string, value jsontext.Value) (change fleet.Change, wrong []serverapi.FieldProblem) {
	if value.Kind() != '{' {
		return change, []serverapi.FieldProblem{{Field: at, Message: "must be an object, not " + kindOf(value)}}
	}
	members, err := parseObject(value)
	if err != nil {
		return change, []serverapi.FieldProblem{{Field: at, Message: "is no object"}} // cannot happen: it has been parsed before
	}
	var revision int64
	var matched, configured bool
	wrong = assign(at+".", members, []field{
		{name: "layer", read: layerName(&change.Name)},
		{name: "revision", read: integer(&revision, 0), optional: true, present: &matched},
		{name: "remove", read: boolean(&change.Remove), optional: true},
		{name: "selector", read: selector(&change.Selector), optional: true},
		{name: "priority", read: integer(&change.Priority, -1<<31), optional: true},
		{name: "config", read: configuration(&change.Config), optional: true, present: &configured},
	})
	if matched {
		change.Match = &revision
	}
	if !configured && !change.Remove {
		wrong = append(wrong, serverapi.FieldProblem{Field: at + ".config", Message: "is missing; to remove the layer set remove"})
	}
	return change, wrong
}

// layerName parses the name of a layer.
func layerName(target *fleet.LayerName) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given string
		if complaint := text(&given, 200)(value); complaint != "" {
			return complaint
		}
		name, err := fleet.ParseLayerName(given)
		if name.IsRelease() {
			return "cannot be used: it is the name of a release"
		}
		if name.IsSecret() {
			return "cannot be used: it is the name of a secret; change secrets with PUT /secrets/NAME/"
		}
		if err != nil {
			return "cannot be used: " + err.Error()
		}
		*target = name
		return ""
	}
}

// boolean parses true or false.
func boolean(target *bool) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != 't' && value.Kind() != 'f' {
			return "must be true or false, not " + kindOf(value)
		}
		*target = value.Kind() == 't'
		return ""
	}
}

// batchProblem returns the answer to a refused batch. Each fault is a field below its change.
func batchProblem(batch fleet.Batch, err error) error {
	var faults *fleet.BatchError
	var moved *fleet.MovedError
	switch {
	case errors.As(err, &moved):
		return staleProblem("The fleet has changed since: " + moved.Error() + "; make the plan again")
	case !errors.As(err, &faults):
		return err
	}
	if errors.Is(err, fleet.ErrScope) {
		return err
	}
	place := map[fleet.LayerName]int{}
	for i, change := range batch.Changes {
		place[change.Name] = i
	}
	var fields []serverapi.FieldProblem
	stale := true
	for i, fault := range faults.Faults {
		if i == mostFaults {
			fields = append(fields, serverapi.FieldProblem{Field: "changes", Message: fmt.Sprintf("has %d faults more", len(faults.Faults)-i)})
			break
		}
		var target *fleet.TargetError
		var layer *fleet.LayerError
		at := fmt.Sprintf("changes[%d]", place[fault.Layer])
		name := "layer " + string(fault.Layer)
		is := errors.Is(fault.Err, fleet.ErrStale)
		stale = stale && is
		switch {
		case errors.As(fault.Err, &target):
			fields = append(fields, serverapi.FieldProblem{Field: at + ".config." + target.Path, Message: name + ": " + target.Text})
		case errors.As(fault.Err, &layer):
			fields = append(fields, serverapi.FieldProblem{Field: at + "." + layer.Field, Message: name + ": it " + layer.Text})
		case is:
			fields = append(fields, serverapi.FieldProblem{Field: at + ".revision", Message: name + " has changed meanwhile: " + fault.Err.Error()})
		default:
			fields = append(fields, serverapi.FieldProblem{Field: at + ".layer", Message: name + ": " + fault.Err.Error()})
		}
	}
	answer := fieldProblem(fields...)
	if stale {
		answer.Status, answer.Title, answer.Type = http.StatusPreconditionFailed, http.StatusText(http.StatusPreconditionFailed), serverapi.ProblemStale
	} else {
		answer.Type = serverapi.ProblemRefusedTarget
	}
	return answer
}
