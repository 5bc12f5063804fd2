package server_test

import (
	"net"
	"strings"
	"testing"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server"
)

// TestTwoInstances: a parallel instance finds the port taken, says which command gives it another, and with that runs.
func TestTwoInstances(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only a listener
	snap := rolestest.NewSnap(t, server.Role, "lab")
	if err := snap.Configure(map[string]any{"listen": taken.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	run := snap.Start("run", "--once")
	const want = "another process does already; stop that one, or choose another address with snap set " +
		"aspects-poc-server_lab listen=HOST:PORT"
	if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), want) {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	if err := snap.Configure(map[string]any{"listen": "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	if run := snap.Start("run", "--once"); run.Wait() != 0 {
		t.Errorf("on another port: %s", run.Err)
	}
}
