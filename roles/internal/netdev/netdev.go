// Package netdev returns the network interfaces of this machine with their packet counters, and the machine's address
// on the route to a server. Its main type is System.
//
//	links, err := netdev.System{}.Links()
//	from, err := netdev.Source(ctx, "192.0.2.1:8000")
//
// The counters are the kernel's, in /proc/net/dev.
package netdev

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Kind is the kind of a link.
type Kind string

// The known kinds; other links have "".
const (
	Ethernet Kind = "ethernet" // also virtual ones, such as a container's
	Wifi     Kind = "wifi"
)

// A Link is the state of a network interface that is up.
type Link struct {
	Name      string
	Kind      Kind
	Addresses []netip.Addr // IPv4 before IPv6, otherwise in the kernel's order
	Sent      uint64       // packets since the machine started; may wrap or restart at 0
	Received  uint64
}

// IPv4 returns the link's first IPv4 address, and whether there is one.
func (l Link) IPv4() (address netip.Addr, ok bool) {
	for _, address := range l.Addresses {
		if address.Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// System reads the interfaces of the running kernel. The zero value is ready for use.
type System struct {
	// Proc and Sys replace /proc and /sys.
	Proc, Sys string
	// Interfaces replaces the kernel's list of interfaces and their addresses.
	Interfaces func() ([]Interface, error)
}

// An Interface is an interface of the kernel without its counters.
type Interface struct {
	net.Interface
	Addresses []netip.Addr
}

// Links returns the interfaces that are up, sorted by name, without the loopback interface. The error wraps
// fs.ErrNotExist if the kernel shows no counters (proc_pid_net(5)).
func (s System) Links() ([]Link, error) {
	counters, err := s.counters()
	if err != nil {
		return nil, fmt.Errorf("cannot read interface counters: %w", err)
	}
	list := s.Interfaces
	if list == nil {
		list = interfaces
	}
	found, err := list()
	if err != nil {
		return nil, fmt.Errorf("cannot list network interfaces: %w", err)
	}
	var links []Link
	for _, nic := range found {
		packets, counted := counters[nic.Name]
		if !counted || nic.Flags&net.FlagUp == 0 || nic.Flags&net.FlagLoopback != 0 {
			continue // also for an interface that came or went during the reads
		}
		links = append(links, Link{
			Name:      nic.Name,
			Kind:      s.kind(nic.Interface),
			Addresses: slices.SortedStableFunc(slices.Values(nic.Addresses), fourFirst),
			Sent:      packets.sent,
			Received:  packets.received,
		})
	}
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	return links, nil
}

type packets struct{ sent, received uint64 }

// counters reads the kernel's counters by the names of the interfaces. Two lines with the names of the columns precede them.
func (s System) counters() (map[string]packets, error) {
	text, err := os.ReadFile(filepath.Join(cmp.Or(s.Proc, "/proc"), "net/dev"))
	if err != nil {
		return nil, err
	}
	counters := map[string]packets{}
	for line := range strings.Lines(string(text)) {
		name, numbers, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		columns := strings.Fields(numbers)
		if len(columns) < 16 {
			return nil, fmt.Errorf("%s has %d columns in /proc/net/dev, and 16 are expected", strings.TrimSpace(name), len(columns))
		}
		received, err := strconv.ParseUint(columns[1], 10, 64)
		if err != nil {
			return nil, err
		}
		sent, err := strconv.ParseUint(columns[9], 10, 64)
		if err != nil {
			return nil, err
		}
		counters[strings.TrimSpace(name)] = packets{sent: sent, received: received}
	}
	return counters, nil
}

// kind detects wireless interfaces by their folder in /sys, as they have Ethernet addresses too. Without /sys a
// wireless interface counts as wired.
func (s System) kind(nic net.Interface) Kind {
	for _, sign := range []string{"wireless", "phy80211"} {
		path := filepath.Join(cmp.Or(s.Sys, "/sys"), "class/net", nic.Name, sign)
		if _, err := os.Stat(path); err == nil {
			return Wifi
		}
	}
	const ethernetAddress = 6 // bytes
	if len(nic.HardwareAddr) == ethernetAddress && nic.Flags&net.FlagPointToPoint == 0 {
		return Ethernet
	}
	return ""
}

func fourFirst(a, b netip.Addr) int {
	switch {
	case a.Is4() && !b.Is4():
		return -1
	case b.Is4() && !a.Is4():
		return 1
	}
	return 0
}

func interfaces() ([]Interface, error) {
	nics, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	found := make([]Interface, 0, len(nics))
	for _, nic := range nics {
		addresses, err := nic.Addrs()
		if err != nil {
			continue // removed meanwhile
		}
		entry := Interface{Interface: nic}
		for _, address := range addresses {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil {
				entry.Addresses = append(entry.Addresses, prefix.Addr().Unmap())
			}
		}
		found = append(found, entry)
	}
	return found, nil
}

// Source returns our address on the route to a server, "HOST:PORT". It looks up the host's name but sends no packet
// to the server. The error is for a missing route or an unknown name.
func Source(ctx context.Context, server string) (netip.Addr, error) {
	// Connecting a datagram socket only makes the kernel choose a route.
	connection, err := (&net.Dialer{}).DialContext(ctx, "udp", server)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot find a route to %s: %w", server, err)
	}
	defer connection.Close() //nolint:errcheck // nothing was sent
	local, ok := connection.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("internal error: UDP socket with local address %v", connection.LocalAddr())
	}
	return local.AddrPort().Addr().Unmap().WithZone(""), nil
}
