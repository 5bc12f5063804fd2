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

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An applier brings the views to a target.
type applier struct {
	// planner is plan.Make, except in tests.
	planner func(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error)
	schema  json.RawMessage
	id      registry.ViewID // account and name of the schema

	// unseen are written changes that the views do not show, such as write-only values: view -> request path -> JSON.
	// They are not written again.
	unseen map[string]map[string]string
	// refused is the last plan as JSON, for servers without revisions. A plan that a custodian refused is repeated
	// only after the device or the target has changed.
	refused string
}

// inStep is called if the server has no offer.
func (a *agent) inStep() {
	a.unseen, a.refused, a.tryAt = nil, "", time.Time{}
	if ended := a.journal.Attempted; ended != nil && ended.Outcome != serverapi.Applied && ended.Revision > 0 {
		a.told(ended) // the server no longer offers it, but still wants it
		return
	}
	a.trouble.over(ofTarget)
}

// consider handles an offered target. It returns an error of the registry if time or an administrator can solve it.
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
	planned, err := json.Marshal(changes) // sorts the keys
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

// lasting reports whether the target itself causes a refusal.
func lasting(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// isRefusal reports whether an error concerns the target. Other errors can be solved by time or an administrator.
func isRefusal(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest, registry.ErrUnauthorized, registry.ErrUnsupported, registry.ErrOther} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// plan returns the writes that bring the views to the target, without those that do not show, and the present
// documents of the views.
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

// documents returns a target in the shape for plan.Make, with short names of views. A view that is null becomes one
// with all its values null. The error is for an unknown shape, and for the device's identity, which comes from its
// registration.
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

// write commits the changes in one transaction if the backend can. Otherwise it writes view by view in an order that
// the custodian's rules permit, and an error may leave some of them written.
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

// nested returns writes in the shape of a target.
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

// verify reads back what was written, and records the writes that had no visible effect, because the value cannot be
// read or a custodian replaced it. Repeating them in every cycle would cost as much as everything else.
func (a *agent) verify(
	ctx context.Context, hub *attach.Hub, target serverapi.Config, changes registry.Changes, before map[string]map[string]any,
) error {
	if err := a.look(ctx, hub, changes); err != nil {
		return err
	}
	left, after, err := a.plan(ctx, target)
	if err != nil && isRefusal(err) {
		return nil // somebody has changed the configuration meanwhile
	}
	if err != nil {
		return err
	}
	for view, values := range left {
		for request, value := range values {
			_, written := changes[view][request]
			if !written || !reflect.DeepEqual(lookUp(before[view], request), lookUp(after[view], request)) {
				continue // changed by somebody else meanwhile
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

// look reads control-interfaces if it is one of the views. The others are read when they are used.
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

// keptControls returns the kept control views by name.
func (a *agent) keptControls() map[string]*kept.View {
	return map[string]*kept.View{
		network.ControlDeviceView: a.device, network.ControlTunnelView: a.tunnel,
		network.ControlTelemetryView: a.telemetry,
	}
}

// forget makes the next use of each control view read it.
func (a *agent) forget() {
	for _, view := range a.keptControls() {
		view.Forget()
	}
}

// lookUp returns a document's value at a request path without indexes, or nil.
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

// describe lists changes in the notation of snap set, without secrets.
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

// text returns a value as JSON.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
