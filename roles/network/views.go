package network

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// ControlDevice has the identity of the device and the address of its server. ID and Registered can only be written;
// read them through ObserveDevice.
type ControlDevice struct {
	ID         string    `json:"id,omitempty"`         // UUID, write-only
	Registered Timestamp `json:"registered,omitempty"` // write-only
	ServerURL  string    `json:"server-url,omitempty"`
}

// ObserveDevice has the identity of the device. It is read-only.
type ObserveDevice struct {
	UUID       string    `json:"uuid,omitempty"`
	Registered Timestamp `json:"registered,omitempty"`
}

// A Timestamp is when the device was registered: seconds since 1970 in decimal digits, stored as a JSON number, or a
// text such as "2024-06-26 13:11:57", stored as a JSON string. The schema accepts both.
type Timestamp string

// Unix returns the Timestamp for seconds since 1970.
func Unix(seconds int64) Timestamp { return Timestamp(strconv.FormatInt(seconds, 10)) }

// MarshalJSON encodes digits as a number and other text as a string.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if _, err := strconv.ParseInt(string(t), 10, 64); err == nil {
		return []byte(t), nil
	}
	return json.Marshal(string(t))
}

// UnmarshalJSON decodes a number or a string.
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

// ControlInterfaces has configuration and packet counters by interface name.
type ControlInterfaces struct {
	Config map[string]InterfaceConfig `json:"config,omitempty"`
	Stats  map[string]InterfaceStats  `json:"stats,omitempty"`
}

// InterfaceConfig is the configuration of an interface.
type InterfaceConfig struct {
	InterfaceType string `json:"interface-type,omitempty"` // "wifi" or "ethernet"
	IPAddress     string `json:"ip-address,omitempty"`     // IPv4
}

// InterfaceStats counts packets. Both fields are always written.
type InterfaceStats struct {
	NSent     uint64 `json:"n-sent"`
	NReceived uint64 `json:"n-received"`
}

// ObserveInterfaces has packet counters by interface name, and all values of two interfaces. It is read-only.
type ObserveInterfaces struct {
	PacketsSent     map[string]uint64 `json:"packets-sent,omitempty"`
	PacketsReceived map[string]uint64 `json:"packets-received,omitempty"`
	Eth0            *Interface        `json:"eth0,omitempty"`
	Wlan0           *Interface        `json:"wlan0,omitempty"`
}

// Interface has configuration and counters of one interface.
type Interface struct {
	Config *InterfaceConfig `json:"config,omitempty"`
	Stats  *InterfaceStats  `json:"stats,omitempty"`
}

// ControlTunnel has the settings of the VPN tunnel. Nobody can read SecretKey.
type ControlTunnel struct {
	Interface string   `json:"interface,omitempty"`
	SecretKey string   `json:"secret-key,omitempty"` // write-only
	Peers     []string `json:"peers,omitempty"`      // IPv4, without duplicates; unset an empty list
}

// ObserveTunnel has the peers of the tunnel. It is read-only.
type ObserveTunnel struct {
	Peers []string `json:"peers,omitempty"`
}

// ControlTelemetry says what to measure and how often. nil means not set.
type ControlTelemetry struct {
	SampleRate             *int  `json:"sample-rate,omitempty"` // reports a minute
	MonitorPacketsSent     *bool `json:"monitor-packets-sent,omitempty"`
	MonitorPacketsReceived *bool `json:"monitor-packets-received,omitempty"`
	MonitorPeers           *bool `json:"monitor-peers,omitempty"`
}
