package control

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An applier plans targets and writes them to the views.
type applier struct {
	// planner is plan.Make, except in tests.
	planner func(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error)
	schema  json.RawMessage
	id      registry.ViewID // account and name of the schema
	hosts   []string        // hosts of servers that a target may name
	token   string          // digest of the enrolment token; "" without a token

	offer   *serverapi.Offer          // the last offer
	proven  bool                      // the server of the offer has proved that it knows the device
	brought bool                      // the offer came in a file
	current map[string]map[string]any // the documents when the offer was planned
	// unseen are written changes that the views do not show, such as write-only values: view -> request path -> JSON.
	// They are not written again.
	unseen map[string]map[string]string
}

// plan plans the offer.
func (t *targets) plan(ctx context.Context) (*target.Event, error) {
	changes, current, own, err := t.changes(ctx)
	event := &target.Event{Kind: target.Planned, Target: offered(t.offer), Changes: changes, Current: current, Own: own,
		Proven: t.proven, Brought: t.brought, Token: t.token}
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
	t.current, event.Plan = current, string(planned)
	return event, err
}

// changes returns the writes that bring the views to the offer. They also restore the own values that the offer no
// longer replaces. They leave out writes that no view shows. changes also returns the present documents of the views,
// and the own values that the offer replaces.
func (t *targets) changes(ctx context.Context) (
	changes registry.Changes, current map[string]map[string]any, own target.Own, err error,
) {
	if current, err = t.views.documents(ctx); err != nil {
		return nil, nil, nil, err
	}
	wanted, err := documents(t.id, t.offer.Config, current)
	if err != nil {
		return nil, nil, nil, err
	}
	settled, own := t.state.Own.Settle(wanted, current)
	changes, err = t.permitted(current, settled)
	if err != nil && isRefusal(err) { // An own value may be the reason, and it must not prevent the target.
		changes, err = t.permitted(current, wanted)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	for view, values := range changes {
		for request, value := range values {
			if written, ok := t.unseen[view][request]; ok && written == text(value) {
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
func (t *targets) permitted(current, wanted map[string]map[string]any) (registry.Changes, error) {
	changes, err := t.planner(t.schema, current, wanted)
	if err != nil {
		return nil, err
	}
	if err := mayMove(current, wanted, t.hosts); err != nil {
		return nil, err
	}
	return changes, custodian.Permitted(slices.Collect(maps.Keys(wanted)), current, wanted)
}

// write writes the changes of the attempt. It returns an error if the result is unknown.
func (t *targets) write(ctx context.Context, hub *attach.Hub) (*target.Event, error) {
	err := t.commit(ctx, hub, t.state.Attempt.Changes, t.current)
	switch {
	case err == nil:
		return &target.Event{Kind: target.Written}, nil
	case isRefusal(err):
		return &target.Event{Kind: target.WriteRefused, Cause: cause(err), Lasting: lasting(err)}, nil
	}
	t.step(&target.Event{Kind: target.WriteFailed, Cause: cause(err)})
	return nil, err
}

// compare compares the views with the attempt.
func (t *targets) compare(ctx context.Context, hub *attach.Hub) (*target.Event, error) {
	current, err := t.present(ctx, hub)
	if err != nil {
		return nil, err
	}
	shown, missing := t.state.Attempt.Shows(current)
	return &target.Event{Kind: target.Compared, Shown: shown, Missing: missing}, nil
}

// undo restores what the attempt changed and nobody else has changed since. After an error the next cycle continues.
func (t *targets) undo(ctx context.Context, hub *attach.Hub) (*target.Event, error) {
	attempt := t.state.Attempt
	current, err := t.present(ctx, hub)
	if err != nil {
		return nil, err
	}
	event := &target.Event{Kind: target.ChangesUndone, Hidden: attempt.Hidden(current)}
	back := registry.Changes(attempt.Back(current))
	if len(back) == 0 {
		return event, nil
	}
	refused := t.commit(ctx, hub, back, current)
	if refused != nil && !isRefusal(refused) {
		return nil, refused
	}
	if err := t.readInterfaces(ctx, hub, back); err != nil {
		return nil, err
	}
	if refused != nil {
		event.Cause = cause(refused)
		return event, nil
	}
	t.announce("taken back from", back)
	return event, nil
}

// present reads the control views again.
func (t *targets) present(ctx context.Context, hub *attach.Hub) (map[string]map[string]any, error) {
	t.views.forget()
	views := t.state.Attempt.Changes
	if t.views.interfaces == nil {
		views = map[string]map[string]any{network.ControlInterfacesView: nil} // the rules always need it
	}
	if err := t.readInterfaces(ctx, hub, views); err != nil {
		return nil, err
	}
	return t.views.documents(ctx)
}

// readInterfaces reads control-interfaces if it is one of the changed views.
func (t *targets) readInterfaces(ctx context.Context, hub *attach.Hub, changes map[string]map[string]any) error {
	if _, changed := changes[network.ControlInterfacesView]; !changed {
		return nil
	}
	return t.views.readInterfaces(ctx, hub)
}

// commit writes changes in one transaction if the backend can. Otherwise it writes view by view in an order that the
// custodian's rules permit, and an error may leave some of them written.
func (t *targets) commit(
	ctx context.Context, hub *attach.Hub, changes registry.Changes, current map[string]map[string]any,
) error {
	steps := []registry.Changes{changes}
	if !hub.Capabilities.MultiView {
		ordered, err := order(slices.Sorted(maps.Keys(changes)), current, target.Nested(changes))
		if err != nil && t.state.Phase() != target.Undoing {
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
	defer t.views.forget()
	for _, step := range steps {
		if err := hub.Apply(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the written values back, and records the writes without a visible effect: the value cannot be read, or a
// custodian replaced it. Such writes are not repeated, because a write in each cycle would cost more than everything
// else.
func (t *targets) verify(ctx context.Context, hub *attach.Hub) error {
	attempt := t.state.Attempt
	if err := t.readInterfaces(ctx, hub, attempt.Changes); err != nil {
		return err
	}
	left, after, _, err := t.changes(ctx)
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
			if t.unseen == nil {
				t.unseen = map[string]map[string]string{}
			}
			if t.unseen[view] == nil {
				t.unseen[view] = map[string]string{}
			}
			t.unseen[view][request] = text(value)
		}
	}
	return nil
}
