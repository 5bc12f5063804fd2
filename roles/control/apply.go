package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/internal/plain"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An applier brings the views to a target.
type applier struct {
	// planner is plan.Make.
	planner func(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error)
	schema  json.RawMessage
	id      registry.ViewID // of the schema, without a view

	// unseen are changes that were written and do not show, such as of what can be written and not read, by view and
	// request path, as JSON. They are not written again.
	unseen map[string]map[string]string
	// refused is the plan that was tried last, as JSON, for servers without revisions: one that a custodian refused is
	// tried again only when the device or the target has changed.
	refused string
}

// inStep is called when the server has nothing to ask for.
func (a *agent) inStep() {
	a.unseen, a.refused, a.tryAt = nil, "", time.Time{}
	if ended := a.journal.Attempted; ended != nil && ended.Outcome != serverapi.Applied && ended.Revision > 0 {
		a.told(ended) // it is not offered again, and still what the server wants
		return
	}
	a.trouble.over(ofTarget)
}

// consider acts on a target that the server asks for. An error is one of the registry's that time or an administrator
// may mend.
func (a *agent) consider(ctx context.Context, hub *attach.Hub, offer *serverapi.Offer) error {
	target := Target{Revision: offer.Revision, Hash: offer.Hash}
	switch ended := a.journal.Attempted; {
	case !a.journal.ours():
		a.log.Debug("a target is left to the process that applies them", "revision", offer.Revision)
		return nil
	case a.journal.Attempt != nil:
		return nil // one at a time
	case ended == nil || ended.Target != target:
		a.tryAt = time.Time{}
	case ended.Outcome == serverapi.Refused && target.Revision > 0,
		ended.Outcome == serverapi.Failed && time.Now().Before(a.tryAt):
		a.told(ended)
		return nil
	}
	changes, current, err := a.plan(ctx, offer.Config)
	switch {
	case err != nil && !isRefusal(err):
		return err
	case err != nil:
		a.end(a.outcome(target, serverapi.Refused, err))
		return nil
	case len(changes) == 0:
		a.trouble.over(ofTarget)
		a.done(target)
		return nil
	}
	planned, err := json.Marshal(changes) // sorted keys
	if err != nil {
		return err
	}
	ended := a.journal.Attempted
	if ended != nil && ended.Target == target && ended.Outcome == serverapi.Refused && string(planned) == a.refused {
		a.told(ended)
		return nil
	}
	a.refused = string(planned)
	return a.attempt(ctx, hub, target, offer.Config, changes, current)
}

