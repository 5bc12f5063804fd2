package target

import (
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/network"
)

// Shows counts the changes that the views show, and those whose previous value they still show. Values that somebody
// else has changed count as neither.
func (a *Attempt) Shows(current map[string]map[string]any) (shown, missing int) {
	for view, values := range a.Changes {
		for request, value := range values {
			switch now := Lookup(current[view], request); {
			case writeOnly(view, request):
			case jsonvalue.EqualStored(now, value):
				shown++
			case jsonvalue.EqualStored(now, a.Before[view][request]):
				missing++
			}
		}
	}
	return shown, missing
}

// Back returns the writes that undo the changes. It leaves out values that the views do not show, or no longer show.
func (a *Attempt) Back(current map[string]map[string]any) map[string]map[string]any {
	back := map[string]map[string]any{}
	for view, values := range a.Changes {
		for request, value := range values {
			now, before := Lookup(current[view], request), a.Before[view][request]
			if writeOnly(view, request) || !jsonvalue.EqualStored(now, value) || jsonvalue.EqualStored(now, before) {
				continue
			}
			if back[view] == nil {
				back[view] = map[string]any{}
			}
			back[view][request] = before
		}
	}
	return back
}

// Hidden lists write-only values that may have been written.
func (a *Attempt) Hidden(current map[string]map[string]any) []string {
	shown, _ := a.Shows(current)
	var list []string
	for view, values := range a.Changes {
		for request := range values {
			if shown > 0 && writeOnly(view, request) {
				list = append(list, view+"."+request)
			}
		}
	}
	slices.Sort(list)
	return list
}

// previous returns the present values of everything that the changes write.
func previous(changes, current map[string]map[string]any) map[string]map[string]any {
	before := map[string]map[string]any{}
	for view, values := range changes {
		before[view] = map[string]any{}
		for request := range values {
			before[view][request] = Lookup(current[view], request)
		}
	}
	return before
}

// writeOnly reports whether no view shows a value.
func writeOnly(view, request string) bool {
	return view == network.ControlTunnelView && request == "secret-key"
}

// Lookup returns a document's value at a request path without indexes, or nil.
func Lookup(document map[string]any, request string) any {
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

// Nested returns writes, view -> request path -> value, in the shape of a target.
func Nested(changes map[string]map[string]any) map[string]map[string]any {
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
