package page

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/server/fleet"
)

// A leaf is a value that is no object, in the target and in the device's report.
type leaf struct {
	Path     string // VIEW.REQUEST, dotted
	Managed  bool   // by the target
	Target   string // as JSON, or "unset"
	Layer    string // the layer that set it
	Reported string // as JSON; "" if it is not reported
	Mark     string // the result of the comparison: one of the marks
}

// The marks of leaves.
const (
	differs     = "differs"
	notReported = "not reported" // no difference: some values can be written, but not read
	matches     = "matches"
	notManaged  = "not managed" // the target has no such value
)

// Differs reports whether the device reports another value than its target has.
func (l leaf) Differs() bool { return l.Mark == differs }

// leaves compares a device's target with the configuration that it reports. The result is sorted by path.
func leaves(target fleet.Target, config fleet.Config) ([]leaf, error) {
	wanted, err := valuesOf(&target.Config)
	if err != nil {
		return nil, err
	}
	tree, err := config.Tree()
	if err != nil {
		return nil, err
	}
	if pathBytes(0, tree) > mostPathBytes {
		return nil, errTooMuch
	}
	reported := flatten(tree)
	origins, err := target.Explain()
	if err != nil {
		return nil, err
	}
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
			// A target that unsets a value unsets the values below it, too.
			if above := nullAbove(path, wanted); above != "" {
				l.Managed, l.Target, l.Layer = true, "unset", string(origins[above].Layer)
			}
		} else if l.Target, l.Layer = text(want), string(origins[path].Layer); want == nil {
			l.Target = "unset"
		}
		l.Mark = mark(l.Managed, isReported, want, have)
		list = append(list, l)
	}
	return list, nil
}

// mark compares a wanted value with a reported one. A wanted nil unsets the value.
func mark(managed, reported bool, want, have any) string {
	switch {
	case !managed:
		return notManaged
	case want == nil && have == nil:
		return matches
	case !reported:
		return notReported
	case want == nil || !jsonvalue.Equal(want, have) && !fleet.SameSecret(want, have):
		return differs
	}
	return matches
}

// A configuration has the leaves of a device in the sections of its page.
type configuration struct {
	Managed   section // differing ones first
	Differing int     // number of differing leaves
	Unmanaged section
	Counters  section // values that the device counts or observes
}

// The limits of a device's page. A device may report anything.
const (
	mostLeaves    = 200     // in a section
	longestCell   = 300     // characters
	mostPathBytes = 8 << 20 // of all paths together
)

// errTooMuch means that a configuration's paths are longer than mostPathBytes.
var errTooMuch = errors.New("it reports more than this page can show")

// A section is some leaves of a device.
type section struct {
	Rows []leaf // at most mostLeaves
	All  int
	JSON string // address of the device's whole report
}

// More returns the number of leaves that are not shown.
func (s section) More() int { return s.All - len(s.Rows) }

// limit returns a section with as many leaves as a page can show.
func limit(list []leaf, json string) section {
	s := section{Rows: list[:min(len(list), mostLeaves)], All: len(list), JSON: json}
	for i := range s.Rows {
		for _, cell := range []*string{&s.Rows[i].Path, &s.Rows[i].Target, &s.Rows[i].Reported} {
			*cell = clip(*cell)
		}
	}
	return s
}

// clip shortens a text to longestCell.
func clip(text string) string {
	if len(text) <= longestCell {
		return text
	}
	runes := []rune(text)
	if len(runes) <= longestCell {
		return text
	}
	return string(runes[:longestCell]) + "…"
}

// arrange distributes leaves to the sections. json is the address of the device's whole report.
func arrange(list []leaf, json string) configuration {
	var c configuration
	var managed, unmanaged, counters []leaf
	for _, l := range list {
		switch {
		case l.Managed:
			managed = append(managed, l)
		case isCounter(l.Path):
			counters = append(counters, l)
		default:
			unmanaged = append(unmanaged, l)
		}
		if l.Differs() {
			c.Differing++
		}
	}
	order := []string{differs, notReported, matches}
	slices.SortStableFunc(managed, func(a, b leaf) int {
		return cmp.Compare(slices.Index(order, a.Mark), slices.Index(order, b.Mark))
	})
	c.Managed, c.Unmanaged, c.Counters = limit(managed, json), limit(unmanaged, json), limit(counters, json)
	return c
}

// isCounter reports whether a path is a counter or an observation: it is in a view named observe-… or below "stats".
func isCounter(path string) bool {
	view, request, _ := strings.Cut(path, ".")
	return strings.HasPrefix(view, "observe-") || slices.Contains(strings.Split(request, "."), "stats")
}

// flatten returns the leaves of a document by their paths. An empty object has none: no view shows it, so it would never match.
func flatten(tree map[string]any) map[string]any { return jsonvalue.Leaves(tree, fleet.IsSecret) }

// pathBytes returns the length of all paths that flatten would make of a value. path is the length of the value's own
// path.
func pathBytes(path int, value any) int {
	object, ok := value.(map[string]any)
	if !ok {
		return path
	}
	all := 0
	for name, member := range object {
		all += pathBytes(path+len(name)+1, member)
	}
	return all
}

// nullAbove returns the path above the given one that the target unsets; "" if there is none.
func nullAbove(path string, wanted map[string]any) string {
	for at := strings.LastIndexByte(path, '.'); at > 0; at = strings.LastIndexByte(path[:at], '.') {
		if value, there := wanted[path[:at]]; there && value == nil {
			return path[:at]
		}
	}
	return ""
}

// text returns a value as JSON.
func text(value any) string {
	encoded, err := jsonvalue.Encode(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
