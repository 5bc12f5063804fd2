package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An applier plans targets and writes them to the views. It knows the registry, and neither journal nor server.
type applier struct {
	// planner is plan.Make, except in tests.
	planner func(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error)
	schema  json.RawMessage
	id      registry.ViewID // account and name of the schema
	hosts   []string        // hosts of servers that a target may name
	views   *views
	out     io.Writer

	current map[string]map[string]any // the documents when the offer was planned
	// unseen are written changes that the views do not show, such as write-only values: view -> request path -> JSON.
	// They are not written again.
	unseen map[string]map[string]string
}

// A proposal is an offer to be applied.
type proposal struct {
	*serverapi.Offer
	proven  bool // its server has proved itself
	brought bool // it came in a file
}

// plan plans an offer for a device with these own values.
func (a *applier) plan(ctx context.Context, offer proposal, own target.Own) (*target.Event, error) {
	changes, current, own, err := a.changes(ctx, offer, own)
	event := &target.Event{Kind: target.Planned, Target: offered(offer.Offer), Changes: changes, Current: current, Own: own,
		Proven: offer.proven, Brought: offer.brought}
	switch {
	case err != nil && !isRefusal(err):
		return nil, err
	case err != nil:
		event.Kind, event.Cause = target.PlanRefused, cause(err)
		return event, nil
	case len(changes) == 0:
		event.Kind = target.Held
		return event, nil
	}
	planned, err := json.Marshal(changes) // sorts the keys
	a.current, event.Plan = current, string(planned)
	return event, err
}

// changes returns the writes that bring the views to an offer. They also restore the own values (before) that the offer no
// longer replaces. They leave out writes that no view shows. changes also returns the present documents of the views,
// and the own values that the offer replaces.
func (a *applier) changes(ctx context.Context, offer proposal, before target.Own) (
	changes registry.Changes, current map[string]map[string]any, own target.Own, err error,
) {
	if current, err = a.views.documents(ctx); err != nil {
		return nil, nil, nil, err
	}
	wanted, err := documents(a.id, offer.Config, current)
	if err != nil {
		return nil, nil, nil, err
	}
	settled, own := before.Settle(wanted, current)
	changes, err = a.permitted(current, settled)
	if err != nil && isRefusal(err) { // An own value may be the reason, and it must not prevent the target.
		changes, err = a.permitted(current, wanted)
	}
	if err != nil {
		return nil, nil, nil, err
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
	return changes, current, own, nil
}

// permitted returns the writes that bring the views to wanted. It returns a refusal if the schema or the custodian's
// rules refuse them.
func (a *applier) permitted(current, wanted map[string]map[string]any) (registry.Changes, error) {
	changes, err := a.planner(a.schema, current, wanted)
	if err != nil {
		return nil, err
	}
	if err := mayMove(current, wanted, a.hosts); err != nil {
		return nil, err
	}
	return changes, custodian.Permitted(slices.Collect(maps.Keys(wanted)), current, wanted)
}

// write writes the changes of an attempt as planned. It returns an error, too, if the result is unknown.
func (a *applier) write(ctx context.Context, hub *attach.Hub, attempt *target.Attempt) (*target.Event, error) {
	err := a.commit(ctx, hub, attempt.Changes, a.current, false)
	switch {
	case err == nil:
		return &target.Event{Kind: target.Written}, nil
	case isRefusal(err):
		return &target.Event{Kind: target.WriteRefused, Cause: cause(err), Lasting: lasting(err)}, nil
	}
	return &target.Event{Kind: target.WriteFailed, Cause: cause(err)}, err
}

// compare compares the views with an attempt.
func (a *applier) compare(ctx context.Context, hub *attach.Hub, attempt *target.Attempt) (*target.Event, error) {
	current, err := a.present(ctx, hub, attempt)
	if err != nil {
		return nil, err
	}
	shown, missing := attempt.Shows(current)
	return &target.Event{Kind: target.Compared, Shown: shown, Missing: missing}, nil
}

// undo restores what an attempt changed and nobody else has changed since. After an error the next cycle continues.
func (a *applier) undo(ctx context.Context, hub *attach.Hub, attempt *target.Attempt) (*target.Event, error) {
	current, err := a.present(ctx, hub, attempt)
	if err != nil {
		return nil, err
	}
	event := &target.Event{Kind: target.ChangesUndone, Hidden: attempt.Hidden(current)}
	back := registry.Changes(attempt.Back(current))
	if len(back) == 0 {
		return event, nil
	}
	refused := a.commit(ctx, hub, back, current, true)
	if refused != nil && !isRefusal(refused) {
		return nil, refused
	}
	if err := a.readInterfaces(ctx, hub, back); err != nil {
		return nil, err
	}
	if refused != nil {
		event.Cause = cause(refused)
		return event, nil
	}
	a.announce("taken back from", back)
	return event, nil
}

// present reads the control views again.
func (a *applier) present(ctx context.Context, hub *attach.Hub, attempt *target.Attempt) (map[string]map[string]any, error) {
	a.views.forget()
	views := attempt.Changes
	if a.views.interfaces == nil {
		views = map[string]map[string]any{network.ControlInterfacesView: nil} // the rules always need it
	}
	if err := a.readInterfaces(ctx, hub, views); err != nil {
		return nil, err
	}
	return a.views.documents(ctx)
}

// readInterfaces reads control-interfaces if it is one of the changed views.
func (a *applier) readInterfaces(ctx context.Context, hub *attach.Hub, changes map[string]map[string]any) error {
	if _, changed := changes[network.ControlInterfacesView]; !changed {
		return nil
	}
	return a.views.readInterfaces(ctx, hub)
}

// commit writes changes in one transaction if the backend can. Otherwise it writes view by view in an order that the
// custodian's rules permit, and an error may leave some of them written. To undo, it writes even if there is no such order.
func (a *applier) commit(
	ctx context.Context, hub *attach.Hub, changes registry.Changes, current map[string]map[string]any, undoing bool,
) error {
	steps := []registry.Changes{changes}
	if !hub.Capabilities.MultiView {
		ordered, err := order(slices.Sorted(maps.Keys(changes)), current, target.Nested(changes))
		if err != nil && !undoing {
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
	defer a.views.forget()
	for _, step := range steps {
		if err := hub.Apply(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the values of an attempt back, and records the writes without a visible effect: the value cannot be read, or a
// custodian replaced it. Such writes are not repeated, because a write in each cycle would cost more than everything
// else.
func (a *applier) verify(ctx context.Context, hub *attach.Hub, offer proposal, own target.Own, attempt *target.Attempt) error {
	if err := a.readInterfaces(ctx, hub, attempt.Changes); err != nil {
		return err
	}
	left, after, _, err := a.changes(ctx, offer, own)
	if err != nil && isRefusal(err) {
		return nil // somebody has changed the configuration meanwhile
	}
	if err != nil {
		return err
	}
	for view, values := range left {
		for request, value := range values {
			_, written := attempt.Changes[view][request]
			if !written || !jsonvalue.EqualStored(attempt.Before[view][request], target.Lookup(after[view], request)) {
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

// forget makes the next plan write again what the views do not show.
func (a *applier) forget() { a.unseen = nil }

// announce prints changes, view by view.
func (a *applier) announce(what string, changes map[string]map[string]any) {
	for _, view := range slices.Sorted(maps.Keys(changes)) {
		fmt.Fprintf(a.out, "Target %s %s: %s.\n", what, view, plain.Clip(describe(changes[view]), longestText))
	}
}
