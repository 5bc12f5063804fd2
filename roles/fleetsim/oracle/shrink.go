package oracle

import "slices"

// Shrink returns the shortest list that it finds, within a number of tries, for which fails returns true. It leaves out
// parts of the list: first halves, at the end single acts.
func Shrink(acts []Act, tries int, fails func([]Act) bool) []Act {
	for size := max(1, len(acts)/2); ; size = max(1, size/2) {
		shorter := false
		for at := 0; at < len(acts) && tries > 0; tries-- {
			without := slices.Concat(acts[:at], acts[min(at+size, len(acts)):])
			if fails(without) {
				acts, shorter = without, true
			} else {
				at += size
			}
		}
		if size == 1 && !shorter || tries <= 0 {
			return acts
		}
	}
}
