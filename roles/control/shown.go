package control

import (
	"bytes"
	"encoding/json"
	"slices"

	"aspects-poc/registry"
	"aspects-poc/roles/network"

	"github.com/go-json-experiment/json/jsontext"
)

// shows counts those changes that show, and those in whose place there is still what was there before. What somebody
// else has changed counts as neither.
func (a *Attempt) shows(current map[string]map[string]any) (shown, missing int) {
	for view, values := range a.Changes {
		for request, value := range values {
			switch now := lookUp(current[view], request); {
			case writeOnly(view, request):
			case sameJSON(now, value):
				shown++
			case sameJSON(now, a.Before[view][request]):
				missing++
			}
		}
	}
	return shown, missing
}

// back returns the writes that undo the changes, without those that do not show (any more).
func (a *Attempt) back(current map[string]map[string]any) registry.Changes {
	back := registry.Changes{}
	for view, values := range a.Changes {
		for request, value := range values {
			now, before := lookUp(current[view], request), a.Before[view][request]
			if writeOnly(view, request) || !sameJSON(now, value) || sameJSON(now, before) {
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

// hidden lists what cannot be read, and may have been written.
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

// writeOnly tells what no view shows.
func writeOnly(view, request string) bool {
	return view == network.ControlTunnelView && request == "secret-key"
}

// sameJSON compares JSON values by their canonical form (RFC 8785). No data, null and an empty list or map are the same.
func sameJSON(a, b any) bool {
	return bytes.Equal(canonical(a), canonical(b))
}

func canonical(value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	text := jsontext.Value(encoded)
	if text.Canonicalize() != nil {
		return encoded
	}
	if text := string(text); text == "[]" || text == "{}" {
		return []byte("null")
	}
	return text
}
