package serverapi

import "github.com/google/uuid"

// The states of a device, which the server derives from its reports.
const (
	StateNew     = "new"     // it has registered but not polled
	StateInSync  = "in-sync" // it runs the desired target, and no reported value contradicts it
	StateBehind  = "behind"  // it has not tried the desired target, or has not reported it
	StateRefused = "refused" // it refused the desired target
	StateFailed  = "failed"  // it could not apply the desired target, and has gone back
	StateDrifted = "drifted" // it runs the desired target, but reported values contradict it
	StatePending = Pending   // it waits for an operator's approval
	StateRevoked = Revoked   // an operator has revoked it
)

// Device is what the server knows about a device.
//
// It has many fields because each member of the JSON object is one.
type Device struct {
	UUID       uuid.UUID         `json:"uuid"`
	Registered int64             `json:"registered" example:"1719407517"`
	IPAddress  string            `json:"ip-address" example:"192.0.2.7"`
	Arch       string            `json:"arch" example:"amd64"`
	KeyID      string            `json:"key-id,omitempty"` // base64url of the SHA-256 of its public key
	Labels     map[string]string `json:"labels" example:"site:berlin"`
	Status     string            `json:"status" enums:"active,pending,revoked"`
	State      string            `json:"state" enums:"new,in-sync,behind,refused,failed,drifted,pending,revoked"`
	Silent     bool              `json:"silent"`           // not seen for three poll intervals; a registration counts
	Cloned     bool              `json:"cloned,omitempty"` // two machines report as this device
	LastSeen   int64             `json:"last-seen,omitempty" example:"1732480000"`
	Sequence   int64             `json:"sequence,omitempty"` // sequence of its last report
	Desired    Desired           `json:"desired"`
	Running    *Running          `json:"running,omitempty"`
	Attempted  *Attempted        `json:"attempted,omitempty"`
	// Config is the last reported configuration, and Differs are the paths of its values that contradict the target.
	// Lists leave both out.
	Config  Config   `json:"config,omitempty"`
	Differs []string `json:"differs,omitempty" example:"control-telemetry.sample-rate"`
}

// Desired is the target that a device should have.
type Desired struct {
	Revision int64  `json:"revision" example:"5"` // 0 if no target was ever set
	Hash     string `json:"hash"`
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
}

// DevicePage is the answer to GET /devices/.
type DevicePage struct {
	Devices []Device `json:"devices"`
	Next    string   `json:"next,omitempty"` // value of "after" for the next page; "" on the last one
}

// RevokedKeys is the answer to GET /revoked-keys/.
type RevokedKeys struct {
	RevokedKeys []RevokedKey `json:"revoked-keys"`
}

// RevokedKey is the key of a removed device that was revoked.
type RevokedKey struct {
	KeyID string    `json:"key-id"`
	UUID  uuid.UUID `json:"uuid"` // of the removed device
	At    int64     `json:"at" example:"1732480000"`
}

// LayerRequest is the body of PUT /targets/…/.
type LayerRequest struct {
	Selector string `json:"selector,omitempty" example:"site=berlin,stage!=test"` // only for labels/…
	Priority int64  `json:"priority,omitempty"`                                   // only for labels/…; a higher one is merged later
	Config   Config `json:"config"`                                               // null means unset
}

// Layer is a layer of targets.
type Layer struct {
	Layer    string `json:"layer" example:"labels/berlin"` // "everyone", "labels/NAME" or "devices/UUID"
	Selector string `json:"selector,omitempty"`
	Priority int64  `json:"priority,omitempty"`
	Config   Config `json:"config"`
	Revision int64  `json:"revision" example:"5"`
	Hash     string `json:"hash"` // hash of the layer's own configuration
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
}

// Targets is the answer to GET /targets/: all layers in the order of merging.
type Targets struct {
	Revision int64   `json:"revision"` // revision of the last change of any layer
	Layers   []Layer `json:"layers"`
	Next     string  `json:"next,omitempty"` // value of "after" for the next page; "" on the last one
}

// Secrets is the answer to GET /secrets/.
type Secrets struct {
	Secrets []Secret `json:"secrets"`
}

