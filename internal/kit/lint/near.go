package lint

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/nearest"
)

// instead returns the end of a message about missing keys of a map. It suggests a key for one of the map's keys that is similar; "" if
// there is none.
func instead(of *document.Node, missing ...string) string {
	for _, key := range missing {
		if of.Get(key) != nil {
			continue
		}
		for _, given := range of.Keys() {
			if !slices.Contains(missing, given) && len(nearest.Names(given, []string{key})) > 0 {
				return "; did you mean " + strconv.Quote(key) + " instead of " + strconv.Quote(given) + "?"
			}
		}
	}
	return ""
}

// question turns the result of instead or didYouMean into a text of its own.
func question(ending string) string { return strings.TrimPrefix(ending, "; ") }

// didYouMean returns the end of a message about an unknown name. It suggests the known names that are similar; "" if there are none.
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
