package oracle_test

import (
	"slices"
	"testing"

	"aspects-poc/roles/fleetsim/oracle"
)

// TestShrink looks for two acts among many that fail together only.
func TestShrink(t *testing.T) {
	acts := oracle.Acts(1, 200)
	for i := range acts {
		acts[i].Back = i
	}
	has := func(list []oracle.Act, n int) bool {
		return slices.ContainsFunc(list, func(a oracle.Act) bool { return a.Back == n })
	}
	tries := 0
	short := oracle.Shrink(acts, 1000, func(list []oracle.Act) bool {
		tries++
		return has(list, 17) && has(list, 140)
	})
	if len(short) != 2 || short[0].Back != 17 || short[1].Back != 140 || tries > 100 {
		t.Errorf("%d tries: %v", tries, short)
	}
	if short = oracle.Shrink(acts, 3, func(list []oracle.Act) bool { return has(list, 17) }); len(short) == 1 {
		t.Error("more tries than allowed")
	}
}
