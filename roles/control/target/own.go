package target

import (
	"maps"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/network"
)

// Own are the device's own values that the target in force has replaced: view -> request path in the target -> values.
// The device restores its own value when a later target no longer has the path.
type Own map[string]map[string]Replaced

// A Replaced is an own value and the value that has replaced it.
type Replaced struct {
	Before any `json:"before"` // what the device had before any target; null for no value
	Set    any `json:"set"`    // what the target in force says
}

// Settle returns a target that also restores own values, and the own values that the target replaces. wanted is the
// target and current is what the views show, both by view. Settle modifies neither. It restores an own value only where
// the views still show the last target's value, so that a later change by somebody else stays.
func (o Own) Settle(wanted, current map[string]map[string]any) (settled map[string]map[string]any, next Own) {
	next = Own{}
	said, back := map[string]map[string]any{}, map[string]map[string]any{}
	for view, document := range wanted {
		said[view] = jsonvalue.Leaves(document, nil) // an empty object changes nothing; names of request paths need no quotes
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
		settled[view] = mergePatches(settled[view], wanted[view])
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

// stays reports whether the device never restores its own value at this path: the address of the server, because the
// new server need not name itself, and values that no view shows.
func stays(view, request string) bool {
	return view == network.ControlDeviceView && request == "server-url" || writeOnly(view, request)
}

// mergePatches returns one patch with the effect of first and then next. The result shares values with both.
func mergePatches(first, next map[string]any) map[string]any {
	if first == nil {
		return next
	}
	both := maps.Clone(first)
	for key, value := range next {
		inner, is := value.(map[string]any)
		if before, was := both[key].(map[string]any); is && was {
			value = mergePatches(before, inner)
		}
		both[key] = value
	}
	return both
}
