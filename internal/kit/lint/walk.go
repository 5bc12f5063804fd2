package lint

import (
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// root returns the top level of the storage schema.
func (c *checker) root() schema.Definition { return c.schema.Storage().Root() }

// node returns the part of the document that defines a type.
func (c *checker) node(d schema.Definition) *document.Node {
	node, _ := c.storage.Follow(d.At...)
	return node
}

// position returns the position of a place in the storage schema.
func (c *checker) position(at []string, steps ...string) document.Position {
	_, position := c.storage.Follow(slices.Concat(at, steps)...)
	return position
}

// along returns the definitions that a storage path leads through, level by level: first the root, last those at its
// end.
func (c *checker) along(storage path.Path) [][]schema.Definition {
	levels := [][]schema.Definition{{c.root()}}
	for _, accessor := range storage {
		var next []schema.Definition
		for _, d := range levels[len(levels)-1] {
			next = append(next, d.Step(accessor)...)
		}
		levels = append(levels, next)
	}
	return levels
}

// deepDefinitions is the depth at which walks through definitions end. Data cannot be deeper.
const deepDefinitions = 64

// A step of a walk is a definition, with the way from the top level to it.
type step struct {
	schema.Definition
	way    []string // schema.Child.Step of each definition on the way
	secret bool     // the definition or one around it is secret
}

// walk calls visit with a definition and all definitions inside it, outer ones first.
func walk(d schema.Definition, visit func(step)) { walkFrom(step{d, nil, d.Secret()}, 0, visit) }

func walkFrom(at step, depth int, visit func(step)) {
	visit(at)
	if depth > deepDefinitions {
		return
	}
	for _, child := range at.Below() {
		way := slices.Clip(at.way)
		if child.Step != "" {
			way = append(way, child.Step)
		}
		walkFrom(step{child.Definition, way, at.secret || child.Secret()}, depth+1, visit)
	}
}

// covers reports whether a storage path leads to the end of a way, or to a container of it.
func covers(storage path.Path, way []string) bool {
	return len(storage) <= len(way) && agree(storage, way)
}

// agree reports whether a storage path and a way are the same up to the end of the shorter one.
func agree(storage path.Path, way []string) bool {
	for i := range min(len(storage), len(way)) {
		switch step := way[i]; {
		case step == schema.Element:
			if !storage[i].List() {
				return false
			}
		case storage[i].List():
			return false
		case step == schema.AnyKey, storage[i].Kind == path.KeyPlaceholder, storage[i].Name == step:
		default:
			return false
		}
	}
	return true
}

// dotted returns a way as text, such as a.{…}.b[].
func dotted(way []string) string {
	var text strings.Builder
	for i, step := range way {
		switch {
		case step == schema.Element:
			text.WriteString("[]")
			continue
		case i > 0:
			text.WriteByte('.')
		}
		if step == schema.AnyKey {
			step = "{…}"
		}
		text.WriteString(step)
	}
	return text.String()
}
