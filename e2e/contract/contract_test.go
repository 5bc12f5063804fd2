//go:build e2e

// Package contract runs the contract suite of the registry's backends against a real snapd. It is compiled on the host
// (go test -c -tags e2e) and run in the machine: TestREST as root outside of any snap, TestSnapctl as an app of a
// strictly confined snap. A snap that is custodian of all views must be connected, and nothing else may use the schema.
package contract

import (
	"context"
	"os"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
	"aspects-poc/registry/snapd"
)

// The suite's own limit of a minute for a case is too short for an emulated machine.
const patience = 15 * time.Minute

// watchEvery is the pause between reads of a watch without announcements from snapd. A minute would make cases long.
const watchEvery = 2 * time.Second

var defaults = registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name}

func TestREST(t *testing.T) {
	if _, err := os.Stat(snapd.DefaultSocket); err != nil {
		t.Skipf("no snapd here: %v", err)
	}
	suite(t, func(ctx context.Context) (backend.Backend, error) {
		return snapd.Open(ctx, snapd.Options{WatchEvery: watchEvery, AccessTimeout: patience})
	})
}

func TestSnapctl(t *testing.T) {
	cookie := os.Getenv("SNAP_COOKIE")
	if cookie == "" {
		t.Skip("this is no snap: SNAP_COOKIE is not set")
	}
	suite(t, func(ctx context.Context) (backend.Backend, error) {
		return snapctl.Open(ctx, snapctl.Options{
			Cookie: cookie, SnapName: os.Getenv("SNAP_INSTANCE_NAME"), WatchEvery: watchEvery, AccessTimeout: patience,
			Plugs: map[backend.ViewID]string{
				{Account: testschema.AccountID, Schema: registrytest.UnknownSchema, View: registrytest.UnknownView}: registrytest.UnknownSchema,
			},
		})
	})
}

// suite runs the contract suite. Its cases share one slate.
func suite(t *testing.T, open func(ctx context.Context) (backend.Backend, error)) {
	var slate slate
	handle := func(t *testing.T) *registry.Registry {
		b, err := open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return registry.New(slate.on(b), defaults)
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		slate.begin(t)
		return handle(t)
	}, registrytest.Options{
		Again: func(t *testing.T, _ *registry.Registry) *registry.Registry { return handle(t) },
		Prepare: func(ctx context.Context, _ *registry.Registry, values registry.Changes) (err error) {
			b, err := open(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			return slate.prepare(ctx, b, values)
		},
		Timeout: patience,
		Dear:    os.Getenv("E2E_FULL") == "",
		Skip:    excuses(),
	})
}

// excuses are the cases that an old snapd cannot pass, with reasons.
func excuses() map[string]string {
	if os.Getenv("E2E_OLD") == "" {
		return nil
	}
	// The engine of 2.68 removes from a value the parts of all rules that a request matches, even if the value does not
	// have them.
	const whole = "snapd 2.68 refuses a map that has not all parts that rules of the view write"
	return map[string]string{
		"write/a map replaces the map":                     whole,
		"refuse/violation: another pattern":                whole,
		"watch/no event when nothing changed":              whole,
		"unset/the last leaf removes what held it":         "snapd 2.68 leaves an empty map",
		"refuse/requests without a rule":                   "snapd 2.68 has no elements of lists in requests, and calls them malformed",
		"read/constraints choose entries of a placeholder": "snapd knows constraints from 2.74 on",
		"read/a constraint without use is refused":         "snapd knows constraints from 2.74 on",
	}
}
