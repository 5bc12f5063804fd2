package embedded_test

import (
	"path/filepath"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest"
)

func TestContractFile(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, address string) *registry.Registry {
		t.Helper()
		reg, err := registry.Open(t.Context(), address, registry.Options{Schemas: registrytest.Schemas()})
		if err != nil {
			t.Fatal(err)
		}
		return reg
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		return open(t, "file:"+filepath.Join(t.TempDir(), "confdb.json"))
	}, registrytest.Options{Again: func(t *testing.T, first *registry.Registry) *registry.Registry {
		status, err := first.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return open(t, "file:"+status.Address)
	}})
}

func TestContractMemory(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		reg, err := registry.Open(t.Context(), "mem:", registry.Options{Schemas: registrytest.Schemas()})
		if err != nil {
			t.Fatal(err)
		}
		return reg
	})
}
