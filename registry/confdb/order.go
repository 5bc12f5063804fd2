package confdb

import (
	"maps"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/view"
)

// A request is a key of a write with its parsed path. The path of a malformed key is empty; the view returns the error.
type request struct {
	text string
	path path.Path
}

// requests are keys of a write that are applied together: one key that is set, or several that are unset.
type requests []request

// inOrder returns the keys of a write in the order of their application: by request path, a prefix first, indexes by
// number. Keys that remove something from a list and do not overlap a key that is set come last and together.
// Removing an element moves the later ones, and the other keys use the old indexes.
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

// byNumber orders like path.Compare, but indexes by number.
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

// overlap reports whether one of the requests overlaps one of the others.
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

// apply makes the writes of one request, in order. Removals from lists come last and together, unless another write
// overlaps them: a removal moves the later elements, and the other writes use the old indexes. (snapd makes all
// writes in order, and so changes elements that nobody named.)
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

// prefixes are the storage paths of a set of writes.
type prefixes struct {
	paths []path.Path
	ends  map[string]bool
	above map[string]bool // prefixes of the paths
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

// overlap reports whether something is stored at, above or below a path. For a path without placeholders it does not
// visit all other paths, of which there may be one for each element of a list.
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
