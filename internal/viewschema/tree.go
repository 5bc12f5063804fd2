package viewschema

import (
	"maps"
	"slices"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// A Node is a place in the documents of a view, with the places below it. Tree returns the root.
type Node struct {
	Rules   []Place // types of the value, for each rule that ends here
	Members map[string]*Node
	// Other is the place below a placeholder for keys. The placeholder also stands for the names in Members. It is nil for none.
	Other *Node
	// Keys has an entry for each rule with that placeholder: the definitions of keys, of which a key fits one; nil for any key.
	Keys    [][]schema.Definition
	Element *Node // the place below a placeholder for indexes
	// Gaps means that a read can return null for an element that has no data at the storage path of the rule. So the other elements
	// keep their indexes.
	Gaps bool
}

// Tree returns the tree of the documents that a view shows (Read), or that can be written through it (Write). ok is false if the
// view does not exist or has no rule for the access. The names of fixed entries replace a placeholder that stands only for them.
func Tree(parsed *confdb.Schema, view string, access Access) (_ *Node, ok bool) {
	root := &Node{}
	for _, rule := range parsed.Rules(view) {
		if access == Read && !rule.Readable || access == Write && !rule.Writable {
			continue
		}
		ok = true
		root.grow(Place{Types: []schema.Definition{parsed.Storage().Root()}}, rule.Request, rule.Storage, nil)
		root.gap(rule.Request, rule.Storage)
	}
	return root, ok
}

// gap sets Gaps of the lists for which a rule leads to a part of each element.
func (n *Node) gap(request, storage path.Path) {
	if n == nil || len(request) == 0 {
		return
	}
	accessor := request[0]
	if accessor.List() {
		at := slices.IndexFunc(storage, func(a path.Accessor) bool { return a.Kind == accessor.Kind && a.Name == accessor.Name })
		n.Gaps = n.Gaps || at+1 < len(storage)
		n.Element.gap(request[1:], storage)
		return
	}
	for name, member := range n.Members {
		if accessor.Open() || name == accessor.Name {
			member.gap(request[1:], storage)
		}
	}
	if accessor.Open() {
		n.Other.gap(request[1:], storage)
	}
}

// A Place has the possible types of the value at a storage path.
type Place struct {
	Types    []schema.Definition
	Anything bool // a type on the way has no definition for the values inside
}

// step returns the Place that an accessor leads to. keys are the definitions of the keys, if every map at p has one.
func (p Place) step(accessor path.Accessor) (inside Place, keys []schema.Definition) {
	inside.Anything = p.Anything
	unlimited := p.Anything
	var follow func(of schema.Definition)
	follow = func(of schema.Definition) {
		key, limited := of.Keys()
		switch {
		case of.Kind() == "alt":
			for _, child := range of.Below() {
				follow(child.Definition)
			}
			return
		case of.Kind() == "any":
			inside.Anything, unlimited = true, true
			return
		case of.Kind() != "map" || accessor.List():
			inside.Types = append(inside.Types, of.Step(accessor)...)
			return
		case !limited:
			unlimited = true
		case !accessor.Open() && !accepts(key, accessor.Name):
			return
		default:
			keys = append(keys, key)
		}
		inside.Types = append(inside.Types, of.Step(accessor)...)
		inside.Anything = inside.Anything || of.KeysOnly()
	}
	for _, of := range p.Types {
		follow(of)
	}
	if unlimited {
		keys = nil
	}
	return inside, keys
}

// accepts reports whether the definition of a map's keys accepts a name as a key.
func accepts(keys schema.Definition, name string) bool {
	if choices := keys.Choices(); choices != nil {
		return slices.Contains(choices, name)
	}
	pattern := keys.Pattern()
	return pattern == nil || pattern.MatchString(name)
}

// names returns the names of the fixed entries at a place, which may replace a placeholder. It returns nil if a type at the place
// accepts other names, too.
func (p Place) names() []string {
	var names []string
	open := p.Anything
	var follow func(of schema.Definition)
	follow = func(of schema.Definition) {
		for _, child := range of.Below() {
			switch {
			case of.Kind() == "alt":
				follow(child.Definition)
			case of.Fixed():
				names = append(names, child.Step)
			}
		}
		open = open || of.Kind() == "any" || of.Kind() == "map" && !of.Fixed()
	}
	for _, of := range p.Types {
		follow(of)
	}
	if open {
		return nil
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// grow adds a rule to the root. request is its request path, and storage the part of its storage path behind data. keys has, by
// placeholder, the definitions of keys in the maps on the way. The names of fixed entries replace a placeholder for them, one by one.
func (n *Node) grow(data Place, request, storage path.Path, keys map[string][]schema.Definition) {
	if len(storage) == 0 {
		n.add(request, data, keys)
		return
	}
	accessor := storage[0]
	names := data.names()
	if !accessor.Open() || accessor.List() || names == nil {
		inside, limits := data.step(accessor)
		if accessor.Open() && limits != nil {
			keys = maps.Clone(keys)
			if keys == nil {
				keys = map[string][]schema.Definition{}
			}
			keys[accessor.Name] = limits
		}
		n.grow(inside, request, storage[1:], keys)
		return
	}
	for _, name := range names {
		literal := path.Accessor{Kind: path.Key, Name: name}
		replace := func(in path.Path) path.Path {
			out := slices.Clone(in)
			for i := range out {
				if out[i].Kind == path.KeyPlaceholder && out[i].Name == accessor.Name {
					out[i] = literal
				}
			}
			return out
		}
		n.grow(data, replace(request), replace(storage), keys)
	}
}

func (n *Node) add(request path.Path, data Place, keys map[string][]schema.Definition) {
	if len(request) == 0 {
		n.Rules = append(n.Rules, data)
		return
	}
	accessor := request[0]
	if accessor.Open() && !accessor.List() {
		n.Keys = append(n.Keys, keys[accessor.Name])
	}
	n.step(accessor).add(request[1:], data, keys)
}

func (n *Node) step(accessor path.Accessor) *Node {
	next := func(place **Node) *Node {
		if *place == nil {
			*place = &Node{}
		}
		return *place
	}
	switch {
	case accessor.List():
		return next(&n.Element)
	case accessor.Open():
		return next(&n.Other)
	}
	if n.Members == nil {
		n.Members = map[string]*Node{}
	}
	member := n.Members[accessor.Name]
	n.Members[accessor.Name] = next(&member)
	return member
}

// With returns a node with the rules of two nodes. Call it to combine the rules for a name with those for a placeholder.
func (n *Node) With(other *Node) *Node {
	switch {
	case n == nil:
		return other
	case other == nil:
		return n
	}
	both := &Node{Rules: slices.Concat(n.Rules, other.Rules), Keys: slices.Concat(n.Keys, other.Keys), Other: n.Other.With(other.Other),
		Gaps:    n.Gaps || other.Gaps,
		Element: n.Element.With(other.Element)}
	if n.Members != nil || other.Members != nil {
		both.Members = maps.Clone(n.Members)
		if both.Members == nil {
			both.Members = map[string]*Node{}
		}
		for name, member := range other.Members {
			both.Members[name] = both.Members[name].With(member)
		}
	}
	return both
}
