package lint

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/nearest"
)

// A guess suggests what was meant. The zero value suggests nothing.
type guess struct {
	ending string // ends a message: "; did you mean …?"
	name   string // the only suggested name; "" if there are several
	given  string // the key that name replaces; "" if no key is missing
}

// question returns the guess as a text of its own.
func (g guess) question() string { return strings.TrimPrefix(g.ending, "; ") }

// probably returns a guess of one name.
func probably(name string) guess {
	return guess{ending: "; did you mean " + strconv.Quote(name) + "?", name: name}
}

// instead suggests a missing key for one of the keys of a map that is similar.
func instead(of *document.Node, missing ...string) guess {
	for _, key := range missing {
		if of.Get(key) != nil {
			continue
		}
		for _, given := range of.Keys() {
			if !slices.Contains(missing, given) && len(nearest.Names(given, []string{key})) > 0 {
				return guess{"; did you mean " + strconv.Quote(key) + " instead of " + strconv.Quote(given) + "?", key, given}
			}
		}
	}
	return guess{}
}

// didYouMean suggests the known names that are similar to an unknown one.
func didYouMean(name string, known []string) guess {
	near := nearest.Names(name, known)
	switch len(near) {
	case 0:
		return guess{}
	case 1:
		return probably(near[0])
	}
	for i := range near {
		near[i] = strconv.Quote(near[i])
	}
	return guess{ending: "; did you mean " + strings.Join(near, " or ") + "?"}
}
