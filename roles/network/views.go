package network

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// ControlDevice registers the device and points it at its server. ID and Registered can be written here and are read
// through ObserveDevice.
type ControlDevice struct {
	ID         string    `json:"id,omitempty"`         // UUID, write-only
	Registered Timestamp `json:"registered,omitempty"` // write-only
	ServerURL  string    `json:"server-url,omitempty"`
}

// ObserveDevice is the identity of the device, read-only.
type ObserveDevice struct {
	UUID       string    `json:"uuid,omitempty"`
	Registered Timestamp `json:"registered,omitempty"`
}

// A Timestamp is when the device was registered: seconds since 1970 as decimal digits, which are a JSON number in the
// registry, or a text such as "2024-06-26 13:11:57", which is a JSON string there. The schema takes both.
type Timestamp string

// Unix returns the Timestamp of a number of seconds since 1970.
func Unix(seconds int64) Timestamp { return Timestamp(strconv.FormatInt(seconds, 10)) }

// MarshalJSON writes a number where the text is one, else a string.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if _, err := strconv.ParseInt(string(t), 10, 64); err == nil {
		return []byte(t), nil
	}
	return json.Marshal(string(t))
}

// UnmarshalJSON takes a number or a string.
func (t *Timestamp) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		*t = Timestamp(value)
		return nil
	case float64:
		if seconds := int64(value); float64(seconds) == value {
			*t = Unix(seconds)
			return nil
		}
	}
	return fmt.Errorf("want seconds since 1970 or a text, not %s", text)
}

// ControlInterfaces is configuration and packet counters of each interface, by its name.
type ControlInterfaces struct {
	Config map[string]InterfaceConfig `json:"config,omitempty"`
	Stats  map[string]InterfaceStats  `json:"stats,omitempty"`
}

// InterfaceConfig is how an interface is configured.
type InterfaceConfig struct {
	InterfaceType string `json:"interface-type,omitempty"` // "wifi" or "ethernet"
	IPAddress     string `json:"ip-address,omitempty"`     // IPv4
}

// InterfaceStats counts packets; always written, 0 being a count.
type InterfaceStats struct {
	NSent     uint64 `json:"n-sent"`
	NReceived uint64 `json:"n-received"`
}

// ObserveInterfaces is packet counters by interface, read-only, and two interfaces in full.
type ObserveInterfaces struct {
	PacketsSent     map[string]uint64 `json:"packets-sent,omitempty"`
	PacketsReceived map[string]uint64 `json:"packets-received,omitempty"`
	Eth0            *Interface        `json:"eth0,omitempty"`
	Wlan0           *Interface        `json:"wlan0,omitempty"`
}

// Interface is configuration and counters of one interface.
type Interface struct {
	Config *InterfaceConfig `json:"config,omitempty"`
	Stats  *InterfaceStats  `json:"stats,omitempty"`
}

// ControlTunnel is the VPN tunnel. SecretKey can be written and read by nobody.
type ControlTunnel struct {
	Interface string   `json:"interface,omitempty"`
	SecretKey string   `json:"secret-key,omitempty"` // write-only
	Peers     []string `json:"peers,omitempty"`      // IPv4, each once; an empty list cannot be stored: unset it
}

// ObserveTunnel is the peers of the tunnel, read-only.
type ObserveTunnel struct {
	Peers []string `json:"peers,omitempty"`
}

// ControlTelemetry is what is measured and how often; nil where nobody said.
type ControlTelemetry struct {
	SampleRate             *int  `json:"sample-rate,omitempty"` // reports a minute
	MonitorPacketsSent     *bool `json:"monitor-packets-sent,omitempty"`
	MonitorPacketsReceived *bool `json:"monitor-packets-received,omitempty"`
	MonitorPeers           *bool `json:"monitor-peers,omitempty"`
}
