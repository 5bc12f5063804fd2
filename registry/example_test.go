package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"aspects-poc/registry"
)

// openExample opens a registry that is empty and vanishes with the program. Programs open "auto".
func openExample() (*registry.Registry, context.Context) {
	ctx := context.Background()
	reg, err := registry.Open(ctx, "mem:")
	if err != nil {
		log.Fatal(err)
	}
	return reg, ctx
}

// Most programs open "auto" and need no options; "mem:" is for tests.
func ExampleOpen() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, "mem:")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reg.Close() }()

	status, err := reg.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Backend, "updates atomically:", status.Capabilities.AtomicUpdate)
	// Output: mem updates atomically: true
}

func ExampleView_Set() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	telemetry := reg.View("control-telemetry")

	// One transaction: all of it is stored, or nothing. Nil unsets.
	err := telemetry.Set(ctx, map[string]any{"sample-rate": 4, "monitor-packets-sent": true, "monitor-peers": nil})
	if err != nil {
		log.Fatal(err)
	}
	text, err := telemetry.Raw(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: {"monitor-packets-sent":true,"sample-rate":4}
}

func ExampleView_Get() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	interfaces := reg.View("control-interfaces")
	err := interfaces.Set(ctx, map[string]any{
		"config.eth0": map[string]any{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Requests without data are left out of the answer.
	values, err := interfaces.Get(ctx, "config.eth0.ip-address", "config.wlan0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output: map[config.eth0.ip-address:172.16.0.3]
}

func ExampleView_Read() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	telemetry := reg.View("control-telemetry")
	if err := telemetry.Set(ctx, map[string]any{"sample-rate": 4}); err != nil {
		log.Fatal(err)
	}

	var settings struct {
		SampleRate   int  `json:"sample-rate"`
		MonitorPeers bool `json:"monitor-peers"`
	}
	if err := telemetry.Read(ctx, &settings); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", settings)
	// Output: {SampleRate:4 MonitorPeers:false}
}

func ExampleView_Update() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	tunnel := reg.View("control-tunnel")
	join := func(peer string) error {
		return tunnel.Update(ctx, []string{"peers"}, func(current map[string]any) (map[string]any, error) {
			peers, _ := current["peers"].([]any) // none yet: no peers
			return map[string]any{"peers": append(peers, peer)}, nil
		})
	}
	if err := errors.Join(join("10.0.0.1"), join("10.0.0.5")); err != nil {
		log.Fatal(err)
	}
	values, err := tunnel.Get(ctx, "peers")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values["peers"])
	// Output: [10.0.0.1 10.0.0.5]
}

func ExampleView_Watch() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := reg.View("observe-tunnel").Watch(watching)
	if err != nil {
		log.Fatal(err)
	}
	// Whoever sets it, and through whichever view.
	err = reg.View("control-tunnel").Set(ctx, map[string]any{"peers": []string{"10.0.0.1"}})
	if err != nil {
		log.Fatal(err)
	}
	event := <-events
	fmt.Println(event.View.View, "changed")
	// Output: observe-tunnel changed
}

// The kinds of refusal are told apart with errors.Is; errors.As finds the particulars.
func ExampleError() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	telemetry := reg.View("control-telemetry")

	_, err := telemetry.Get(ctx, "sample-rate")
	fmt.Println(errors.Is(err, registry.ErrNoData))

	err = telemetry.Set(ctx, map[string]any{"sample-rate": json.Number("-3")})
	var refused *registry.Error
	if errors.Is(err, registry.ErrInvalid) && errors.As(err, &refused) {
		fmt.Printf("%s: %s\n", refused.Path, refused.Reason)
	}
	// Output:
	// true
	// metrics.sample-rate: -3 is less than the allowed minimum 0
}

// Several views of one confdb-schema are written in one transaction, where the backend can.
func ExampleRegistry_Apply() {
	reg, ctx := openExample()
	defer func() { _ = reg.Close() }()
	err := reg.Apply(ctx, registry.Changes{
		"control-tunnel":    {"interface": "eth0"},
		"control-telemetry": {"sample-rate": "often"},
	})
	fmt.Println(errors.Is(err, registry.ErrInvalid))
	_, err = reg.View("control-tunnel").Get(ctx)
	fmt.Println(errors.Is(err, registry.ErrNoData))
	// Output:
	// true
	// true
}
