package fleet

import "aspects-poc/internal/jsonvalue"

// InStep reports whether a device that reports reported has everything that target demands. Both are trees of nil,
// bool, string, json.Number, []any and map[string]any.
//
// The device must report each leaf of the target with an equal value. Leaves are all values except objects: scalars,
// and arrays, which are compared as a whole and in order, by jsonvalue.Equal. A null leaf demands that the device does
// not report the value, or reports null. An empty object demands nothing. Other reported values do not matter.
func InStep(target, reported map[string]any) bool {
	for name, demanded := range target {
		got, there := reported[name]
		switch demanded := demanded.(type) {
		case nil:
			if there && got != nil {
				return false
			}
		case map[string]any:
			// A value that is no object has no leaves below it, as nulls in the target demand.
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
