package roles

import (
	"strconv"
	"strings"

	"aspects-poc/internal/nearest"
)

// suggest returns the end of a message about an unknown name: similar known names, or else all.
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
