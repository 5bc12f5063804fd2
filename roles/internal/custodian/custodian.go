// Package custodian checks a target against the rules of the roles' custodian before anybody writes it. The control
// role calls it before it writes, and the server before it releases. Its main function is Permitted. Package network
// has the rules themselves.
package custodian

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles/network"
)

// Permitted returns nil if the custodian permits the change of these views from current to target. Otherwise it returns
// the custodian's refusal, a *registry.Error.
func Permitted(views []string, current, target map[string]map[string]any) error {
	before, _ := configuration(current) // an unreadable view has no earlier objections
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

// configuration decodes the documents of control views. It returns a refusal for the first view with a value of the
// wrong type, and leaves that view zero.
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

// unreadable returns the refusal of a target with a value of the wrong type in a view.
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

// merged returns current with the target merged into these views.
func merged(views []string, current, target map[string]map[string]any) map[string]map[string]any {
	after := maps.Clone(current)
	for _, view := range views {
		if document, ok := merge(current[view], target[view]).(map[string]any); ok {
			after[view] = document
		}
	}
	return after
}

// merge is jsonvalue.Merge without empty objects, because confdb does not store them.
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
