package snapctl_test

import (
	"testing"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
)

var defaults = registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name}

// unknown are the plugs of views and confdb-schemas that the machine does not know.
var unknown = map[string]facts.Plug{
	"odd-view":   {Interface: "confdb", Account: testschema.AccountID, View: testschema.Name + "/" + registrytest.UnknownView},
	"odd-schema": {Interface: "confdb", Account: testschema.AccountID, View: registrytest.UnknownSchema + "/" + registrytest.UnknownView},
}

func options(m *machine.Machine) snapctl.Options {
	return snapctl.Options{
		Socket: m.SnapSocket(), Cookie: m.Cookie(), SnapName: m.Snap(),
		Plugs: map[backend.ViewID]string{
			{Account: testschema.AccountID, Schema: testschema.Name, View: registrytest.UnknownView}:            "odd-view",
			{Account: testschema.AccountID, Schema: registrytest.UnknownSchema, View: registrytest.UnknownView}: ":odd-schema",
		},
		WatchEvery: 10 * time.Millisecond,
		InfoFile:   "testdata/no-such-file",
	}
}

func open(t *testing.T, o snapctl.Options) *snapctl.Backend {
	t.Helper()
	b, err := snapctl.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestContract runs the contract with one snapd of each generation. The versions are in snapd's notation.
func TestContract(t *testing.T) {
	noConstraints := map[string]string{
		"read/constraints choose entries of a placeholder": "snapctl knows --with from 2.74 on",
		"read/a constraint without use is refused":         "snapctl knows --with from 2.74 on",
	}
	tests := []struct {
		version string
		skip    map[string]string
	}{
		{"2.77.1-2", nil},
		{"2.75.2.1", nil},
		{"2.73", noConstraints},
		{"2.71", noConstraints},
		{"2.69", noConstraints},
		{"2.68.3-3+deb13u1+b7", noConstraints},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			t.Parallel()
			var m *machine.Machine
			registrytest.Run(t, func(t *testing.T) *registry.Registry {
				m = machine.Start(t, machine.Options{Version: test.version, Plugs: unknown})
				return registry.New(open(t, options(m)), defaults)
			}, registrytest.Options{
				Skip: test.skip,
				Again: func(t *testing.T, _ *registry.Registry) *registry.Registry {
					return registry.New(open(t, options(m)), defaults)
				},
				Timeout: 20 * time.Second,
			})
		})
	}
}