// Secret is a named secret without its value.
type Secret struct {
	Name       string   `json:"name" example:"wifi"`
	Digest     string   `json:"digest,omitempty"` // changes with the value; "" if no key opens the value
	Revision   int64    `json:"revision" example:"5"`
	SetBy      string   `json:"set-by,omitempty"`
	SetAt      int64    `json:"set-at,omitempty" example:"1732480000"`
	Layers     []string `json:"layers"`                // that refer to it; at most 100
	MoreLayers int      `json:"more-layers,omitempty"` // the number of others
}

// SecretRequest is the body of PUT /secrets/{name}/.
type SecretRequest struct {
	Value any `json:"value"`
}

// SecretSet is the answer to PUT /secrets/{name}/.
type SecretSet struct {
	Name     string `json:"name" example:"wifi"`
	Digest   string `json:"digest"`
	Revision int64  `json:"revision" example:"5"`
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
	Devices  int    `json:"devices"` // whose target has changed
}

// DeviceTarget is the answer to GET /devices/{uuid}/target/.
type DeviceTarget struct {
	Config   Config   `json:"config"`
	Revision int64    `json:"revision" example:"5"`
	Hash     string   `json:"hash"`
	Layers   []string `json:"layers" example:"everyone,labels/berlin"` // in the order of merging
	// Explain maps the path of each value to the layer that set it; only with explain=true. An array is one value.
	Explain map[string]Origin `json:"explain,omitempty"`
}

// Origin is the layer that set a value.
type Origin struct {
	Layer    string `json:"layer" example:"labels/berlin"`
	Revision int64  `json:"revision" example:"5"`
}

// DryRun is the answer to a change with dry-run=true.
type DryRun struct {
	Devices int            `json:"devices"` // number of devices whose target would change
	Changes []DeviceChange `json:"changes"` // changes of the first such devices
}

// DeviceChange is the change of a device's target.
type DeviceChange struct {
	UUID    uuid.UUID `json:"uuid"`
	Changes []Change  `json:"changes"`
}

// A Change is a value that differs between two configurations. A missing value is left out; null is null.
type Change struct {
	Path   string `json:"path" example:"control-telemetry.sample-rate"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Kind is "added", "removed" or "changed". It distinguishes a missing value from null.
	Kind string `json:"kind" enums:"added,removed,changed"`
}

// HistoryEntry is a change of a layer, or of a device's labels.
type HistoryEntry struct {
	Revision int64  `json:"revision" example:"5"`
	At       int64  `json:"at" example:"1732480000"`
	Author   string `json:"author,omitempty"`
	Layer    string `json:"layer" example:"labels/berlin"`
	// Action is "set", "removed" or "labels".
	Action   string            `json:"action" enums:"set,removed,labels"`
	Restores int64             `json:"restores,omitempty"` // the revision that was restored
	Selector string            `json:"selector,omitempty"`
	Priority int64             `json:"priority,omitempty"`
	Before   Config            `json:"before,omitempty"` // the layer's configuration; left out if there was none, and in lists
	After    Config            `json:"after,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"` // the device's labels after the change
}

// HistoryPage is the answer to GET /history/, newest first.
type HistoryPage struct {
	History []HistoryEntry `json:"history"`
	Next    int64          `json:"next,omitempty"` // value of "before" for the next page; 0 on the last one
}

// Diff is the answer to GET /history/{revision}/diff/: the changes of a layer between two revisions.
type Diff struct {
	Layer    string   `json:"layer"`
	Revision int64    `json:"revision"`
	Against  int64    `json:"against"` // 0 means before the layer existed
	Changes  []Change `json:"changes"`
}

// Summary is the answer to GET /summary/.
type Summary struct {
	Devices  int            `json:"devices"`
	States   map[string]int `json:"states" example:"in-sync:41"` // number of devices in each state, including 0
	Silent   int            `json:"silent"`
	Cloned   int            `json:"cloned,omitempty"` // devices as which two machines report
	Waiting  int            `json:"waiting"`          // polls that this server holds
	Revision int64          `json:"revision"`         // revision of the last change of a target
}

// DeviceStats is the answer to GET /devices/{uuid}/stats/.
type DeviceStats struct {
	Step   int64   `json:"step"`   // seconds between points
	Points []Stats `json:"points"` // oldest first
}

// Event is a server-sent event of GET /events/: "target" with the layer, or "device" with the UUID.
type Event struct {
	Kind     string `json:"kind" enums:"target,device,lost"`
	Revision int64  `json:"revision,omitempty"`
	Layer    string `json:"layer,omitempty"`
	UUID     string `json:"uuid,omitempty"`
}
