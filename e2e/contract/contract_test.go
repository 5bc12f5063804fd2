//go:build e2e

// Package contract runs the contract suite of the registry's backends against a real snapd. It is compiled on the host
// (go test -c -tags e2e) and run in the machine: TestREST as root outside of any snap, TestSnapctl as an app of a
// strictly confined snap. A snap that is custodian of all views must be connected, and nothing else may use the schema.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"aspects-poc/e2e"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/network"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/snapctl"
	"aspects-poc/registry/snapd"
)

// An emulated machine takes its time: the suite's own limit of a minute for a case is for real ones.
const patience = 15 * time.Minute

// watchEvery is the pause between reads of a watch where snapd announces nothing: a minute would make long cases.
const watchEvery = 2 * time.Second

// resetView writes all that there is; the machine's copy of the confdb-schema has it for this purpose.
const resetView = "reset"

var everything = []string{"device", "interfaces", "tunnel", "metrics"}

var defaults = registry.ViewID{Account: network.AccountID, Schema: network.Name}

func TestREST(t *testing.T) {
	if _, err := os.Stat(snapd.DefaultSocket); err != nil {
		t.Skipf("no snapd here: %v", err)
	}
	again := func(t *testing.T) *registry.Registry {
		b, err := snapd.Open(t.Context(), snapd.Options{WatchEvery: watchEvery, AccessTimeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		return registry.New(b, defaults)
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		reg := again(t)
		if err := reg.View(resetView).Unset(t.Context(), everything...); err != nil {
			t.Fatalf("clear: %v", err)
		}
		return reg
	}, registrytest.Options{
		Again:   func(t *testing.T, _ *registry.Registry) *registry.Registry { return again(t) },
		Prepare: prepare,
		Timeout: patience,
	})
}

func TestSnapctl(t *testing.T) {
	cookie := os.Getenv("SNAP_COOKIE")
	if cookie == "" {
		t.Skip("this is no snap: SNAP_COOKIE is not set")
	}
	again := func(t *testing.T) *registry.Registry {
		b, err := snapctl.Open(t.Context(), snapctl.Options{
			Cookie: cookie, SnapName: os.Getenv("SNAP_INSTANCE_NAME"), WatchEvery: watchEvery, AccessTimeout: patience,
			Plugs: map[backend.ViewID]string{
				{Account: network.AccountID, Schema: registrytest.UnknownSchema, View: registrytest.UnknownView}: registrytest.UnknownSchema,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return registry.New(b, defaults)
	}
	registrytest.Run(t, func(t *testing.T) *registry.Registry {
		if err := unset(t.Context(), cookie, resetView, everything); err != "" {
			t.Fatalf("clear: %s", err)
		}
		return again(t)
	}, registrytest.Options{
		Again:   func(t *testing.T, _ *registry.Registry) *registry.Registry { return again(t) },
		Prepare: prepare,
		Timeout: patience,
	})
}

// prepare writes through the reset view, all at once: each write costs an emulated snapd seconds. What the values are
// there the embedded engine says.
func prepare(ctx context.Context, reg *registry.Registry, values registry.Changes) error {
	model, err := registry.Open(ctx, "mem:", registry.Options{
		Documents: []json.RawMessage{e2e.WithView(network.Document(""), resetView, everything...)},
	})
	if err != nil {
		return err
	}
	defer func() { _ = model.Close() }()
	if err := model.Apply(ctx, values); err != nil {
		return err
	}
	stored, err := model.View(resetView).Get(ctx)
	if err != nil {
		return err
	}
	return reg.View(resetView).Set(ctx, stored)
}

// unset clears without the backend, which would read before and after. It returns what went wrong.
func unset(ctx context.Context, cookie, view string, requests []string) string {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", snapctl.DefaultSocket)
		},
	}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(map[string]any{
		"context-id": cookie, "args": append([]string{"unset", "--view", ":" + view}, requests...),
	})
	if err != nil {
		return err.Error()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://snapd/v2/snapctl", bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Type   string
		Result struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err.Error()
	}
	if answer.Type == "error" {
		return answer.Result.Message
	}
	return ""
}
