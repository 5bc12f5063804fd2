package reporting

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/plain"
)

// A Report is one sample of the network, and a line of --format json. It leaves out figures that are not asked for or
// missing.
type Report struct {
	Time            time.Time         `json:"time"`
	DeviceID        string            `json:"device-id,omitempty"`
	PacketsSent     map[string]uint64 `json:"packets-sent,omitempty"`     // interface -> packets
	PacketsReceived map[string]uint64 `json:"packets-received,omitempty"` // interface -> packets
	TunnelPeers     []string          `json:"tunnel-peers,omitempty"`
	Missing         []string          `json:"missing,omitempty"` // requested figures without a value, by their names above, or a view
	NextRun         float64           `json:"next-run-seconds"`
}

// expect records a figure as missing unless it is there.
func (r *Report) expect(name string, there bool) {
	if !there {
		r.Missing = append(r.Missing, name)
	}
}

// text returns the report for people. The note explains an unusual next run.
func (r *Report) text(note string) string {
	var text strings.Builder
	text.WriteString("The network stats are:\n")
	line := func(name, value string) {
		if slices.Contains(r.Missing, name) {
			value = "missing, " + whyMissing(name)
		}
		if value != "" {
			fmt.Fprintf(&text, "    %s: %s\n", name, plain.Line(value))
		}
	}
	line("control-telemetry", "")
	line("device-id", r.DeviceID)
	line("packets-sent", packets(r.PacketsSent))
	line("packets-received", packets(r.PacketsReceived))
	line("tunnel-peers", strings.Join(r.TunnelPeers, ", "))
	fmt.Fprintf(&text, "Next run in %.2f seconds", r.NextRun)
	if note != "" {
		fmt.Fprintf(&text, " (%s)", note)
	}
	text.WriteByte('\n')
	return text.String()
}

func packets(counts map[string]uint64) string {
	list := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(list, ", ")
}

// whyMissing returns why a figure is missing.
func whyMissing(name string) string {
	switch name {
	case "device-id":
		return "the device is not registered yet"
	case "packets-sent", "packets-received":
		return "no interface has been counted yet"
	case "tunnel-peers":
		return "the tunnel has no peers"
	default:
		return "nobody has said what to monitor"
	}
}
