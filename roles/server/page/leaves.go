package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
)

// A leaf is a value of a configuration that is no object: what the target has for it, and what the device reports.
type leaf struct {
	Path     string // VIEW.REQUEST, dotted
	Managed  bool   // by the target
	Target   string // as JSON, or "unset"
	Layer    string // that set it
	Reported string // as JSON; "" for what is not reported
	Mark     string // how the two stand to each other, one of the marks
}

// The marks of leaves.
const (
	differs     = "differs"
	notReported = "not reported" // which is no difference: some values can be written and not read
	matches     = "matches"
	notManaged  = "not managed" // by the target
)

// Differs tells that the device reports something else than its target has.
func (l leaf) Differs() bool { return l.Mark == differs }

// leaves lays a device's target and its configuration side by side, ordered by path.
func leaves(target serverapi.DeviceTarget, config serverapi.Config) []leaf {
	wanted, reported := map[string]any{}, map[string]any{}
	flatten("", map[string]any(target.Config), wanted)
	flatten("", map[string]any(config), reported)
	paths := maps.Clone(wanted)
	maps.Copy(paths, reported)
	var list []leaf
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		want, managed := wanted[path]
		have, isReported := reported[path]
		l := leaf{Path: path, Managed: managed}
		if isReported {
			l.Reported = text(have)
		}
		if !managed {
			// What lies below a value that is to be unset has to go with it.
			if above := nullAbove(path, wanted); above != "" {
				l.Managed, l.Target, l.Layer = true, "unset", target.Explain[above].Layer
			}
		} else if l.Target, l.Layer = text(want), target.Explain[path].Layer; want == nil {
			l.Target = "unset"
		}
		l.Mark = mark(l.Managed, isReported, want, have)
		list = append(list, l)
	}
	return list
}

// mark compares; nil is wanted of what is to be unset.
func mark(managed, reported bool, want, have any) string {
	switch {
	case !managed:
		return notManaged
	case want == nil && have == nil:
		return matches
	case !reported:
		return notReported
	case want == nil || !jsonvalue.Equal(want, have):
		return differs
	}
	return matches
}

// A configuration is a device's leaves as its page shows them.
type configuration struct {
	Managed   []leaf // those that differ first
	Differing int    // of them
	Unmanaged []leaf
	Counters  []leaf // what the device counts, or observes, rather than runs
}

// arrange sorts leaves into a configuration.
func arrange(list []leaf) configuration {
	var c configuration
	for _, l := range list {
		switch {
		case l.Managed:
			c.Managed = append(c.Managed, l)
		case isCounter(l.Path):
			c.Counters = append(c.Counters, l)
		default:
			c.Unmanaged = append(c.Unmanaged, l)
		}
		if l.Differs() {
			c.Differing++
		}
	}
	order := []string{differs, notReported, matches}
	slices.SortStableFunc(c.Managed, func(a, b leaf) int {
		return cmp.Compare(slices.Index(order, a.Mark), slices.Index(order, b.Mark))
	})
	return c
}

// isCounter tells that a path leads to what a device counts or observes: in a view that is there to observe, or below
// statistics.
func isCounter(path string) bool {
	view, request, _ := strings.Cut(path, ".")
	return strings.HasPrefix(view, "observe-") || slices.Contains(strings.Split(request, "."), "stats")
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
