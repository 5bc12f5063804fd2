package netdev_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/roles/internal/netdev"
)

// machine is a root for System with the recorded counters of testdata, one wireless interface, and these addresses.
func machine(t *testing.T) netdev.System {
	t.Helper()
	root := t.TempDir()
	proc, sys := filepath.Join(root, "proc"), filepath.Join(root, "sys")
	counters, err := os.ReadFile("testdata/net-dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{filepath.Join(proc, "net"), filepath.Join(sys, "class/net/wlp2s0/wireless"),
		filepath.Join(sys, "class/net/enp0s3")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(proc, "net/dev"), counters, 0o644); err != nil {
		t.Fatal(err)
	}
	hardware := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	nic := func(name string, flags net.Flags, hardware net.HardwareAddr, addresses ...string) netdev.Interface {
		made := netdev.Interface{Interface: net.Interface{Name: name, Flags: flags, HardwareAddr: hardware}}
		for _, address := range addresses {
			made.Addresses = append(made.Addresses, netip.MustParseAddr(address))
		}
		return made
	}
	return netdev.System{Proc: proc, Sys: sys, Interfaces: func() ([]netdev.Interface, error) {
		return []netdev.Interface{
			nic("lo", net.FlagUp|net.FlagLoopback, nil, "127.0.0.1"),
			nic("wlp2s0", net.FlagUp, hardware, "fe80::1", "192.0.2.9"),
			nic("enp0s3", net.FlagUp, hardware, "192.0.2.7", "192.0.2.8"),
			nic("enp0s3.100", net.FlagUp, hardware),
			nic("tun0", net.FlagUp|net.FlagPointToPoint, nil, "10.8.0.2"),
			nic("enp0s8", 0, hardware),
			nic("gone0", net.FlagUp, hardware), // not counted any more
		}, nil
	}}
}

func TestLinks(t *testing.T) {
	links, err := machine(t).Links()
	if err != nil {
		t.Fatal(err)
	}
	addresses := func(texts ...string) (list []netip.Addr) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	want := []netdev.Link{
		{Name: "enp0s3", Kind: netdev.Ethernet, Addresses: addresses("192.0.2.7", "192.0.2.8"),
			Sent: 7574, Received: 9682},
		{Name: "enp0s3.100", Kind: netdev.Ethernet, Sent: 3, Received: 4},
		{Name: "tun0", Addresses: addresses("10.8.0.2"), Sent: 18446744073709551615, Received: 1},
		{Name: "wlp2s0", Kind: netdev.Wifi, Addresses: addresses("192.0.2.9", "fe80::1"), Sent: 12, Received: 34},
	}
	if diff := cmp.Diff(want, links, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if address, ok := links[3].IPv4(); !ok || address.String() != "192.0.2.9" {
		t.Errorf("IPv4 of %s is %v, %v", links[3].Name, address, ok)
	}
	if _, ok := links[1].IPv4(); ok {
		t.Errorf("IPv4 of %s, which has none", links[1].Name)
	}
}

func TestLinksWithoutCounters(t *testing.T) {
	system := machine(t)
	system.Proc = t.TempDir()
	if _, err := system.Links(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// TestThisMachine reads the kernel that the tests run on: whatever it has, each name comes once and is no loopback.
func TestThisMachine(t *testing.T) {
	links, err := netdev.System{}.Links()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /proc/net/dev here")
	}
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, link := range links {
		if seen[link.Name] || link.Name == "lo" || link.Name == "" {
			t.Errorf("unexpected %+v", link)
		}
		seen[link.Name] = true
	}
}

func TestSource(t *testing.T) {
	from, err := netdev.Source(t.Context(), "127.0.0.1:8000")
	if err != nil {
		t.Fatal(err)
	}
	if from != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("source of a connection to 127.0.0.1 is %v", from)
	}
	if _, err := netdev.Source(t.Context(), "127.0.0.1"); err == nil {
		t.Error("an address without port was taken")
	}
}
