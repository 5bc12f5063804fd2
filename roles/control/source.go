package control

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"

	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/network"
)

// A source counts packets.
type source interface {
	// prepare starts a cycle.
	prepare() error
	// count returns the traffic of each interface since the totals in current, sorted by name. It may be called again
	// in a cycle, with other totals.
	count(current network.ControlInterfaces) []traffic
}

// traffic is the traffic of an interface.
type traffic struct {
	name           string
	sent, received uint64 // since the last count
	total          network.InterfaceStats
}

func (t traffic) String() string {
	return fmt.Sprintf("%s: %d packets ↑, %d packets ↓", t.name, t.sent, t.received)
}

// A simulation invents 1 to 10 packets in each direction and cycle, for every configured interface.
type simulation struct {
	random *rand.Rand
	drawn  map[string][2]uint64 // numbers of this cycle: sent, received
}

func (s *simulation) prepare() error {
	s.drawn = map[string][2]uint64{}
	return nil
}

// maxCount is the largest counter before it restarts at zero. It is the largest exact number in confdb, which stores
// 64-bit floats (seen on snapd 2.77.1).
const maxCount = 1<<53 - 1

func (s *simulation) count(current network.ControlInterfaces) []traffic {
	var list []traffic
	for _, name := range slices.Sorted(maps.Keys(current.Config)) {
		drawn, ok := s.drawn[name]
		if !ok {
			drawn = [2]uint64{1 + s.random.Uint64N(10), 1 + s.random.Uint64N(10)}
			s.drawn[name] = drawn
		}
		before := current.Stats[name]
		list = append(list, traffic{name: name, sent: drawn[0], received: drawn[1], total: network.InterfaceStats{
			NSent: advance(before.NSent, drawn[0]), NReceived: advance(before.NReceived, drawn[1]),
		}})
	}
	return list
}

func advance(before, by uint64) uint64 {
	if before > maxCount-by {
		return by
	}
	return before + by
}

// system reads the kernel's counters.
type system struct {
	read   func() ([]netdev.Link, error)
	log    *slog.Logger
	warned map[string]bool // skipped names that were logged

	links []netdev.Link
	// base means that this count only sets the base of the next one, since the previous totals are not the kernel's.
	base bool
}

func (s *system) prepare() error {
	links, err := s.read()
	if err != nil {
		return err
	}
	s.links = slices.DeleteFunc(links, func(link netdev.Link) bool {
		if interfaceName.MatchString(link.Name) {
			return false
		}
		if !s.warned[link.Name] {
			s.warned[link.Name] = true
			s.log.Warn("interface skipped: confdb cannot hold its name", "interface", link.Name,
				"want", interfaceName.String())
		}
		return true
	})
	return nil
}

// interfaceName is the network schema's pattern for names of interfaces. It is narrower than that of confdb's paths.
// A test compares it with the schema.
var interfaceName = regexp.MustCompile(`^[a-z][a-z0-9]+$`)

// count uses the kernel's counters as totals. A smaller counter than before has restarted at zero.
func (s *system) count(current network.ControlInterfaces) []traffic {
	var list []traffic
	for _, link := range s.links {
		before := current.Stats[link.Name]
		total := network.InterfaceStats{NSent: link.Sent & maxCount, NReceived: link.Received & maxCount}
		counted := traffic{name: link.Name, total: total}
		if !s.base {
			counted.sent, counted.received = since(before.NSent, total.NSent), since(before.NReceived, total.NReceived)
		}
		list = append(list, counted)
	}
	return list
}

func since(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
