package roles

import (
	"strconv"
	"strings"

	"aspects-poc/internal/nearest"
)

// suggest ends the refusal of an unknown name with those known ones that may have been meant, else with all of them.
func suggest(name string, known []string) string {
	near := nearest.Names(name, known)
	if len(near) == 0 {
		return "; known are " + strings.Join(known, ", ")
	}
	for i := range near {
		near[i] = strconv.Quote(near[i])
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
