package embedded

import (
	"slices"

	"aspects-poc/registry/confdb/databag"
)

// An encoder writes bags as JSON. It copies unchanged runs of members from the previous text: to visit ten thousand
// members would take most of a commit's time, since after the wait for the disk none is in the processor's cache. The
// zero encoder is ready for use. Nodes identify the parts of the previous text, so that text may be of any earlier state.
type encoder struct {
	text    []byte                // the previous text
	layouts []layout              // objects in text, by offset
	byNode  map[*databag.Node]int // indexes in layouts
	roots   map[string]*databag.Node

	spare []byte   // buffer for the next text
	fresh []layout // layouts of the next text
}

// A layout records where the members of an object are in the text.
type layout struct {
	node  *databag.Node
	start int // offset of the object
	// ends are the offsets behind each member, before the comma, relative to start.
	ends []int
}

// begin returns the offset of a member, relative to start.
func (l *layout) begin(member int) int {
	if member == 0 {
		return 1
	}
	return l.ends[member-1] + 1
}

// end returns the offset behind the object.
func (l *layout) end() int {
	if len(l.ends) == 0 {
		return l.start + len("{}")
	}
	return l.start + l.ends[len(l.ends)-1] + 1
}

// Objects have a layout if they are at the top levels or have many members.
const (
	topLevels   = 2
	manyMembers = 64
)

// begin returns the buffer for a new text.
func (e *encoder) begin() []byte {
	e.fresh = e.fresh[:0:0] // the old slice is still in use
	return e.spare[:0]
}

// finish stores a text and its layouts for the next call.
func (e *encoder) finish(text []byte, roots map[string]*databag.Node) {
	e.text, e.spare = text, e.text
	e.layouts, e.roots = e.fresh, roots
	e.byNode = make(map[*databag.Node]int, len(e.layouts))
	for i := range e.layouts {
		e.byNode[e.layouts[i].node] = i
	}
}

// find returns the layout of a node in the previous text, or nil.
func (e *encoder) find(node *databag.Node) *layout {
	if i, found := e.byNode[node]; found {
		return &e.layouts[i]
	}
	return nil
}

// append appends a node. before is an earlier version of it, or nil.
func (e *encoder) append(to []byte, node, before *databag.Node, level int) []byte {
	if node.Kind() != databag.Object || level >= topLevels && len(node.Kids()) < manyMembers {
		return node.AppendJSON(to)
	}
	if known := e.find(node); known != nil {
		return e.copy(to, known.start, known.end())
	}
	old := e.find(before)
	start, names, kids := len(to), node.Keys().Names(), node.Kids()
	ends := make([]int, len(kids))
	e.fresh = append(e.fresh, layout{node: node, start: start, ends: ends})
	to = append(to, '{')
	for i, j := 0, 0; i < len(kids); {
		if i > 0 {
			to = append(to, ',')
		}
		run := 0
		if old != nil {
			j = seek(old.node, names[i], i, j, node)
			run = shared(node, old.node, i, j)
		}
		if run == 0 {
			var kid *databag.Node
			if old != nil {
				kid = old.node.Kid(names[i])
			}
			to = e.append(appendName(to, names[i]), kids[i], kid, level+1)
			ends[i] = len(to) - start
			i++
			continue
		}
		shift := len(to) - start - old.begin(j)
		to = e.copy(to, old.start+old.begin(j), old.start+old.ends[j+run-1])
		for range run {
			ends[i] = old.ends[j] + shift
			i, j = i+1, j+1
		}
	}
	return append(to, '}')
}

// seek returns the index of the first key in old, from index from on, that is not less than name.
func seek(old *databag.Node, name string, index, from int, node *databag.Node) int {
	if old.Keys() == node.Keys() {
		return index
	}
	names := old.Keys().Names()
	for from < len(names) && names[from] < name {
		from++
	}
	return from
}

// shared returns how many consecutive members are the same in both versions.
func shared(node, old *databag.Node, i, j int) int {
	names, kids, oldNames, oldKids := node.Keys().Names(), node.Kids(), old.Keys().Names(), old.Kids()
	same := node.Keys() == old.Keys()
	run := 0
	for i+run < len(kids) && j+run < len(oldKids) && kids[i+run] == oldKids[j+run] &&
		(same || names[i+run] == oldNames[j+run]) {
		run++
	}
	return run
}

// copy appends a part of the previous text, and the layouts of its objects.
func (e *encoder) copy(to []byte, from, until int) []byte {
	shift := len(to) - from
	first, _ := slices.BinarySearchFunc(e.layouts, from, func(l layout, from int) int { return l.start - from })
	for _, l := range e.layouts[first:] {
		if l.start >= until {
			break
		}
		e.fresh = append(e.fresh, layout{node: l.node, start: l.start + shift, ends: l.ends})
	}
	return append(to, e.text[from:until]...)
}
