package target

import (
	"maps"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/network"
)

// Own are the device's own values that the target in force has replaced: view -> request path of a value in the target. When a
// later target says nothing of a path any more, the device goes back to its own value.
type Own map[string]map[string]Replaced

// A Replaced is what a target has replaced.
type Replaced struct {
	Before any `json:"before"` // what the device had before any target; null for no value
	Set    any `json:"set"`    // what the target in force says
}

// Settle returns the target with the own values that it lets the device go back to, and the own values that it replaces. wanted
// is the target, and current what the views show, both by view; neither is modified. An own value comes back only where
// the last target's value is still there: what somebody else has set meanwhile stays.
func (o Own) Settle(wanted, current map[string]map[string]any) (settled map[string]map[string]any, next Own) {
	next = Own{}
	said, back := map[string]map[string]any{}, map[string]map[string]any{}
	for view, document := range wanted {
		said[view] = map[string]any{}
		leaves(document, "", said[view])
	}
	for view, values := range o {
		for request, replaced := range values {
			_, again := said[view][request]
			if again || !jsonvalue.EqualStored(Lookup(current[view], request), replaced.Set) {
				continue
			}
			if back[view] == nil {
				back[view] = map[string]any{}
			}
			back[view][request] = replaced.Before
		}
	}
	settled = Nested(back)
	for view, values := range said {
		before, _ := jsonvalue.Merge(current[view], settled[view]).(map[string]any)
		settled[view] = over(settled[view], wanted[view])
		for request, value := range values {
			if stays(view, request) {
				continue
			}
			replaced, known := o[view][request]
			if !known {
				replaced.Before = Lookup(before, request)
			}
			replaced.Set = value
			if next[view] == nil {
				next[view] = map[string]Replaced{}
			}
			next[view][request] = replaced
		}
	}
	return settled, next
}

// stays reports whether the device never goes back to its own value: a server that a target has named, since the new server need
// not name itself, and what no view shows.
func stays(view, request string) bool {
	return view == network.ControlDeviceView && request == "server-url" || writeOnly(view, request)
}

// leaves lists the values of a target that are no objects by their request paths.
func leaves(value any, request string, list map[string]any) {
	object, is := value.(map[string]any)
	if !is {
		list[request] = value
		return
	}
	for key, member := range object {
		at := key
		if request != "" {
			at = request + "." + key
		}
		leaves(member, at, list)
	}
}

// over returns one patch after another as one. It shares what it does not change.
func over(first, then map[string]any) map[string]any {
	if first == nil {
		return then
	}
	both := maps.Clone(first)
	for key, value := range then {
		inner, is := value.(map[string]any)
		if before, was := both[key].(map[string]any); is && was {
			value = over(before, inner)
		}
		both[key] = value
	}
	return both
}
