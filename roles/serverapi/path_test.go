package serverapi_test

import (
	"testing"

	"aspects-poc/roles/serverapi"
)

func TestJoinPath(t *testing.T) {
	for _, test := range []struct{ path, name, want string }{
		{"", "control-telemetry", "control-telemetry"},
		{"control-telemetry", "sample-rate", "control-telemetry.sample-rate"},
		{"stats", "eth0.100", `stats."eth0.100"`},
		{"stats", `a"b`, `stats."a\"b"`},
		{"", "", `""`},
	} {
		if got := serverapi.JoinPath(test.path, test.name); got != test.want {
			t.Errorf("JoinPath(%q, %q) = %s, want %s", test.path, test.name, got, test.want)
		}
	}
}
