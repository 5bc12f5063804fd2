package fleet

import "aspects-poc/internal/jsonvalue"

// InStep tells whether a device that reports reported has everything that target demands. Both are trees of nil, bool,
// string, json.Number, []any and map[string]any.
//
// Each leaf of the target has to be reported equal. Leaves are what is no object: scalars, and arrays, which are
// compared whole and in order, by jsonvalue.Equal. A null leaf is a demand to unset: the
// device must not report it (or report null). An empty object demands nothing, and neither does what a device reports
// beyond the target.
func InStep(target, reported map[string]any) bool {
	for name, demanded := range target {
		got, there := reported[name]
		switch demanded := demanded.(type) {
		case nil:
			if there && got != nil {
				return false
			}
		case map[string]any:
			// What is no object reports no leaf below it, which is what nulls in the target ask for.
			below, _ := got.(map[string]any)
			if !InStep(demanded, below) {
				return false
			}
		default:
			if !there || !jsonvalue.Equal(demanded, got) {
				return false
			}
		}
	}
	return true
}
