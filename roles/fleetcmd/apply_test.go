package fleetcmd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
)

// TestApplyAmidChanges: apply makes its plan again while others change what does not concern it, and not if there is another plan.
func TestApplyAmidChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		times  int // as often somebody labels a device before the server sets the layers
		label  string
		saved  bool
		code   int
		expect string
	}{
		{"now and then", 5, "room", false, 0, "applied: revision "},
		{"always", 1000, "room", false, 1, "since each of 20 further plans, which are the same"},
		{"another plan", 1, "site", false, 1, "now there is another plan"},
		{"a saved plan", 1, "room", true, 1, "since the plan: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			device := w.register(fleet.Active, nil)
			labelled := 0
			busy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
				if in.Method == http.MethodPost && in.URL.RawQuery == "" && labelled < test.times {
					labelled++
					value := fmt.Sprint(labelled)
					if _, err := w.rules.SetLabels(in.Context(), device, map[string]*string{test.label: &value}, "otto", nil); err != nil {
						t.Error(err)
					}
				}
				w.server.Config.Handler.ServeHTTP(out, in)
			}))
			t.Cleanup(busy.Close)
			if code, _, stderr := w.fleet("<"+w.tokens["anna"], "login", busy.URL); code != 0 {
				t.Fatal(stderr)
			}
			dir := filepath.Join(w.env["HOME"], "fleet")
			writeFile(t, filepath.Join(dir, "labels", "one.yaml"), "selector: site=1\nconfig: {control-telemetry: {sample-rate: 5}}\n")
			args := []string{"apply", dir}
			if test.saved {
				args = []string{"apply", "--plan", filepath.Join(w.env["HOME"], "plan.json")}
				if code, _, stderr := w.fleet("plan", dir, "--out", args[2]); code != 2 {
					t.Fatal(stderr)
				}
			}
			code, stdout, stderr := w.fleet(args...)
			if code != test.code || !strings.Contains(stdout+stderr, test.expect) || strings.Count(stdout, "labels/one is created") != 1 {
				t.Errorf("exit %d, want %d and %q: %s%s", code, test.code, test.expect, stdout, stderr)
			}
			_, stdout, _ = w.fleet("targets", "-o", "name")
			if applied := strings.Contains(stdout, "labels/one"); applied != (test.code == 0) {
				t.Errorf("applied: %v", applied)
			}
		})
	}
}
