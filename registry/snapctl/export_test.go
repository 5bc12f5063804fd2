package snapctl

import (
	"maps"
	"slices"

	"aspects-poc/internal/snapdhttp"
)

// Judge returns the verdict of compare about a write, from the values before and after it. before is nil if they are not
// known. The value Hidden stands for a request that cannot be read.
func Judge(written, before, after map[string]any) string {
	return [...]string{"stored", "as before", "altered", "differs"}[compare(written, before, after, before != nil)]
}

// Hidden stands for the value of a request that can only be written.
var Hidden any = unreadable{}

// Arguments completes a command line.
func Arguments(flags []string, positional ...string) []string { return arguments(flags, positional...) }

// Pairs returns the values of a set as arguments of the command line.
func Pairs(values map[string]any) ([]string, error) {
	_, pairs, err := assignments(snapdhttp.Request{Requests: slices.Sorted(maps.Keys(values))}, values)
	return pairs, err
}
