package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles/network"
)

// The custodian's rules are also checked before a target is written: after a refusal by a change-view hook, snapd
// does not tell the writer the reason, nor even that there was one.

// permitted returns the custodian's refusal if these views were brought to the target.
func permitted(views []string, current, target map[string]map[string]any) error {
	before, _ := configuration(current) // a view that cannot be read has no objections that were there
	after, err := configuration(merged(views, current, target))
	if err != nil {
		return err
	}
	if added := network.Added(before, after); len(added) > 0 {
		reason := strings.Join(added, "; ")
		return &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: reason,
			Message: "the custodian's rules refuse it: " + reason}
	}
	return nil
}

// order returns an order of the views in which each write is permitted. A new interface must exist before the tunnel
// uses it, and an old one as long as the tunnel uses it.
func order(views []string, current, wanted map[string]map[string]any) ([]string, error) {
	tunnelFirst := slices.Clone(views)
	slices.SortStableFunc(tunnelFirst, func(a, b string) int {
		switch network.ControlTunnelView {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	for _, candidate := range [][]string{views, tunnelFirst} {
		sound := true
		for i := range candidate {
			sound = sound && permitted(candidate[:i+1], current, wanted) == nil
		}
		if sound {
			return candidate, nil
		}
	}
	reason := fmt.Sprintf("what it asks of %s and %s can only be written in steps: add interfaces first, then move the "+
		"tunnel, then remove interfaces", network.ControlInterfacesView, network.ControlTunnelView)
	return views, &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: reason,
		Message: "the custodian's rules refuse it: " + reason}
}

// configuration decodes the documents of control views. The refusal is for the first view that the roles cannot read;
// that view is the zero value.
func configuration(documents map[string]map[string]any) (c network.Configuration, err error) {
	for _, view := range []struct {
		name string
		dst  any
	}{
		{network.ControlDeviceView, &c.Device}, {network.ControlInterfacesView, &c.Interfaces},
		{network.ControlTunnelView, &c.Tunnel}, {network.ControlTelemetryView, &c.Telemetry},
	} {
		if unread := registry.Decode(documents[view.name], view.dst); unread != nil && err == nil {
			err = unreadable(view.name, unread)
		}
	}
	return c, err
}

// unreadable returns the refusal of a target that has a value in a view that does not fit the roles' types.
func unreadable(view string, err error) error {
	path, reason := view, err.Error()
	if refused := (*registry.Error)(nil); errors.As(err, &refused) {
		reason = refused.Reason
		if refused.Path != "" {
			path += "." + refused.Path
		}
	}
	return &registry.Error{Op: "set", Kind: registry.ErrBadRequest, Path: path, Reason: reason,
		Message: fmt.Sprintf("cannot set %q: %s", path, reason)}
}

// merged returns current with these views brought to the target.
func merged(views []string, current, target map[string]map[string]any) map[string]map[string]any {
	after := maps.Clone(current)
	for _, view := range views {
		if document, ok := merge(current[view], target[view]).(map[string]any); ok {
			after[view] = document
		}
	}
	return after
}

// merge is jsonvalue.Merge without empty objects, which confdb does not store.
func merge(value, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	old, _ := value.(map[string]any)
	object := maps.Clone(old)
	if object == nil {
		object = map[string]any{}
	}
	for key, change := range changes {
		if object[key] = merge(object[key], change); object[key] == nil {
			delete(object, key)
			continue
		}
		if inner, ok := object[key].(map[string]any); ok && len(inner) == 0 {
			delete(object, key)
		}
	}
	return object
}
