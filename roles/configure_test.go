package roles_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/server"
	"aspects-poc/roles/vpn"
)

const writtenBy = "# Written by the configure hook: change it with snap set.\n"

// TestConfigure is `snap set` on the snap of each role.
func TestConfigure(t *testing.T) {
	number := func(text string) json.Number { return json.Number(text) }
	tests := []struct {
		name    string
		role    roles.Role
		values  map[string]any
		want    string // the file's content; "" for none
		wantErr string
	}{
		{"server", server.Role, map[string]any{"listen": "127.0.0.1:8001"}, "listen: 127.0.0.1:8001\n", ""},
		{"server, all of it", server.Role,
			map[string]any{"listen": ":80", "max-body": number("2048"), "drain": "5s", "interval": "10s", "log-level": "debug"},
			"drain: 5s\ninterval: 10s\nlisten: :80\nlog-level: debug\nmax-body: \"2048\"\n", ""},
		{"no address", server.Role, map[string]any{"listen": "8000"}, "", `invalid value "8000" for listen: `},
		{"too small", server.Role, map[string]any{"max-body": number("1")}, "",
			`invalid value "1" for max-body: want 1024 bytes or more`},
		{"no number", server.Role, map[string]any{"max-body": "many"}, "", `invalid value "many" for max-body: want a whole number`},

		{"vpn", vpn.Role, map[string]any{"drop-rate": number("0.5"), "join-rate": number("0"), "seed": number("7")},
			"drop-rate: \"0.5\"\njoin-rate: \"0\"\nseed: \"7\"\n", ""},
		{"ranges as text", vpn.Role, map[string]any{"ranges": "10.0.0.0/8,192.168.0.0/16"},
			"ranges: 10.0.0.0/8,192.168.0.0/16\n", ""},
		{"ranges as list", vpn.Role, map[string]any{"ranges": []any{"10.0.0.0/8", "192.168.0.0/16"}},
			"ranges:\n    - 10.0.0.0/8\n    - 192.168.0.0/16\n", ""},
		{"no probability", vpn.Role, map[string]any{"drop-rate": number("1.5")}, "",
			`invalid value "1.5" for drop-rate: want a probability from 0 to 1`},
		{"no number for a probability", vpn.Role, map[string]any{"join-rate": "often"}, "",
			`invalid value "often" for join-rate: want a number`},
		{"no prefix", vpn.Role, map[string]any{"ranges": []any{"10.0.0.1"}}, "",
			`invalid value "10.0.0.1" for ranges: want a prefix such as 10.0.0.0/8`},
		{"no duration", vpn.Role, map[string]any{"interval": number("30")}, "",
			`invalid value "30" for interval: want a duration such as 30s or 1m`},
		{"no interval", vpn.Role, map[string]any{"interval": "0s"}, "", `invalid value "0s" for interval: want 10ms or more`},
		{"a list", vpn.Role, map[string]any{"interval": []any{"1s", "2s"}}, "",
			"invalid value of interval: want one value, not a list of 2"},
		{"an object", vpn.Role, map[string]any{"interval": map[string]any{"a": "b"}}, "",
			"invalid value of interval: want a plain value or a list of them"},

		{"control", control.Role, map[string]any{"interval": "10s", "source": "system", "seed": number("1")},
			"interval: 10s\nseed: \"1\"\nsource: system\n", ""},
		{"no source", control.Role, map[string]any{"source": "wire"}, "",
			`invalid value "wire" for source: want simulate or system`},
		{"counters", control.Role, map[string]any{"counters": "registry"}, "counters: registry\n", ""},

		{"reporting", reporting.Role, map[string]any{"format": "json"}, "format: json\n", ""},
		{"no format", reporting.Role, map[string]any{"format": "xml"}, "",
			`invalid value "xml" for format: want text or json`},
		{"no level", reporting.Role, map[string]any{"log-level": "loud"}, "",
			`invalid value "loud" for log-level: want debug, info, warn or error`},
		{"nothing", reporting.Role, nil, "", ""},
	}
	for _, test := range tests {
		t.Run(test.role.Name+" "+test.name, func(t *testing.T) {
			snap := rolestest.NewSnap(t, test.role, "lab")
			for _, plug := range []string{"control-tunnel", "control-telemetry", "control-device", "control-interfaces"} {
				snap.Disconnect(plug) // as when the snap is installed
			}
			service := snap.Instance + ".daemon"
			err := snap.Configure(test.values)
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil ||
				!strings.HasPrefix(err.Error(), "run hook \"configure\": error: "+test.wantErr)) {
				t.Fatalf("got error %v, want %s", err, test.wantErr)
			}
			want, restarts := "", 0
			if test.want != "" {
				want, restarts = writtenBy+test.want, 1
			}
			expect := func() {
				t.Helper()
				if got := configFile(t, snap); got != want {
					t.Errorf("the file holds %q, want %q", got, want)
				}
				if got := snap.Restarts(service); got != restarts {
					t.Errorf("%d restarts, want %d", got, restarts)
				}
			}
			expect()
			for _, call := range snap.Calls() {
				if call.Args[0] != "get" && call.Args[0] != "services" && call.Args[0] != "restart" ||
					strings.Contains(strings.Join(call.Args, " "), "--view") {
					t.Errorf("the hook called %v", call.Args)
				}
			}
			if err != nil || test.want == "" {
				return
			}
			// The same again changes nothing; what is unset falls back to its default.
			if err := snap.Configure(test.values); err != nil {
				t.Error(err)
			}
			expect()
			unset := map[string]any{}
			for key := range test.values {
				unset[key] = nil
			}
			if err := snap.Configure(unset); err != nil {
				t.Error(err)
			}
			want, restarts = "", 2
			expect()
		})
	}
}

