package lint

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/nearest"
)

// instead ends a message about something that is missing with the key of a map that may have been meant for it, "" if there is
// none.
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

// question is the end of a message as help by itself.
func question(ending string) string { return strings.TrimPrefix(ending, "; ") }

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