// lasting tells those refusals that the target itself is the cause of.
func lasting(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// isRefusal tells an error that is about what the target asks for from one that time or an administrator may mend.
func isRefusal(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest, registry.ErrUnauthorized, registry.ErrUnsupported, registry.ErrOther} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// plan returns the writes that bring the views to the target, without those that would not show, and what the views
// show now.
func (a *agent) plan(ctx context.Context, target serverapi.Config) (
	changes registry.Changes, current map[string]map[string]any, err error,
) {
	if current, err = a.documents(ctx); err != nil {
		return nil, nil, err
	}
	wanted, err := documents(a.id, target, current)
	if err != nil {
		return nil, nil, err
	}
	changes, err = a.planner(a.schema, current, wanted)
	if err != nil {
		return nil, nil, err
	}
	if err := permitted(slices.Collect(maps.Keys(wanted)), current, wanted); err != nil {
		return nil, nil, err
	}
	for view, values := range changes {
		for request, value := range values {
			if written, ok := a.unseen[view][request]; ok && written == text(value) {
				delete(values, request)
			}
		}
		if len(values) == 0 {
			delete(changes, view)
		}
	}
	return changes, current, nil
}

// documents gives a target the shape that plan.Make takes, by the short names of views, by which all here knows them: a view
// that is null is one of which all is null.
func documents(
	schema registry.ViewID, target serverapi.Config, current map[string]map[string]any,
) (map[string]map[string]any, error) {
	named, err := plan.ByView(schema, target)
	if err != nil {
		return nil, err
	}
	wanted := map[string]map[string]any{}
	for view, value := range named {
		switch value := value.(type) {
		case map[string]any:
			wanted[view] = value
		case nil:
			wanted[view] = map[string]any{}
			for key := range current[view] {
				wanted[view][key] = nil
			}
		default:
			return nil, &registry.Error{Op: "set", Kind: registry.ErrBadRequest, Path: view,
				Message: fmt.Sprintf("cannot set view %q: want an object or null, not %s", view, text(value)),
				Reason:  "want an object or null, not " + text(value)}
		}
	}
	for _, identity := range []string{"id", "registered"} {
		if _, set := wanted[network.ControlDeviceView][identity]; set {
			return nil, &registry.Error{Op: "set", Kind: registry.ErrUnauthorized,
				Path: network.ControlDeviceView + "." + identity,
				Message: fmt.Sprintf("cannot set %q through %s: who the device is comes from its registration",
					identity, network.ControlDeviceView),
				Reason: "who the device is comes from its registration"}
		}
	}
	return wanted, nil
}

// write commits the changes: in one transaction, or where the backend has none view by view in an order that the
// custodian's rules permit. Then an error may leave some of them written.
func (a *agent) write(
	ctx context.Context, hub *attach.Hub, changes registry.Changes, current map[string]map[string]any,
) error {
	steps := []registry.Changes{changes}
	if !hub.Capabilities.MultiView {
		ordered, err := order(slices.Sorted(maps.Keys(changes)), current, nested(changes))
		if err != nil && a.journal.Attempt.Phase != undoing {
			return err
		}
		steps = nil
		for _, view := range ordered {
			steps = append(steps, registry.Changes{view: changes[view]})
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := poll.Grace(ctx, grace)
	defer cancel()
	defer a.forget()
	for _, step := range steps {
		if err := hub.Apply(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// nested gives writes the shape of a target.
func nested(changes registry.Changes) map[string]map[string]any {
	target := map[string]map[string]any{}
	for view, values := range changes {
		target[view] = map[string]any{}
		for request, value := range values {
			object, keys := target[view], strings.Split(request, ".")
			for _, key := range keys[:len(keys)-1] {
				inner, ok := object[key].(map[string]any)
				if !ok {
					inner = map[string]any{}
					object[key] = inner
				}
				object = inner
			}
			object[keys[len(keys)-1]] = value
		}
	}
	return target
}

// verify reads what was written, and takes down what made no difference: what cannot be read, or what a custodian put
// back. Written again and again, it would cost as much as all the rest.
func (a *agent) verify(
	ctx context.Context, hub *attach.Hub, target serverapi.Config, changes registry.Changes, before map[string]map[string]any,
) error {
	if err := a.look(ctx, hub, changes); err != nil {
		return err
	}
	left, after, err := a.plan(ctx, target)
	if err != nil && isRefusal(err) {
		return nil // somebody has changed what it was planned for
	}
	if err != nil {
		return err
	}
	for view, values := range left {
		for request, value := range values {
			_, written := changes[view][request]
			if !written || !reflect.DeepEqual(lookUp(before[view], request), lookUp(after[view], request)) {
				continue // somebody else's change, just now
			}
			if a.unseen == nil {
				a.unseen = map[string]map[string]string{}
			}
			if a.unseen[view] == nil {
				a.unseen[view] = map[string]string{}
			}
			a.unseen[view][request] = text(value)
		}
	}
	return nil
}

// look makes control-interfaces be read anew if it is among these views; the others are read when they are asked for.
func (a *agent) look(ctx context.Context, hub *attach.Hub, changes map[string]map[string]any) error {
	if _, changed := changes[network.ControlInterfacesView]; !changed {
		return nil
	}
	document, err := a.counters.document(ctx, hub)
	if err != nil {
		return err
	}
	a.interfaces = document
	return nil
}

// keptControls are the control views that are kept, by name.
func (a *agent) keptControls() map[string]*kept.View {
	return map[string]*kept.View{
		network.ControlDeviceView: a.device, network.ControlTunnelView: a.tunnel,
		network.ControlTelemetryView: a.telemetry,
	}
}

// forget makes the control views be read again.
func (a *agent) forget() {
	for _, view := range a.keptControls() {
		view.Forget()
	}
}

// lookUp returns what a document shows at a request path without indexes; nil for nothing.
func lookUp(document map[string]any, request string) any {
	var value any = document
	for key := range strings.SplitSeq(request, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

// describe lists changes as snap set would take them. Secrets are not shown.
func describe(values map[string]any) string {
	var list []string
	for _, request := range slices.Sorted(maps.Keys(values)) {
		switch {
		case values[request] == nil:
			list = append(list, request+"!")
		case request == "secret-key":
			list = append(list, request+"=(secret)")
		default:
			list = append(list, request+"="+text(values[request]))
		}
	}
	return plain.Line(strings.Join(list, ", "))
}

// text is a value as JSON.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
