package databag

import "slices"

// Changed returns the storage paths that were changed, added or removed between two bags. Paths consist of keys,
// since a list counts as one value. Changed skips shared nodes. If there are more than about limit paths, the path of
// an object replaces those below it. A number in another notation counts as changed although it is Equal.
//
// The paths of a transaction (Tx.Altered) differ: they include values that did not change, and open placeholders.
func Changed(before, after Bag, limit int) []string {
	return differ(nil, "", before.Root(), after.Root(), limit)
}

// differ appends the paths of the differences between two nodes at path to paths.
func differ(paths []string, path string, a, b *Node, limit int) []string {
	switch {
	case a == b:
		return paths
	case a == nil && b.Kind() == Object && !b.Empty():
		a = Bag{}.Root() // each key was added
	case b == nil && a.Kind() == Object && !a.Empty():
		b = Bag{}.Root()
	case a == nil || b == nil || a.Kind() != b.Kind():
		return append(paths, path)
	case a.Kind() == List:
		if !sameLists(a, b) {
			return append(paths, path)
		}
		return paths
	case a.Kind() != Object:
		if a.Text() != b.Text() {
			return append(paths, path)
		}
		return paths
	}
	first := len(paths)
	eachKey(a, b, func(key string, a, b *Node) bool {
		below := key
		if path != "" {
			below = path + "." + key
		}
		paths = differ(paths, below, a, b, limit)
		return path == "" || len(paths)-first <= limit // the top level has no path of its own
	})
	if path != "" && len(paths)-first > limit {
		paths = append(paths[:first], path)
	}
	return paths
}

// eachKey calls visit for each key of two objects, with nil for a missing value, until visit returns false.
func eachKey(a, b *Node, visit func(key string, a, b *Node) bool) {
	left, right := a.Keys().Names(), b.Keys().Names()
	if a.Keys() == b.Keys() {
		for i, kid := range a.Kids() {
			if kid != b.Kids()[i] && !visit(left[i], kid, b.Kids()[i]) {
				return
			}
		}
		return
	}
	for i, j := 0, 0; i < len(left) || j < len(right); {
		var more bool
		switch {
		case j == len(right) || i < len(left) && left[i] < right[j]:
			more = visit(left[i], a.Kids()[i], nil)
			i++
		case i == len(left) || left[i] > right[j]:
			more = visit(right[j], nil, b.Kids()[j])
			j++
		default:
			more = visit(left[i], a.Kids()[i], b.Kids()[j])
			i, j = i+1, j+1
		}
		if !more {
			return
		}
	}
}

// sameLists reports whether two lists have the same elements, numbers in the same notation.
func sameLists(a, b *Node) bool {
	return slices.EqualFunc(a.Kids(), b.Kids(), func(a, b *Node) bool { return len(differ(nil, "x", a, b, 0)) == 0 })
}
