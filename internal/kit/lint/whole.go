package lint

import (
	"slices"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// writesWhole reports whether another rule of the view writes the whole list or map that contains the values for a placeholder in
// r's request or, if entry is true, one whole entry of it. placeholder is its index in the request. snapd writes the value of such a
// rule first, so the containers exist when it writes the values of rules for parts. The other rule may be for the list or map itself
// or for a container of it, and may have placeholders of its own.
func (v *viewModel) writesWhole(r *ruleModel, placeholder int, entry bool) bool {
	container := r.Request[:placeholder]
	end := slices.IndexFunc(r.Storage, func(a path.Accessor) bool {
		return a.Kind == r.Request[placeholder].Kind && a.Name == r.Request[placeholder].Name
	})
	if end < 0 {
		return false
	}
	if entry {
		container, end = r.Request[:placeholder+1], end+1
	}
	for i := range v.rules {
		whole := &v.rules[i]
		if whole == r || !whole.Writable || len(whole.Request) > len(container) {
			continue
		}
		meant, ok := unify(whole.Request, container[:len(whole.Request)])
		if !ok {
			continue
		}
		written := append(substitute(whole.Storage, meant), container[len(whole.Request):]...)
		if written.Bare() == r.Storage[:end].Bare() {
			return true
		}
	}
	return false
}

// unify returns the accessors for the placeholders of a request with which it equals another request. ok is false if there are none.
func unify(request, other path.Path) (meant map[string]path.Accessor, ok bool) {
	meant = map[string]path.Accessor{}
	for i, accessor := range request {
		if accessor.List() != other[i].List() {
			return nil, false
		}
		if !accessor.Open() {
			if accessor.Bare() != other[i].Bare() {
				return nil, false
			}
			continue
		}
		meant[accessor.Name] = other[i]
	}
	return meant, true
}

// substitute replaces the placeholders of a storage path by accessors.
func substitute(storage path.Path, meant map[string]path.Accessor) path.Path {
	written := make(path.Path, 0, len(storage))
	for _, accessor := range storage {
		if other, ok := meant[accessor.Name]; ok && accessor.Open() && accessor.List() == other.List() {
			accessor = other
		}
		written = append(written, accessor)
	}
	return written
}

// checkShown reports rules with content that show entries which their content does not name.
func (c *checker) checkShown(v *viewModel) {
	for i := range v.rules {
		r := &v.rules[i]
		var content []*ruleModel
		for j := range v.rules {
			if v.rules[j].parent == r {
				content = append(content, &v.rules[j])
			}
		}
		if len(content) == 0 || !r.Readable {
			continue
		}
		levels := c.along(r.Storage)
		for _, d := range levels[len(levels)-1] {
			if hidden := unnamed(d, r, content); hidden != "" {
				c.add("content-parent", r.at(), "request %q shows all of %q, also %s, which its content does not name", r.Request, r.Storage, hidden)
				break
			}
		}
	}
}

// unnamed describes an entry of a definition that no content rule leads to; "" if there is none.
func unnamed(d schema.Definition, r *ruleModel, content []*ruleModel) string {
	switch d.Kind() {
	case "any":
		if d.Refused() {
			return ""
		}
		for _, inner := range content {
			if rest := inner.Storage[len(r.Storage):]; len(rest) < 2 && !slices.ContainsFunc(rest, func(a path.Accessor) bool { return !a.Open() }) {
				return "" // the content rule leads to all entries
			}
		}
		return "unknown keys"
	case "alt":
		for _, child := range d.Below() {
			if hidden := unnamed(child.Definition, r, content); hidden != "" {
				return hidden
			}
		}
	case "map", "array":
		for _, child := range d.Below() {
			named := false
			for _, inner := range content {
				rest := inner.Storage[len(r.Storage):]
				switch {
				case len(rest) == 0:
					named = true
				case child.Step == schema.Element:
					named = named || rest[0].Kind == path.IndexPlaceholder
				case child.Step == schema.AnyKey:
					named = named || rest[0].Kind == path.KeyPlaceholder
				default:
					named = named || rest[0].Kind == path.KeyPlaceholder || rest[0].Name == child.Step
				}
			}
			switch {
			case named:
			case child.Step == schema.Element:
				return "all elements"
			case child.Step == schema.AnyKey:
				return "all entries"
			default:
				return `"` + child.Step + `"`
			}
		}
	}
	return ""
}
