package embedded

import (
	"slices"

	"aspects-poc/registry/confdb/databag"
)

// An encoder writes bags as JSON, and copies what it has written before in long runs. Asking each of ten thousand items
// for its text would take most of a commit's time: after the wait for the disk none of them is in the processor's cache.
// The zero encoder is ready. What it knows need not be of the state before: text is found by the node it belongs to.
type encoder struct {
	text    []byte                // of the last time
	layouts []layout              // of objects in text, by where they start
	byNode  map[*databag.Node]int // indexes in layouts
	roots   map[string]*databag.Node

	spare []byte   // becomes text
	fresh []layout // becomes layouts
}

// A layout tells where the members of an object are.
type layout struct {
	node  *databag.Node
	start int // offset of the object in the text
	// ends are the offsets, from start, behind each member and before the comma.
	ends []int
}

// begin is the offset, from start, of a member.
func (l *layout) begin(member int) int {
	if member == 0 {
		return 1
	}
	return l.ends[member-1] + 1
}

// end is the offset in the text behind the object.
func (l *layout) end() int {
	if len(l.ends) == 0 {
		return l.start + len("{}")
	}
	return l.start + l.ends[len(l.ends)-1] + 1
}

// Objects get a layout where there are few of them: those at the top, and those with many members.
const (
	topLevels   = 2
	manyMembers = 64
)

// begin returns the buffer to write a new text to.
func (e *encoder) begin() []byte {
	e.fresh = e.fresh[:0:0] // the old one is still in use
	return e.spare[:0]
}

// finish remembers a text and where its bags' roots are.
func (e *encoder) finish(text []byte, roots map[string]*databag.Node) {
	e.text, e.spare = text, e.text
	e.layouts, e.roots = e.fresh, roots
	e.byNode = make(map[*databag.Node]int, len(e.layouts))
	for i := range e.layouts {
		e.byNode[e.layouts[i].node] = i
	}
}

// find returns the layout of a node in the last text, or nil.
func (e *encoder) find(node *databag.Node) *layout {
	if i, found := e.byNode[node]; found {
		return &e.layouts[i]
	}
	return nil
}

// append writes a node, of which before is an earlier version or nil.
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

// seek returns the index in an earlier version of the first key that is not before name: at or behind from.
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

// shared returns how many members in a row are the same in both versions.
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

// copy appends a piece of the last text, with the layouts of the objects in it.
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
