package roles_test

import (
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/vpn"
)

// TestNotReady starts each role in its snap, a parallel instance, where something is missing: it tells once which command
// mends it, and carries on by itself when that was done.
func TestNotReady(t *testing.T) {
	first := map[string]string{ // the view that each role looks at first
		"control": network.ControlInterfacesView, "vpn": network.ControlTunnelView,
		"reporting": network.ControlTelemetryView,
	}
	for _, role := range []roles.Role{control.Role, vpn.Role, reporting.Role} {
		view := first[role.Name]
		conditions := []struct {
			name        string
			spoil, mend func(snap *rolestest.Snap)
			want        string
		}{
			{"plug not connected",
				func(snap *rolestest.Snap) { snap.Disconnect(view) }, func(snap *rolestest.Snap) { snap.Connect(view) },
				"snap connect aspects-poc-" + role.Name + "_lab:" + view},
			{"flag off",
				func(snap *rolestest.Snap) { snap.SetEnabled(false) }, func(snap *rolestest.Snap) { snap.SetEnabled(true) },
				"snap set system experimental.confdb=true"},
			{"no custodian",
				func(snap *rolestest.Snap) { snap.SetCustodian(view, false) },
				func(snap *rolestest.Snap) { snap.SetCustodian(view, true) },
				"snap connect aspects-poc-control:" + view},
			{"schema not acknowledged",
				func(snap *rolestest.Snap) { snap.SetAcknowledged(false) },
				func(snap *rolestest.Snap) { snap.SetAcknowledged(true) },
				"snap ack FILE"},
		}
		for _, condition := range conditions {
			t.Run(role.Name+", "+condition.name, func(t *testing.T) {
				t.Parallel()
				snap := rolestest.NewSnap(t, role, "lab")
				condition.spoil(snap)
				words := []string{"run", "--interval", "20ms"}
				if role.Name == "control" {
					words = append(words, "--server-url", "http://127.0.0.1:1")
				}
				run := snap.Start(words...)
				rolestest.Await(t, "that the log names "+condition.want, func() bool {
					return strings.Contains(run.Err.String(), condition.want)
				})
				if run.Out.String() != "" {
					t.Errorf("output is %q", run.Out)
				}
				// A second try, and still it is told once only.
				tries := len(snap.Calls())
				rolestest.Await(t, "another try", func() bool { return len(snap.Calls()) > tries })
				condition.mend(snap)
				rolestest.Await(t, "that the role carries on", func() bool {
					return run.Out.String() != "" && strings.Contains(run.Err.String(), "the registry answers again")
				})
				if code := run.Stop(); code != 0 {
					t.Errorf("exit status %d", code)
				}
				if n := strings.Count(run.Err.String(), condition.want); n != 1 {
					t.Errorf("told %d times:\n%s", n, run.Err)
				}
			})
		}
	}
}
