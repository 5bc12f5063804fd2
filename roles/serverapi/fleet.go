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
	Name       string            `json:"name,omitempty" example:"lobby"` // that an operator has given; "" for none
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
	Release    *DeviceRelease    `json:"release,omitempty"` // the active release, if that concerns the device
	// Config is the last reported configuration. Differs are the paths of its values that contradict the target. Lists
	// leave out both.
	Config  Config   `json:"config,omitempty"`
	Differs []string `json:"differs,omitempty" example:"control-telemetry.sample-rate"`
}

// Desired is the target that a device should have.
type Desired struct {
	Revision int64  `json:"revision" example:"5"` // 0 if no target was ever set
	Hash     string `json:"hash"`
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
	// Signed is the operators' statement with this target for the device. Unsigned means that the fleet has statements
	// but none with this target: the server does not offer it. A fleet without statements leaves out both.
	Signed   *SignedTarget `json:"signed,omitempty"`
	Unsigned bool          `json:"unsigned,omitempty"`
}

// SignedTarget is the operator's statement that has a device's target.
type SignedTarget struct {
	Number int64  `json:"number" example:"3"`
	By     string `json:"by" example:"anna@example.com"` // the name of the key that signed it
	At     int64  `json:"at" example:"1732480000"`       // by the operator's clock
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

// RevokedKey is the revoked key of a removed device.
type RevokedKey struct {
	KeyID string    `json:"key-id"`
	UUID  uuid.UUID `json:"uuid"` // of the removed device
	At    int64     `json:"at" example:"1732480000"`
}

// NameRequest is the body of PUT /devices/{uuid}/name/.
type NameRequest struct {
	Name string `json:"name" example:"lobby"`
}

// LayerRequest is the body of PUT /targets/…/.
type LayerRequest struct {
	Selector string `json:"selector,omitempty" example:"site=berlin,stage!=test"` // only for labels/…
	Priority int64  `json:"priority,omitempty"`                                   // only for labels/…; a higher one is merged later
	Config   Config `json:"config"`                                               // null means unset
	// Release releases the change in stages. Without it all devices get the change at once.
	Release *ReleasePlan `json:"release,omitempty"`
}

// Layer is a layer of targets.
type Layer struct {
	Layer    string `json:"layer" example:"labels/berlin"` // "everyone", "labels/NAME" or "devices/UUID"
	Device   string `json:"device-name,omitempty"`         // of a device's layer: the device's present name
	Selector string `json:"selector,omitempty"`
	Priority int64  `json:"priority,omitempty"`
	Config   Config `json:"config"`
	Revision int64  `json:"revision" example:"5"`
	Hash     string `json:"hash"` // hash of the layer's own configuration
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
	Release  int64  `json:"release,omitempty"` // in the answer to a change in stages: the release
}

// Targets is the answer to GET /targets/: all layers in the order of merging.
type Targets struct {
	Revision int64   `json:"revision"` // revision of the last change of any layer
	Layers   []Layer `json:"layers"`
	Next     string  `json:"next,omitempty"`    // value of "after" for the next page; "" on the last one
	Release  int64   `json:"release,omitempty"` // in the answer to changes in stages: the release
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
	// Explain maps the path of each value to the layer that set it; only with explain=true. An array counts as one
	// value.
	Explain map[string]Origin `json:"explain,omitempty"`
}

// Origin is the layer that set a value.
type Origin struct {
	Layer    string `json:"layer" example:"labels/berlin"`
	Revision int64  `json:"revision" example:"5"`
}

// DryRun is the answer to a change with dry-run=true.
type DryRun struct {
	Devices int            `json:"devices"`          // number of devices whose target would change
	Changes []DeviceChange `json:"changes"`          // changes of the first such devices
	Stages  []PlannedStage `json:"stages,omitempty"` // of a change in stages
}

// DeviceChange is how a device's target changes.
type DeviceChange struct {
	UUID    uuid.UUID `json:"uuid"`
	Name    string    `json:"name,omitempty" example:"lobby"`
	Changes []Change  `json:"changes"`
}

// A Change is a value that differs between two configurations. A missing value is left out; null is the value null.
type Change struct {
	Path   string `json:"path" example:"control-telemetry.sample-rate"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Kind is "added", "removed" or "changed". It distinguishes a missing value from null.
	Kind string `json:"kind" enums:"added,removed,changed"`
}

// Batch is the body of POST /targets/: changes of layers that are made all or not at all.
type Batch struct {
	// Revision is the fleet's last revision, from a plan. If it is given, the batch is refused after any later
	// revision.
	Revision *int64        `json:"revision,omitempty"`
	Changes  []BatchChange `json:"changes"`
	Release  *ReleasePlan  `json:"release,omitempty"` // has devices get the changes in stages; without it all get them at once
}

// BatchChange is a change of a layer.
type BatchChange struct {
	Layer string `json:"layer" example:"labels/berlin"`
	// Revision is the revision that the layer must have; 0 means that the layer must not exist. Without it any revision
	// is right.
	Revision *int64 `json:"revision,omitempty"`
	Remove   bool   `json:"remove,omitempty"`
	Selector string `json:"selector,omitempty" example:"site=berlin"`
	Priority int64  `json:"priority,omitempty"`
	Config   Config `json:"config,omitzero"` // required unless remove
}

// Plan is the answer to POST /targets/ with dry-run=true: what the changes would do.
type Plan struct {
	Revision int64          `json:"revision"`         // the last one drawn in the fleet; in a Batch it binds the changes to this state
	Layers   []LayerPlan    `json:"layers"`           // in the order of the changes
	Devices  int            `json:"devices"`          // number of devices whose target would change
	Refusing int            `json:"refusing"`         // of them, those that would refuse it for a reason for which they do not refuse their present one
	Groups   []PlanGroup    `json:"groups"`           // the largest first
	Stages   []PlannedStage `json:"stages,omitempty"` // of a release
	// Conflict is why the active release prevents the changes; "" if it does not. With a conflict the plan says what
	// the changes would do after the release.
	Conflict string `json:"conflict,omitempty" example:"release 12 changes the layer everyone at present: wait until it is done, or undo it"`
	Next     string `json:"next,omitempty"` // with full: value of "after" for the other devices; "" on the last page
}

// LayerPlan is how a change would affect a layer.
type LayerPlan struct {
	Layer    string      `json:"layer" example:"labels/berlin"`
	Device   string      `json:"device-name,omitempty"` // of a device's layer: the device's present name
	Action   string      `json:"action" enums:"created,changed,removed,unchanged"`
	Revision int64       `json:"revision"`         // that the layer has now; 0 if there is none
	Before   *LayerPlace `json:"before,omitempty"` // of a layer of labels
	After    *LayerPlace `json:"after,omitempty"`
	Changes  []Change    `json:"changes"`
}

// LayerPlace says which devices a layer of labels is for, and its place in the order of merging.
type LayerPlace struct {
	Selector string `json:"selector" example:"site=berlin"`
	Priority int64  `json:"priority"`
}

// PlanGroup has the devices for which the changes do the same.
type PlanGroup struct {
	Devices int         `json:"devices"`
	Changes []Change    `json:"changes"`           // of the target
	Writes  []Change    `json:"writes"`            // what the target asks for and the devices do not show; before is what they show
	Refusal *Refusal    `json:"refusal,omitempty"` // if the devices would refuse the target
	Mute    bool        `json:"mute,omitempty"`    // they have never reported, and what they have is not known
	UUIDs   []uuid.UUID `json:"uuids"`             // the first of them, or all
	// Names has the names of the devices in uuids. It leaves out devices without a name.
	Names map[uuid.UUID]string `json:"names,omitempty"`
}

// Refusal is why devices would refuse a target, in their words.
type Refusal struct {
	Path   string `json:"path,omitempty" example:"control-telemetry.sample-rate"`
	Reason string `json:"reason"`
	Known  bool   `json:"known,omitempty"` // they refuse their present target for the same reason
}

// HistoryEntry is a change of a layer, a named secret, or a device's labels or name, or a step of a release.
type HistoryEntry struct {
	Revision int64  `json:"revision" example:"5"`
	At       int64  `json:"at" example:"1732480000"`
	Author   string `json:"author,omitempty"`
	Layer    string `json:"layer" example:"labels/berlin"`
	Device   string `json:"device-name,omitempty"` // of a device's layer: the device's present name
	// Action is "set", "removed", "labels", "name" or "release".
	Action   string            `json:"action" enums:"set,removed,labels,name,release"`
	Restores int64             `json:"restores,omitempty"` // the revision that was restored
	Selector string            `json:"selector,omitempty"`
	Priority int64             `json:"priority,omitempty"`
	Before   Config            `json:"before,omitempty"` // the layer's configuration; left out if there was none, and in lists
	After    Config            `json:"after,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"` // the device's labels after the change
	Name     string            `json:"name,omitempty"`   // the device's name after the change; "" for none
	Step     string            `json:"step,omitempty"`   // what has happened to the release
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
	Age      int64          `json:"age,omitempty"`    // seconds since the server counted: in a large fleet it does so every few seconds
}

// DeviceStats is the answer to GET /devices/{uuid}/stats/.
type DeviceStats struct {
	Step   int64   `json:"step"`   // seconds between points
	Points []Stats `json:"points"` // oldest first
}

// Event is a server-sent event of GET /events/: "target" with the layer, "device" with the UUID, or "release" with its ID.
type Event struct {
	Kind     string `json:"kind" enums:"target,device,release,lost"`
	Revision int64  `json:"revision,omitempty"`
	Layer    string `json:"layer,omitempty"`
	UUID     string `json:"uuid,omitempty"`
	Release  int64  `json:"release,omitempty"`
}
