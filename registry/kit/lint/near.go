package lint

import (
	"strconv"
	"strings"

	"aspects-poc/internal/nearest"
)

// didYouMean ends a message about an unknown name with those known ones that may have been meant, "" if there are none.
func didYouMean(name string, known []string) string {
	near := nearest.Names(name, known)
	if len(near) == 0 {
		return ""
	}
	for i := range near {
		near[i] = strconv.Quote(near[i])
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
