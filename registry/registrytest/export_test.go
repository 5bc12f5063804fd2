package registrytest

import (
	"slices"
	"testing"

	"aspects-poc/registry"
)

// Failure runs one case and returns the failures of the backend; "" if it meets the case.
func Failure(t *testing.T, open func(t *testing.T) *registry.Registry, options Options, name string) string {
	t.Helper()
	for _, c := range slices.Concat(readCases, writeCases, refusalCases, updateCases, applyCases, watchCases, lifeCases) {
		if c.name == name {
			_, text := try(t, options, open, c)
			return text
		}
	}
	t.Fatalf("no case is called %q", name)
	return ""
}
