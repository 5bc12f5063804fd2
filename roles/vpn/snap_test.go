package vpn_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/machine"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/vpn"
)

// TestObserved writes the peers as an administrator: the running daemon is told by its hook, and says so.
func TestObserved(t *testing.T) {
	snap := rolestest.NewSnap(t, vpn.Role, "lab")
	if err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	run := snap.Start("run", "--drop-rate", "0", "--join-rate", "0")
	rolestest.Await(t, "the first cycle", func() bool { return run.Out.String() != "" })
	snap.ResetCalls()
	if err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1", "10.0.0.2"}}); err != nil {
		t.Fatal(err)
	}
	rolestest.Await(t, "that the change is told", func() bool {
		return strings.Contains(run.Out.String(), "Tunnel changed elsewhere: 10.0.0.2 joined.")
	})
	run.Stop()
	gets := 0
	for _, call := range snap.Calls() {
		if call.Args[0] != "get" || call.Cookie != snap.Cookie() {
			t.Errorf("the hook or the daemon called %v", call.Args)
		}
		gets++
	}
	if gets != 1 {
		t.Errorf("%d reads for one change", gets)
	}
}

// TestRefused has a custodian refuse what snapd took for a success: the role says that it was refused, takes nothing for
// done that was not, and goes on.
func TestRefused(t *testing.T) {
	snap := rolestest.NewSnap(t, vpn.Role, "")
	if err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	refuse := func(machine.HookCall) error { return errRefused }
	snap.Handle("change-view-control-tunnel", refuse)
	before := snap.Stored()
	run := snap.Start("run", "--join-rate", "1", "--drop-rate", "0", "--interval", "10ms")
	rolestest.Await(t, "that the refusal is told", func() bool {
		return strings.Contains(run.Err.String(), "cannot change the peers") &&
			strings.Contains(run.Err.String(), "a custodian refused it")
	})
	if out := run.Out.String(); strings.Contains(out, "joined") || snap.Stored() != before {
		t.Errorf("output %q, stored %s", out, snap.Stored())
	}
	snap.Handle("change-view-control-tunnel", nil)
	rolestest.Await(t, "that a peer joins", func() bool { return strings.Contains(run.Out.String(), "joined.") })
	run.Stop()

	snap.Handle("change-view-control-tunnel", refuse)
	run = snap.Start("run", "--once", "--join-rate", "1")
	if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), "a custodian refused it") {
		t.Errorf("once: exit status %d: %s", code, run.Err)
	}
}

// TestDeaf: where hooks cannot announce changes, they are found all the same, in the next cycle.
func TestDeaf(t *testing.T) {
	snap := rolestest.NewSnap(t, vpn.Role, "")
	if err := os.WriteFile(filepath.Join(snap.Common, "confdb-changes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := snap.Start("run", "--drop-rate", "0", "--join-rate", "0", "--interval", "10ms")
	rolestest.Await(t, "the first cycle", func() bool { return run.Out.String() != "" })
	if err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.2"}}); err != nil {
		t.Fatal(err)
	}
	rolestest.Await(t, "that the change is told", func() bool {
		return strings.Contains(run.Out.String(), "Tunnel changed elsewhere: 10.0.0.2 joined.")
	})
	run.Stop()
}

var errRefused = errorText("too many peers")

type errorText string

func (e errorText) Error() string { return string(e) }
