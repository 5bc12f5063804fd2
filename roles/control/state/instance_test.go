package state_test

import (
	"testing"

	"aspects-poc/roles/control/state"
)

// TestInstance tells a state directory from a copy of it.
func TestInstance(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	name := (&state.Dir{Path: dir}).Instance()
	if again := (&state.Dir{Path: dir}).Instance(); name == "" || again != name {
		t.Errorf("%q, then %q", name, again)
	}
	if copied := (&state.Dir{Path: other}).Instance(); copied == name {
		t.Errorf("two directories are %q", name)
	}
}
