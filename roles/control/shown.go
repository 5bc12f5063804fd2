package control

import (
	"slices"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry"
	"aspects-poc/roles/network"
)

// shows counts the changes that the views show, and those whose previous value they still show. Values that somebody
// else has changed count as neither.
func (a *Attempt) shows(current map[string]map[string]any) (shown, missing int) {
	for view, values := range a.Changes {
		for request, value := range values {
			switch now := lookUp(current[view], request); {
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

// back returns the writes that undo the changes, except for values that the views do not show (any more).
func (a *Attempt) back(current map[string]map[string]any) registry.Changes {
	back := registry.Changes{}
	for view, values := range a.Changes {
		for request, value := range values {
			now, before := lookUp(current[view], request), a.Before[view][request]
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

// hidden lists write-only values that may have been written.
func (a *Attempt) hidden(current map[string]map[string]any) []string {
	shown, _ := a.shows(current)
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

// writeOnly reports whether no view shows a value.
func writeOnly(view, request string) bool {
	return view == network.ControlTunnelView && request == "secret-key"
}
