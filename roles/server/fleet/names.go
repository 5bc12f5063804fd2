package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi/layers"
)

// names converts the spellings of views to the short name. In this package each view of the confdb-schema has only its
// short name. Targets, reports and old databases may have the full name. Poll and check convert what comes in, and
// stored converts what is read from the store, so that no other function knows of spellings. The zero value of names,
// without a confdb-schema, changes no names.
type names struct {
	of     *plan.Names
	schema registry.ViewID
	signs  []string // the text of a configuration with another spelling has one of these
}

func readNames(schema json.RawMessage) (names, error) {
	if schema == nil {
		return names{}, nil
	}
	of, err := plan.ReadNames(schema)
	if err != nil {
		return names{}, err
	}
	id := of.Schema()
	return names{of: of, schema: id, signs: []string{`"` + id.Schema + `/`, `"` + id.Account + `/`}}, nil
}

// hidden reports whether a path in a target leads to a write-only value.
func (n names) hidden(path string) bool {
	view, request, _ := strings.Cut(path, ".")
	return n.of != nil && !n.of.Readable(view, request)
}

// shortName returns the short name of a view.
func (n names) shortName(view string) string {
	if n.of == nil {
		return view
	}
	return plan.Short(n.schema, view)
}

// shortPath returns a path in a target with the short name of its view.
func (n names) shortPath(path string) string {
	view, request, inside := strings.Cut(path, ".")
	if inside {
		return n.shortName(view) + "." + request
	}
	return n.shortName(view)
}

// short returns a configuration with the short names of views. If it has a view in several spellings, they are merged,
// and the short one wins. A target like that is refused, but a report or an old database may have it.
func (n names) short(config Config) Config {
	if n.of == nil || !slices.ContainsFunc(n.signs, func(sign string) bool { return strings.Contains(config.text, sign) }) {
		return config
	}
	tree, err := config.Tree()
	if err != nil {
		return config // compose reports the fault
	}
	renamed := map[string]any{}
	for _, long := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if short := plan.Short(n.schema, name); (short != name) == long {
				layers.Overlay(renamed, map[string]any{short: tree[name]})
			}
		}
	}
	short, err := configOf(renamed)
	if err != nil {
		return config
	}
	return short
}

// check returns a target with the short names of views. It returns an error for a name of no view, a view of another
// confdb-schema, and two names of one view.
func (n names) check(target map[string]any) (map[string]any, error) {
	wanted, err := plan.ByView(n.schema, target)
	if err != nil {
		return nil, n.targetError(err, nil)
	}
	known := n.of.Views()
	for _, view := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.Contains(known, view) {
			meant := params.Meant(view, known)
			if view == "config" {
				meant = "; a file of a folder has its views below config: give only what is below it"
			}
			return nil, &TargetError{Path: view, Text: fmt.Sprintf("cannot find view %q in confdb schema %s/%s%s", view,
				n.schema.Account, n.schema.Schema, meant)}
		}
	}
	return wanted, nil
}
