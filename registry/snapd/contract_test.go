package snapd_test

import (
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/registry"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapd"
)

// versions has one version of snapd of each generation, in snapd's notation.
var versions = []string{
	"2.68.3-3+deb13u1+b7", "2.69", "2.70", "2.71", "2.72", "2.73+git123.gabcdef", "2.74.1", "2.75.2.1", "2.76", "2.77.1-2",
}

// TestContract runs the contract of all backends with each generation.
func TestContract(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			var m *machine.Machine
			open := func(t *testing.T) *registry.Registry {
				b, err := snapd.Open(t.Context(), snapd.Options{Socket: m.Socket(), WatchEvery: 10 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				return registry.New(b, registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name})
			}
			registrytest.Run(t, func(t *testing.T) *registry.Registry {
				m = machine.Start(t, machine.Options{Version: version})
				return open(t)
			}, registrytest.Options{
				Again: func(t *testing.T, _ *registry.Registry) *registry.Registry { return open(t) },
				Skip:  excuses(version),
			})
		})
	}
}

// excuses are the contract's cases that a version cannot meet, and why.
func excuses(version string) map[string]string {
	if version < "2.74" { // they all have five characters before the first difference
		return map[string]string{
			"read/constraints choose entries of a placeholder": "snapd knows constraints from 2.74 on",
			"read/a constraint without use is refused":         "snapd knows constraints from 2.74 on",
		}
	}
	return nil
}
