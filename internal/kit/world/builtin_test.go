package world_test

import (
	"testing"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/registry/backend"
)

// TestBuiltin checks the refusals of accesses to the confdb-schema that snapd contains.
func TestBuiltin(t *testing.T) {
	w := machine(t, changes.Options{})
	id := func(view string) backend.ViewID {
		return backend.ViewID{Account: "system", Schema: "validation-sets", View: view}
	}
	values := map[string]any{"acc.set": map[string]any{"mode": "monitor"}}
	for _, test := range []struct {
		access func() (string, error)
		want   string
	}{
		{func() (string, error) { return w.Changes.Get(t.Context(), id("x"), nil, changes.Access{}) },
			`cannot find view "x" in confdb schema system/validation-sets`},
		{func() (string, error) { return w.Changes.Get(t.Context(), id("state"), nil, changes.Access{}) },
			"cannot read confdb view system/validation-sets/state: no custodian snap connected"},
		{func() (string, error) { return w.Changes.Set(t.Context(), id("admin"), values, changes.Access{}) },
			"cannot write confdb view system/validation-sets/admin: no custodian snap connected"},
		{func() (string, error) {
			return w.Changes.Get(t.Context(), backend.ViewID{Account: "system", Schema: "nosuch", View: "x"}, nil, changes.Access{})
		}, "confdb-schema (nosuch; account-id:system) not found"},
	} {
		if _, err := test.access(); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	if len(w.Facts.Now().Schemas()) != 1 {
		t.Error("it counts among those that were made known")
	}
}
