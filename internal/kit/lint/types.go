package lint

import (
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// types is a storage schema that the engine takes, for those who ask it what the engine does not tell: where something
// is declared.
type types struct {
	root    *document.Node
	aliases *document.Node
	schema  *schema.Schema
}

func newTypes(root *document.Node, parsed *schema.Schema) *types {
	return &types{root: root, aliases: root.Get("aliases"), schema: parsed}
}

// A definition is a use of a type.
type definition struct {
	node  *document.Node // where it is used: what is marked there counts
	means *document.Node // what it means: an alias's definition, or node
	kind  string         // of means: a type's name, "alt" for alternatives
	alias string         // "" if no alias was used
}

func (t *types) define(node *document.Node) definition {
	d := definition{node: node, means: node}
	for range 3 { // an alias has no other behind it, but in schemas that the engine refuses
		name := ""
		switch d.means.Kind {
		case document.List, document.Null:
			d.kind = "alt"
			return d
		case document.String:
			name = d.means.Text
		case document.Map:
			if d.kind = "map"; d.means.Get("type") == nil {
				return d
			}
			name = d.means.Get("type").String()
		}
		d.kind = name
		alias, ok := strings.CutPrefix(name, "${")
		if !ok {
			return d
		}
		d.alias = strings.TrimSuffix(alias, "}")
		target := t.aliases.Get(d.alias)
		if target == nil {
			return d
		}
		d.means = target
	}
	return d
}

func (d definition) secret() bool { return d.node.Get("visibility").String() == "secret" }
func (d definition) ephemeral() bool {
	return d.node.Get("ephemeral").Is(document.Bool) && d.node.Get("ephemeral").Text == "true"
}

// fixed tells whether a map has fixed entries.
func (d definition) fixed() bool { return d.kind == "map" && d.means.Get("schema") != nil }

// below returns the definitions directly inside of one, with the step that leads there: a key, "{}" for all keys of a map
// without fixed entries, "[]" for the elements of a list. Alternatives are inside without a step. The types of keys are
// left out: they stand for names, not for values.
func (t *types) below(d definition) []child {
	var children []child
	switch d.kind {
	case "alt":
		for _, item := range d.means.List() {
			children = append(children, child{"", t.define(item)})
		}
	case "array":
		if values := d.means.Get("values"); values != nil {
			children = append(children, child{"[]", t.define(values)})
		}
	case "map":
		entries := d.means.Get("schema")
		for _, name := range entries.Keys() {
			children = append(children, child{name, t.define(entries.Get(name))})
		}
		if values := d.means.Get("values"); values != nil {
			children = append(children, child{"{}", t.define(values)})
		}
	}
	return children
}

type child struct {
	step string
	definition
}

// step returns the definitions that an accessor leads to, those of alternatives included.
func (t *types) step(d definition, accessor path.Accessor) []definition {
	var next []definition
	for _, child := range t.below(d) {
		switch {
		case child.step == "":
			next = append(next, t.step(child.definition, accessor)...)
		case child.step == "[]":
			if accessor.List() {
				next = append(next, child.definition)
			}
		case accessor.List():
		case child.step == "{}", accessor.Kind == path.KeyPlaceholder, child.step == accessor.Name:
			next = append(next, child.definition)
		}
	}
	return next
}

// along returns the definitions that a storage path leads through, level by level: first the root, last those at its end.
func (t *types) along(storage path.Path) [][]definition {
	levels := [][]definition{{t.define(t.root)}}
	for _, accessor := range storage {
		var next []definition
		for _, d := range levels[len(levels)-1] {
			next = append(next, t.step(d, accessor)...)
		}
		levels = append(levels, next)
	}
	return levels
}

// deepDefinitions is how far walks through all definitions go; data cannot be deeper.
const deepDefinitions = 64

// walk calls back with each definition and the path that leads to it, from the root down.
func (t *types) walk(visit func(steps []string, d definition)) {
	t.walkFrom(nil, t.define(t.root), 0, visit)
}

func (t *types) walkFrom(steps []string, d definition, depth int, visit func([]string, definition)) {
	visit(steps, d)
	if depth > deepDefinitions {
		return
	}
	for _, child := range t.below(d) {
		inner := slices.Clip(steps)
		if child.step != "" {
			inner = append(inner, child.step)
		}
		t.walkFrom(inner, child.definition, depth+1, visit)
	}
}

// any tells whether something holds of one of the definitions or of one inside of them.
func (t *types) any(list []definition, holds func(definition) bool) bool {
	found := false
	for _, d := range list {
		t.walkFrom(nil, d, 0, func(_ []string, d definition) { found = found || holds(d) })
	}
	return found
}

// covers tells whether a storage path leads to what stands at a walk's steps, or to something above it.
func covers(storage path.Path, steps []string) bool {
	return len(storage) <= len(steps) && along(storage, steps)
}

// along tells whether path and steps agree as far as both go.
func along(storage path.Path, steps []string) bool {
	for i := range min(len(storage), len(steps)) {
		switch step := steps[i]; {
		case step == "[]":
			if !storage[i].List() {
				return false
			}
		case storage[i].List():
			return false
		case step == "{}", storage[i].Kind == path.KeyPlaceholder, storage[i].Name == step:
		default:
			return false
		}
	}
	return true
}

// dotted shows a walk's steps as people write them.
func dotted(steps []string) string {
	var text strings.Builder
	for i, step := range steps {
		switch {
		case step == "[]":
			text.WriteString("[]")
			continue
		case i > 0:
			text.WriteByte('.')
		}
		if step == "{}" {
			step = "{…}"
		}
		text.WriteString(step)
	}
	return text.String()
}
