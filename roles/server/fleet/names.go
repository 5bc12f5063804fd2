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

// A view of the confdb-schema that targets are checked against has one name in here, the short one. Whoever sends a
// target, or reports, may spell it in full, and so may databases of before: what comes in is renamed in Poll and check,
// and what is read from the store in stored. So nothing else has to know of spellings. The zero value of names, without a
// confdb-schema, leaves names as they are.
type names struct {
	of     *plan.Names
	schema registry.ViewID
	signs  []string // one of these is in the text of a configuration with another spelling
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

// hidden tells whether a path in a target leads to a value that can be written and not read.
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

// short returns a configuration with the views' short names. Where one view stands there in more spellings, they are
// merged, and the short one has the last word: a target like that is refused, but what a device reports, or an old
// database has, is as it is.
func (n names) short(config Config) Config {
	if n.of == nil || !slices.ContainsFunc(n.signs, func(sign string) bool { return strings.Contains(config.text, sign) }) {
		return config
	}
	tree, err := config.Tree()
	if err != nil {
		return config // whoever composes it says so
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

// check returns a target by the views' short names. It refuses names of no view, of a view of another confdb-schema, and two
// of one view.
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
