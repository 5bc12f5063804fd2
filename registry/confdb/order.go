package confdb

import (
	"maps"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/view"
)

// A request is a key of a write. Its path is empty where it is malformed, which the view will say.
type request struct {
	text string
	path path.Path
}

// requests are keys of a write that are applied together: one that is set, or several that are unset.
type requests []request

// inOrder returns the keys of a write in the order in which they are applied: by request path, a prefix before what is
// longer, indexes by number. Those that unset something inside a list, and nothing that another key sets, come last and
// together, because removing an element moves the later ones, which the other keys still mean by their old indexes.
func inOrder(values map[string]any) []requests {
	var late requests
	var order []requests
	for _, text := range slices.Sorted(maps.Keys(values)) {
		parsed, _ := path.ParseRequest(text)
		order = append(order, requests{{text, parsed}})
	}
	slices.SortStableFunc(order, func(a, b requests) int { return byNumber(a[0].path, b[0].path) })
	sets := slices.DeleteFunc(slices.Clone(order), func(r requests) bool { return values[r[0].text] == nil })
	order = slices.DeleteFunc(order, func(r requests) bool {
		if values[r[0].text] != nil || !throughList(r[0].path) || r.overlap(sets) {
			return false
		}
		late = append(late, r...)
		return true
	})
	if late != nil {
		order = append(order, late)
	}
	return order
}

// byNumber orders as path.Compare does, but indexes by number.
func byNumber(a, b path.Path) int {
	for i := range min(len(a), len(b)) {
		if a[i].Kind == path.Index && b[i].Kind == path.Index && a[i].Index() != b[i].Index() {
			return a[i].Index() - b[i].Index()
		}
		if a[i].Bare() != b[i].Bare() {
			break
		}
	}
	return path.Compare(a, b)
}

// overlap tells whether one of the requests is a prefix of one of the others, or the other way round.
func (r requests) overlap(others []requests) bool {
	for _, some := range others {
		for _, other := range some {
			for _, request := range r {
				if request.text != other.text && path.Overlap(request.path, other.path) {
					return true
				}
			}
		}
	}
	return false
}

// apply makes the writes of one request, in order. Removals from lists, where nothing else is written, are made last
// and together: they move the elements behind, which the other writes mean by their old indexes. (snapd makes them in
// order, so that it removes or overwrites what nobody named.)
func apply(edit *databag.Edit, writes []view.Write) error {
	var late []path.Path
	var written *prefixes
	for _, write := range writes {
		if write.Value == nil && throughList(write.Storage) {
			if written == nil {
				written = prefixesOf(writes)
			}
			if !written.overlap(write.Storage) {
				late = append(late, write.Storage)
				continue
			}
		}
		var err error
		if write.Value == nil {
			err = edit.Unset(write.Storage)
		} else {
			err = edit.Set(write.Storage, write.Value)
		}
		if err != nil {
			return err
		}
	}
	return edit.Unset(late...)
}

func throughList(p path.Path) bool { return slices.ContainsFunc(p, path.Accessor.List) }

// prefixes are the paths that a set of writes stores something at.
type prefixes struct {
	paths []path.Path
	ends  map[string]bool
	above map[string]bool // what a path goes through
}

func prefixesOf(writes []view.Write) *prefixes {
	p := &prefixes{ends: map[string]bool{}, above: map[string]bool{}}
	for _, write := range writes {
		if write.Value == nil {
			continue
		}
		p.paths = append(p.paths, write.Storage)
		p.ends[write.Storage.Bare()] = true
		for i := range write.Storage {
			p.above[write.Storage[:i].Bare()] = true
		}
	}
	return p
}

// overlap tells whether something is stored at, above or below a path. For a path without placeholders that takes no
// look at all the others, of which there may be as many as elements in a list.
func (p *prefixes) overlap(storage path.Path) bool {
	if storage.Open() {
		return slices.ContainsFunc(p.paths, func(written path.Path) bool { return path.Overlap(storage, written) })
	}
	for i := range len(storage) + 1 {
		if p.ends[storage[:i].Bare()] {
			return true
		}
	}
	return p.above[storage.Bare()]
}
