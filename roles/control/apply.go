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

	"aspects-poc/registry"
	"aspects-poc/registry/network"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/internal/plain"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"
)

// An applier brings the views to a target.
type applier struct {
	// planner is plan.Make.
	planner func(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error)
	schema  json.RawMessage

	// unseen are changes that were written and do not show, such as of what can be written and not read, by view and
	// request path, as JSON. They are not written again.
	unseen map[string]map[string]string
	// refused is the plan that a custodian refused last, as JSON: tried again only when the device or the target has
	// changed.
	refused    string
	refusedErr error
}

// inStep is called when the server has nothing to ask for.
func (a *agent) inStep() {
	a.unseen, a.refused = nil, ""
	a.trouble.over(ofTarget)
}

// apply brings the views to the target in one transaction; applied tells whether something was written. A target that
// is refused is noted as trouble. An error is one of the registry's that time or an administrator may mend.
func (a *agent) apply(ctx context.Context, hub *attach.Hub, target serverapi.Config) (applied bool, err error) {
	changes, current, err := a.plan(ctx, target)
	if err != nil {
		return false, a.reject(err)
	}
	if len(changes) == 0 {
		a.trouble.over(ofTarget)
		return false, nil
	}
	planned, err := json.Marshal(changes) // sorted keys
	if err != nil {
		return false, err
	}
	if string(planned) == a.refused {
		return false, a.reject(a.refusedErr)
	}
	if err := a.write(ctx, hub, target, changes, current); err != nil {
		if isRefusal(err) {
			a.refused, a.refusedErr = string(planned), err
		}
		return false, a.reject(err)
	}
	a.trouble.over(ofTarget)
	a.refused = ""
	for _, view := range slices.Sorted(maps.Keys(changes)) {
		fmt.Fprintf(a.out, "Target applied to %s: %s.\n", view, describe(changes[view]))
	}
	return true, a.verify(ctx, hub, target, changes, current)
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

// reject notes a refused target. Other errors are returned.
func (a *agent) reject(err error) error {
	if !isRefusal(err) {
		return err
	}
	var refused *registry.Error
	var attributes []any
	if errors.As(err, &refused) {
		attributes = append(attributes, "path", refused.Path, "reason", refused.Reason)
	}
	a.trouble.note(ofTarget, fmt.Errorf("cannot apply the server's target: %w", err), attributes...)
	return nil
}

// plan returns the writes that bring the views to the target, without those that would not show, and what the views
// show now.
func (a *agent) plan(ctx context.Context, target serverapi.Config) (
	changes registry.Changes, current map[string]map[string]any, err error,
) {
	if current, err = a.documents(ctx); err != nil {
		return nil, nil, err
	}
	wanted, err := documents(target, current)
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

// documents gives a target the shape that plan.Make takes: a view that is null is one of which all is null.
func documents(target serverapi.Config, current map[string]map[string]any) (map[string]map[string]any, error) {
	wanted := map[string]map[string]any{}
	for view, value := range target {
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

// write commits the changes: all, or none. Where the backend writes view by view, those written before a failure get
// back what they showed.
func (a *agent) write(
	ctx context.Context, hub *attach.Hub, target serverapi.Config, changes registry.Changes,
	current map[string]map[string]any,
) error {
	var err error
	steps, ordered := []registry.Changes{changes}, slices.Sorted(maps.Keys(changes))
	if !hub.Capabilities.MultiView {
		if ordered, err = order(ordered, current, target); err != nil {
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
	for i, step := range steps {
		if err = hub.Apply(ctx, step); err == nil {
			continue
		}
		if i > 0 {
			err = errors.Join(&registry.PartialError{Written: ids(hub, ordered[:i]), Failed: hub.View(ordered[i]).ID(), Err: err},
				putBack(ctx, hub, ordered[:i], changes, current))
			a.forget()
		}
		return err
	}
	return nil
}

func ids(hub *attach.Hub, views []string) []registry.ViewID {
	var list []registry.ViewID
	for _, view := range views {
		list = append(list, hub.View(view).ID())
	}
	return list
}

// putBack writes what the views showed before, the last one written first.
func putBack(
	ctx context.Context, hub *attach.Hub, views []string, changes registry.Changes, current map[string]map[string]any,
) error {
	var errs []error
	for _, view := range slices.Backward(views) {
		before := map[string]any{}
		for request := range changes[view] {
			before[request] = lookUp(current[view], request)
		}
		if err := hub.View(view).Set(ctx, before); err != nil {
			errs = append(errs, fmt.Errorf("%s could not be put back: %w", view, err))
		}
	}
	return errors.Join(errs...)
}

// verify reads what was written, and takes down what made no difference: what cannot be read, or what a custodian put
// back. Written again and again, it would cost as much as all the rest.
func (a *agent) verify(
	ctx context.Context, hub *attach.Hub, target serverapi.Config, changes registry.Changes, before map[string]map[string]any,
) error {
	a.forget()
	if _, changed := changes[network.ControlInterfacesView]; changed {
		document, err := a.counters.document(ctx, hub)
		if err != nil {
			return err
		}
		a.interfaces = document
	}
	left, after, err := a.plan(ctx, target)
	if err != nil {
		return a.reject(err)
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
