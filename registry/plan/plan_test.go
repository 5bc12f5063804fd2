package plan_test

import (
	"encoding/json"
	"errors"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/registry/registrytest/testschema"

	"github.com/google/go-cmp/cmp"
)

func documents(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	var views map[string]map[string]any
	if err := json.Unmarshal([]byte(text), &views); err != nil {
		t.Fatal(err)
	}
	return views
}

const shown = `{
	"control-interfaces": {
		"config": {
			"eth0": {"interface-type": "ethernet", "ip-address": "172.16.0.3"},
			"wlan0": {"interface-type": "wifi", "ip-address": "192.168.0.104"}
		},
		"stats": {"eth0": {"n-sent": 130, "n-received": 127}}
	},
	"control-tunnel": {"interface": "eth0", "peers": ["192.168.21.3", "192.168.21.7"]},
	"control-telemetry": {"sample-rate": 2, "monitor-peers": true}
}`

func TestMake(t *testing.T) {
	for _, test := range []struct {
		name, target string
		want         string // of the plan, as JSON
	}{
		{"nothing wanted", `{}`, `null`},
		{"in step", `{"control-telemetry": {"sample-rate": 2.0}, "control-tunnel": {"peers": ["192.168.21.3", "192.168.21.7"]}}`, `null`},
		{"one leaf", `{"control-telemetry": {"sample-rate": 6}}`, `{"control-telemetry": {"sample-rate": 6}}`},
		{"a leaf below a map leaves its neighbours",
			`{"control-interfaces": {"config": {"wlan0": {"ip-address": "10.0.0.9"}}}}`,
			`{"control-interfaces": {"config.wlan0.ip-address": "10.0.0.9"}}`},
		{"a leaf that no rule addresses is written with what is beside it",
			`{"control-interfaces": {"stats": {"eth0": {"n-sent": 0}}}}`,
			`{"control-interfaces": {"stats.eth0": {"n-sent": 0, "n-received": 127}}}`},
		{"a new entry", `{"control-interfaces": {"config": {"eth1": {"interface-type": "ethernet", "ip-address": "10.1.1.1"}}}}`,
			`{"control-interfaces": {"config.eth1.interface-type": "ethernet", "config.eth1.ip-address": "10.1.1.1"}}`},
		{"null unsets", `{"control-tunnel": {"peers": null}, "control-interfaces": {"config": {"wlan0": null}}}`,
			`{"control-interfaces": {"config.wlan0": null}, "control-tunnel": {"peers": null}}`},
		{"null of what is not there", `{"control-telemetry": {"monitor-packets-sent": null}}`, `null`},
		{"an empty list is an unset", `{"control-tunnel": {"peers": []}}`, `{"control-tunnel": {"peers": null}}`},
		{"an empty map demands nothing", `{"control-interfaces": {"config": {}}}`, `null`},
		{"lists are replaced whole", `{"control-tunnel": {"peers": ["10.0.0.1"]}}`, `{"control-tunnel": {"peers": ["10.0.0.1"]}}`},
		{"what cannot be read can be written", `{"control-tunnel": {"secret-key": "k"}}`, `{"control-tunnel": {"secret-key": "k"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := plan.Make(testschema.Document(), documents(t, shown), documents(t, test.target))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(documents(t, test.want), documents(t, text(t, got))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestMakeRefuses(t *testing.T) {
	for _, test := range []struct {
		name, target string
		kind         error
		path, reason string
	}{
		{"type", `{"control-telemetry": {"sample-rate": "often"}}`, registry.ErrInvalid, "metrics.sample-rate",
			"expected int type but value was string"},
		{"bound, among fine ones", `{"control-telemetry": {"monitor-peers": false, "sample-rate": -3}}`, registry.ErrInvalid,
			"metrics.sample-rate", "-3 is less than the allowed minimum 0"},
		{"element", `{"control-tunnel": {"peers": ["10.0.0.1", "10.0.0.1"]}}`, registry.ErrInvalid, "tunnel.peers",
			`cannot accept duplicate values for array with "unique" constraint`},
		{"no rule", `{"control-telemetry": {"colour": "red"}}`, registry.ErrNoMatch, "", "no matching rule"},
		{"read-only", `{"observe-tunnel": {"peers": ["10.0.0.1"]}}`, registry.ErrNoMatch, "", "no matching rule"},
		{"view", `{"control-weather": {"rain": true}}`, registry.ErrNoView, "", ""},
		{"key", `{"control-interfaces": {"config": {"ETH0": {"ip-address": "10.0.0.1"}}}}`, registry.ErrBadRequest, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := plan.Make(testschema.Document(), documents(t, shown), documents(t, test.target))
			var refused *registry.Error
			if !errors.Is(err, test.kind) || !errors.As(err, &refused) {
				t.Fatalf("error %v, want kind %v", err, test.kind)
			}
			if refused.Path != test.path || test.reason != "" && refused.Reason != test.reason {
				t.Errorf("path %q, reason %q; want %q, %q", refused.Path, refused.Reason, test.path, test.reason)
			}
		})
	}
}
