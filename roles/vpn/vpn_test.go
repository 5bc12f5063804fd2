package vpn_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/vpn"

	"github.com/google/go-cmp/cmp"
)

func withPeers(t *testing.T, peers ...any) *rolestest.Store {
	t.Helper()
	store := rolestest.New(t)
	if len(peers) > 0 {
		store.Set(network.ControlTunnelView, map[string]any{"interface": "eth0", "peers": peers})
	}
	return store
}

func TestOnce(t *testing.T) {
	tests := []struct {
		name      string
		peers     []any
		flags     []string
		want      string // of standard output
		wantPeers string
	}{
		{"idle", []any{"10.0.0.1"}, []string{"--drop-rate", "0", "--join-rate", "0"},
			"No changes to tunnel.\n", `{"peers":["10.0.0.1"]}`},
		{"drop the last peer", []any{"10.0.0.1"}, []string{"--drop-rate", "1", "--join-rate", "0"},
			"Peer node 10.0.0.1 dropped.\n", "no data"},
		{"nobody to drop", nil, []string{"--drop-rate", "1", "--join-rate", "0"},
			"No changes to tunnel.\n", "no data"},
		{"join", []any{"10.0.0.1"}, []string{"--drop-rate", "0", "--join-rate", "1", "--ranges", "10.0.0.0/30"},
			"Peer node 10.0.0.2 joined.\n", `{"peers":["10.0.0.1","10.0.0.2"]}`},
		{"join an empty tunnel", nil, []string{"--drop-rate", "0", "--join-rate", "1", "--ranges", "10.0.0.7/32"},
			"Peer node 10.0.0.7 joined.\n", `{"peers":["10.0.0.7"]}`},
		{"no room", []any{"10.0.0.1", "10.0.0.2"},
			[]string{"--drop-rate", "0", "--join-rate", "1", "--ranges", "10.0.0.0/30"},
			"No peer joined: every address of the range is a peer already.\n", `{"peers":["10.0.0.1","10.0.0.2"]}`},
		{"drop and join", []any{"10.0.0.1"},
			[]string{"--drop-rate", "1", "--join-rate", "1", "--ranges", "10.0.0.0/30"},
			"Peer node 10.0.0.1 dropped.\nPeer node 10.0.0.2 joined.\n", `{"peers":["10.0.0.2"]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := withPeers(t, test.peers...)
			run := store.Start(vpn.Role, rolestest.Options{}, append([]string{"vpn", "run", "--once"}, test.flags...)...)
			if code := run.Wait(); code != 0 {
				t.Errorf("exit status %d: %s", code, run.Err)
			}
			if diff := cmp.Diff(test.want, run.Out.String()); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			if got := store.JSON(network.ControlTunnelView, "peers"); !strings.HasSuffix(got, test.wantPeers) {
				t.Errorf("peers are %s, want %s", got, test.wantPeers)
			}
		})
	}
}

func TestWrongUsage(t *testing.T) {
	for _, words := range []string{
		"--drop-rate 1.5", "--join-rate -0.1", "--join-rate NaN", "--ranges 10.0.0.1", "--ranges fd00::/8",
		"--ranges 10.0.0.1/8", "--ranges ,", "--seed x", "now",
	} {
		t.Run(words, func(t *testing.T) {
			run := withPeers(t).Start(vpn.Role, rolestest.Options{},
				append([]string{"vpn", "run", "--once"}, strings.Fields(words)...)...)
			if code := run.Wait(); code != 2 {
				t.Errorf("exit status %d, want 2: %s", code, run.Err)
			}
			if len(run.Counter.Operations()) > 0 {
				t.Errorf("the registry was used: %v", run.Counter.Operations())
			}
		})
	}
}

// TestSeed runs many cycles twice: the same seed makes the same history, in which all three lines come and peers are
// never twice there.
func TestSeed(t *testing.T) {
	history := func() (output, peers string) {
		synctest.Test(t, func(t *testing.T) {
			store := withPeers(t, "10.0.0.1")
			run := store.Start(vpn.Role, rolestest.Options{}, "vpn", "run", "--seed", "7", "--interval", "1s")
			time.Sleep(200*time.Second + time.Millisecond)
			if code := run.Stop(); code != 0 {
				t.Errorf("exit status %d: %s", code, run.Err)
			}
			output, peers = run.Out.String(), store.JSON(network.ObserveTunnelView, "peers")
		})
		return output, peers
	}
	output, peers := history()
	for _, line := range []string{" joined.\n", " dropped.\n", "No changes to tunnel.\n"} {
		if !strings.Contains(output, line) {
			t.Errorf("never %q", line)
		}
	}
	if strings.Contains(output, "elsewhere") {
		t.Errorf("own changes were taken for others':\n%s", output)
	}
	if again, peersAgain := history(); again != output || peersAgain != peers {
		t.Errorf("the same seed made another history:\n%s\n%s", output, again)
	}
}

// TestStrangePeers has peers that another schema than ours lets through.
func TestStrangePeers(t *testing.T) {
	var out bytes.Buffer
	vpn.Compare(&out, []string{"\x1b[2J", "a"}, []string{"a", "b\nPeer node c joined."})
	want := `Tunnel changed elsewhere: b\nPeer node c joined. joined, \x1b[2J dropped.` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestOperations counts registry operations in idle minutes.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := withPeers(t, "10.0.0.1")
		run := store.Start(vpn.Role, rolestest.Options{}, "vpn", "run", "--drop-rate", "0", "--join-rate", "0")
		time.Sleep(30 * time.Second)
		if counts := run.Counter.Counts(); counts.Reads() != 1 || counts.Writes() != 0 {
			t.Errorf("at the start %+v, want one read", counts)
		}
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		if operations := run.Counter.Operations(); len(operations) > 0 {
			t.Errorf("ten idle minutes took %v, want nothing", operations)
		}
		run.Stop()
		if got, want := run.Out.String(), strings.Repeat("No changes to tunnel.\n", 11); got != want {
			t.Errorf("output is\n%s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		store := withPeers(t, "10.0.0.1")
		run := store.Start(vpn.Role, rolestest.Options{}, "vpn", "run", "--drop-rate", "1", "--join-rate", "1")
		time.Sleep(30 * time.Second)
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		// An update a minute, and a look at what the own commit has announced.
		if counts := run.Counter.Counts(); counts.Update != 10 || counts.Get != 10 || counts.Set != 0 {
			t.Errorf("ten busy minutes took %+v, want 10 updates and 10 reads", counts)
		}
		run.Stop()
	})
}

// TestChangedElsewhere changes peers while the role runs: it says so at once, and what it does itself comes on top.
func TestChangedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := withPeers(t, "10.0.0.1", "10.0.0.2")
		run := store.Start(vpn.Role, rolestest.Options{}, "vpn", "run", "--drop-rate", "0", "--join-rate", "0")
		time.Sleep(10 * time.Second)
		store.Set(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.2", "10.0.0.3"}})
		time.Sleep(10 * time.Second) // far less than a cycle
		want := "No changes to tunnel.\nTunnel changed elsewhere: 10.0.0.3 joined, 10.0.0.1 dropped.\n"
		if diff := cmp.Diff(want, run.Out.Take()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		time.Sleep(50 * time.Second)
		if diff := cmp.Diff("No changes to tunnel.\n", run.Out.Take()); diff != "" {
			t.Errorf("the next cycle (-want +got)\n%s", diff)
		}
		run.Stop()
	})
}

// TestConcurrentEdits has two roles and a person add peers to one tunnel: none of them is lost.
func TestConcurrentEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := withPeers(t)
		var runs []*rolestest.Run
		for _, ranges := range []string{"10.0.0.0/24", "10.0.1.0/24"} {
			runs = append(runs, store.Start(vpn.Role, rolestest.Options{}, "vpn", "run", "--drop-rate", "0",
				"--join-rate", "1", "--interval", "1s", "--ranges", ranges))
		}
		time.Sleep(49*time.Second + time.Millisecond)
		for _, run := range runs {
			run.Stop()
		}
		var tunnel network.ObserveTunnel
		if err := store.Registry.View(network.ObserveTunnelView).Read(t.Context(), &tunnel); err != nil {
			t.Fatal(err)
		}
		slices.Sort(tunnel.Peers)
		if n := len(slices.Compact(tunnel.Peers)); n != 100 {
			t.Errorf("%d peers, want 100", n)
		}
	})
}

// TestNotReady starts without a registry: it is told once what mends it, the pauses grow, and the role carries on.
func TestNotReady(t *testing.T) {
	missing := &registry.Error{Op: "open", Kind: registry.ErrDisabled, Reason: "confdb is off",
		Remedy: "snap set system experimental.confdb=true"}
	synctest.Test(t, func(t *testing.T) {
		store := withPeers(t, "10.0.0.1")
		var ready atomic.Bool
		var tries atomic.Int32
		run := store.Start(vpn.Role, rolestest.Options{
			Open: func(open func() (*registry.Registry, error)) (*registry.Registry, error) {
				tries.Add(1)
				if !ready.Load() {
					return nil, missing
				}
				return open()
			},
		}, "vpn", "run", "--interval", "1s")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := tries.Load(); n < 10 || n > 30 {
			t.Errorf("%d tries in ten minutes", n)
		}
		log := run.Err.Take()
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, "experimental.confdb=true") {
			t.Errorf("want one line with the remedy, got\n%s", log)
		}
		ready.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if log := run.Err.Take(); !strings.Contains(log, "answers again") {
			t.Errorf("want a line that all is well, got %q", log)
		}
		if run.Out.String() == "" {
			t.Error("no cycle was run")
		}
		if code := run.Stop(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
	run := withPeers(t).Start(vpn.Role, rolestest.Options{
		Open: func(func() (*registry.Registry, error)) (*registry.Registry, error) { return nil, missing },
	}, "vpn", "run", "--once")
	if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), "experimental.confdb=true") {
		t.Errorf("once: exit status %d, %s", code, run.Err)
	}
}

// TestStorage lets the registry fail for good: a single run says so, and nothing is told that did not happen.
func TestStorage(t *testing.T) {
	run := withPeers(t).Start(vpn.Role, rolestest.Options{
		Open: func(func() (*registry.Registry, error)) (*registry.Registry, error) {
			return nil, &registry.Error{Op: "open", Kind: registry.ErrStorage, Err: errors.New("no space left on device")}
		},
	}, "vpn", "run", "--once", "--join-rate", "1")
	if code := run.Wait(); code != 1 || run.Out.String() != "" || !strings.Contains(run.Err.String(), "no space left") {
		t.Errorf("exit status %d, output %q, error %q", code, run.Out, run.Err)
	}
}
