package world_test

import (
	"testing"

	"aspects-poc/internal/kit/world"
	"aspects-poc/registry/backend"
)

// TestBuiltin checks what is said of the confdb-schema that snapd brings along.
func TestBuiltin(t *testing.T) {
	w := machine(t, world.Options{})
	id := func(view string) backend.ViewID {
		return backend.ViewID{Account: "system", Schema: "validation-sets", View: view}
	}
	values := map[string]any{"acc.set": map[string]any{"mode": "monitor"}}
	for _, test := range []struct {
		access func() (string, error)
		want   string
	}{
		{func() (string, error) { return w.Get(t.Context(), id("x"), nil, world.Access{}) },
			`cannot find view "x" in confdb schema system/validation-sets`},
		{func() (string, error) { return w.Get(t.Context(), id("state"), nil, world.Access{}) },
			"cannot read confdb view system/validation-sets/state: no custodian snap connected"},
		{func() (string, error) { return w.Set(t.Context(), id("admin"), values, world.Access{}) },
			"cannot write confdb view system/validation-sets/admin: no custodian snap connected"},
		{func() (string, error) {
			return w.Get(t.Context(), backend.ViewID{Account: "system", Schema: "nosuch", View: "x"}, nil, world.Access{})
		}, "confdb-schema (nosuch; account-id:system) not found"},
	} {
		if _, err := test.access(); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	if len(w.Schemas()) != 1 {
		t.Error("it counts among those that were made known")
	}
}
