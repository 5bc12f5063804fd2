package snapctl

import (
	"maps"
	"slices"

	"aspects-poc/internal/snapdhttp"
)

// Judge tells what is concluded from what a write's requests showed before and after it; before is nil where it is not
// known. The value Hidden stands for a request that cannot be read.
func Judge(written, before, after map[string]any) string {
	return [...]string{"stored", "as before", "altered", "differs"}[compare(written, before, after, before != nil)]
}

// Hidden stands for the value of a request that the view lets only write.
var Hidden any = unreadable{}

// Arguments completes a command line.
func Arguments(flags []string, positional ...string) []string { return arguments(flags, positional...) }

// Pairs returns what a set's values are on the command line.
func Pairs(values map[string]any) ([]string, error) {
	_, pairs, err := assignments(snapdhttp.Request{Requests: slices.Sorted(maps.Keys(values))}, values)
	return pairs, err
}
