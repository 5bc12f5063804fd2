package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/roles/serverapi"
)

// A leaf is a value of a configuration that is no object: what is demanded of it, and what it is.
type leaf struct {
	Path     string // VIEW.REQUEST, dotted
	Demanded bool
	Desired  string // as JSON
	Layer    string // that demands it
	Reported bool
	Running  string // as JSON
	Differs  bool
	Mark     string // the difference in words
}

// leaves lays a device's target and its configuration side by side, ordered by path.
//
// A value that is demanded and not reported is not counted as a difference: some can be written and not read.
func leaves(target serverapi.DeviceTarget, config serverapi.Config) []leaf {
	demanded, reported := map[string]any{}, map[string]any{}
	flatten("", map[string]any(target.Config), demanded)
	flatten("", map[string]any(config), reported)
	paths := map[string]bool{}
	for path := range demanded {
		paths[path] = true
	}
	for path := range reported {
		// What lies below a null that is demanded shall go; what lies below another value is replaced with it.
		paths[path] = true
	}
	var list []leaf
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		want, isDemanded := demanded[path]
		have, isReported := reported[path]
		l := leaf{Path: path, Demanded: isDemanded, Reported: isReported, Desired: text(want), Running: text(have)}
		if isDemanded {
			l.Layer = target.Explain[path].Layer
			if want == nil {
				l.Desired = "unset"
			}
		}
		switch {
		case !isDemanded && isReported:
			if above := nullAbove(path, demanded); above != "" {
				l.Differs, l.Mark = true, "shall be unset"
			}
		case want == nil && isReported && have != nil:
			l.Differs, l.Mark = true, "shall be unset"
		case want == nil:
			l.Mark = "unset"
		case !isReported:
			l.Mark = "not shown"
		case !same(want, have):
			l.Differs, l.Mark = true, "differs"
		default:
			l.Mark = "as it shall be"
		}
		list = append(list, l)
	}
	return list
}

// flatten puts the leaves of a document into a map, by path. An empty object has none.
func flatten(path string, value any, into map[string]any) {
	object, ok := value.(map[string]any)
	if !ok {
		into[path] = value
		return
	}
	for name, member := range object {
		flatten(serverapi.JoinPath(path, name), member, into)
	}
}

// nullAbove returns the path above the given one at which null is demanded; "" if none is.
func nullAbove(path string, demanded map[string]any) string {
	for at := strings.LastIndexByte(path, '.'); at > 0; at = strings.LastIndexByte(path[:at], '.') {
		if value, there := demanded[path[:at]]; there && value == nil {
			return path[:at]
		}
	}
	return ""
}

// same compares two values as the hash of a target does.
func same(a, b any) bool {
	one, err1 := serverapi.Config{"": a}.Hash()
	other, err2 := serverapi.Config{"": b}.Hash()
	return err1 == nil && err2 == nil && one == other
}

// text is a value as JSON.
func text(value any) string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(buffer.String())
}
