package reporting_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/reporting"
)

// TestObserved changes settings and identity as an administrator: the running daemon obeys at once, without a restart.
func TestObserved(t *testing.T) {
	snap := rolestest.NewSnap(t, reporting.Role, "")
	write := func(view string, values map[string]any) {
		t.Helper()
		if err := snap.Write(view, values); err != nil {
			t.Fatal(err)
		}
	}
	write(network.ControlTelemetryView, map[string]any{"sample-rate": json.Number("2"), "monitor-peers": true})
	run := snap.Start("run", "--format", "json")
	rolestest.Await(t, "the first report", func() bool { return run.Out.String() != "" })
	if first := run.Out.Take(); !strings.Contains(first, `"missing":["device-id","tunnel-peers"]`) {
		t.Errorf("the first report is %s", first)
	}
	write(network.ControlDeviceView, map[string]any{"id": "ca155b32-2472-4650-afb0-c6f967328afe"})
	write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1"}})
	write(network.ControlTelemetryView, map[string]any{"sample-rate": json.Number("6")})
	// Nobody promises which change is heard of first; if not the first report, then the next one has them all.
	for _, want := range []string{`"next-run-seconds":10`, `"device-id":"ca155b32-2472-4650-afb0-c6f967328afe"`,
		`"tunnel-peers":["10.0.0.1"]`} {
		rolestest.Await(t, "a report with "+want, func() bool { return strings.Contains(run.Out.String(), want) })
	}
	run.Stop()
	if n := snap.Restarts("aspects-poc-reporting.daemon"); n > 0 {
		t.Errorf("%d restarts", n)
	}
}
