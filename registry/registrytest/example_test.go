package registrytest_test

import (
	"context"
	"encoding/json"
	"fmt"

	"aspects-poc/registry"
	"aspects-poc/registry/embedded"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
)

func ExampleCounting() {
	ctx := context.Background()
	b, err := embedded.OpenMemory(ctx, embedded.Options{Documents: []json.RawMessage{testschema.Document()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	counter := registrytest.Counting(b)
	reg := registry.New(counter.Backend(), registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name})
	defer func() { _ = reg.Close() }()

	telemetry := reg.View(testschema.ControlTelemetryView)
	_ = telemetry.Set(ctx, map[string]any{"sample-rate": 2, "monitor-peers": true})
	_, _ = telemetry.Get(ctx, "sample-rate", "monitor-peers")
	fmt.Println(counter.Counts().Reads(), "read,", counter.Counts().Writes(), "write")
	// Output: 1 read, 1 write
}
