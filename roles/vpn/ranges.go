package vpn

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"aspects-poc/roles"
)

// Ranges are the IPv4 prefixes of new peers.
type Ranges []netip.Prefix

// privateRanges returns the prefixes of private networks (RFC 1918).
func privateRanges() []string { return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} }

func parseRanges(texts []string) (Ranges, error) {
	var ranges Ranges
	for _, text := range texts {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return nil, roles.Usagef("invalid value %q for --ranges: want a prefix such as 10.0.0.0/8", text)
		case !prefix.Addr().Is4():
			return nil, roles.Usagef("invalid value %q for --ranges: peers of the tunnel are IPv4", text)
		case prefix.Masked() != prefix:
			return nil, roles.Usagef("invalid value %q for --ranges: has bits behind the prefix; do you mean %s?",
				text, prefix.Masked())
		}
		ranges = append(ranges, prefix)
	}
	if len(ranges) == 0 {
		return nil, roles.Usagef("invalid value \"\" for --ranges: want at least one prefix such as 10.0.0.0/8")
	}
	return ranges, nil
}

// pick draws a random address of a random range that is not in taken. It excludes the first and the last address of a
// network, which are the network and its broadcast address. The error is errNoRoom if the drawn range has no free
// address.
func (r Ranges) pick(random *rand.Rand, taken []string) (netip.Addr, error) {
	prefix := r[random.IntN(len(r))]
	first := binary.BigEndian.Uint32(prefix.Addr().AsSlice())
	size := uint64(1) << (32 - prefix.Bits())
	if size > 2 {
		first++
		size -= 2
	}
	start := random.Uint64N(size)
	// At most len(taken) addresses are taken, so one more attempt is enough.
	for i := range min(size, uint64(len(taken))+1) {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], first+uint32((start+i)%size))
		address := netip.AddrFrom4(bytes)
		if !slices.Contains(taken, address.String()) {
			return address, nil
		}
	}
	return netip.Addr{}, errNoRoom
}
