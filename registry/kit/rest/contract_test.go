package rest_test

import (
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/kit/world"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
	"aspects-poc/registry/snapd"
)

var defaults = registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name}

// Our own client of snapd's REST API, with the contract of all backends.
func TestContractOfSnapd(t *testing.T) {
	t.Parallel()
	var m *machine
	open := func(t *testing.T) *registry.Registry {
		b, err := snapd.Open(t.Context(), snapd.Options{Socket: m.socket(), WatchEvery: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return registry.New(b, defaults)
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		m = serve(t, setup{})
		return open(t)
	}, registrytest.Options{Again: func(t *testing.T, _ *registry.Registry) *registry.Registry { return open(t) }})
}

// Our own client of snapctl's endpoint, as an app of a snap.
func TestContractOfSnapctl(t *testing.T) {
	t.Parallel()
	var m *machine
	odd := map[string]backend.ViewID{
		"odd-view":   {Account: testschema.AccountID, Schema: testschema.Name, View: registrytest.UnknownView},
		"odd-schema": {Account: testschema.AccountID, Schema: registrytest.UnknownSchema, View: registrytest.UnknownView},
	}
	open := func(t *testing.T) *registry.Registry {
		cookie, err := m.SnapctlCookie("cust")
		if err != nil {
			t.Fatal(err)
		}
		plugs := map[backend.ViewID]string{}
		for plug, view := range odd {
			plugs[view] = plug
		}
		b, err := snapctl.Open(t.Context(), snapctl.Options{Socket: m.snapSocket(), Cookie: cookie, SnapName: "cust", Plugs: plugs,
			WatchEvery: 10 * time.Millisecond, InfoFile: "testdata/no-such-file"})
		if err != nil {
			t.Fatal(err)
		}
		return registry.New(b, defaults)
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		m = serve(t, setup{})
		cust, err := m.Snap("cust")
		if err != nil {
			t.Fatal(err)
		}
		for plug, view := range odd {
			cust.Plugs[plug] = world.Plug{Interface: "confdb", Account: view.Account, View: view.Schema + "/" + view.View, Role: world.Custodian}
		}
		if err := m.Put(cust); err != nil {
			t.Fatal(err)
		}
		for plug := range odd {
			if err := m.Link("cust", plug); err != nil {
				t.Fatal(err)
			}
		}
		return open(t)
	}, registrytest.Options{Again: func(t *testing.T, _ *registry.Registry) *registry.Registry { return open(t) }})
}