func configFile(t *testing.T, snap *rolestest.Snap) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(snap.Data, "config.yaml"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// A value that was refused leaves the one before.
func TestConfigureKeeps(t *testing.T) {
	snap := rolestest.NewSnap(t, vpn.Role, "")
	if err := snap.Configure(map[string]any{"interval": "30s"}); err != nil {
		t.Fatal(err)
	}
	if err := snap.Configure(map[string]any{"interval": "soon"}); err == nil {
		t.Error("a wrong value was taken")
	}
	if got := configFile(t, snap); got != writtenBy+"interval: 30s\n" {
		t.Errorf("the file holds %q", got)
	}

	// A service that the administrator has stopped is not started.
	snap.StopService("aspects-poc-vpn.daemon")
	if err := snap.Configure(map[string]any{"interval": "40s"}); err != nil {
		t.Fatal(err)
	}
	if got := snap.Restarts("aspects-poc-vpn.daemon"); got != 1 {
		t.Errorf("%d restarts, want that of the first value", got)
	}

	// A file of somebody else's is neither replaced nor removed.
	path, theirs := filepath.Join(snap.Data, "config.yaml"), "interval: 5s\n"
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := snap.Configure(map[string]any{"interval": "50s"}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("got %v", err)
	}
	if err := snap.Configure(map[string]any{"interval": nil}); err != nil {
		t.Error(err)
	}
	if got := configFile(t, snap); got != theirs {
		t.Errorf("the file holds %q", got)
	}
}

// What the hook has written, the role reads.
func TestConfiguredRun(t *testing.T) {
	snap := rolestest.NewSnap(t, reporting.Role, "")
	if err := snap.Configure(map[string]any{"format": "json"}); err != nil {
		t.Fatal(err)
	}
	run := snap.Start("run", "--once")
	if code := run.Wait(); code != 0 || !json.Valid([]byte(run.Out.String())) {
		t.Errorf("exit status %d, output %q, error %q", code, run.Out, run.Err)
	}
}
