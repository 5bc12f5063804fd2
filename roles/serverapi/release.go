package serverapi

import "github.com/google/uuid"

// Phases of a release that callers tell apart. The others are "starting", "rolling" and "holding".
const (
	ReleaseAwaiting = "awaiting" // a person has to say go
	ReleaseHalted   = "halted"   // it has stopped
	ReleaseDone     = "done"     // it has ended: all devices may have the change
	ReleaseUndone   = "undone"   // it has ended: the layers are again what they were
)

// ReleasePlan says how a change is released in stages.
type ReleasePlan struct {
	Stages   []ReleaseStage `json:"stages"` // if the last one has not all devices, one that has is added
	StopWhen *ReleaseStop   `json:"stop-when,omitempty"`
	OnStop   string         `json:"on-stop,omitempty" enums:"halt,undo"` // halt by default
	Approve  []int          `json:"approve,omitempty" example:"2"`       // numbers of the stages, from 1, that begin when a person says go
}

// ReleaseStage is a stage of a plan. It has exactly one of devices, percent and selector.
type ReleaseStage struct {
	Devices  int     `json:"devices,omitempty" example:"1"`
	Percent  float64 `json:"percent,omitempty"` // of the devices that the change concerns
	Selector string  `json:"selector,omitempty"`
	Spread   string  `json:"spread,omitempty"` // so many devices, or percent, of each value of this label
	Hold     string  `json:"hold,omitempty"`   // for how long the devices have to be well before the next stage, such as 30m
}

// ReleaseStop says when a release halts by itself, in percent of the admitted devices.
type ReleaseStop struct {
	Failing float64 `json:"failing,omitempty" example:"2"`
	Silent  float64 `json:"silent,omitempty" example:"5"`
	Within  string  `json:"within,omitempty" example:"10m"` // how long a device may take; one and a half poll intervals by default
}

// Release is a change of layers that devices get in stages.
//
// It has many fields because each member of the JSON object is one.
type Release struct {
	ID        int64           `json:"id" example:"12"` // the revision at which it began
	Layers    []string        `json:"layers" example:"everyone"`
	Author    string          `json:"author,omitempty"`
	At        int64           `json:"at" example:"1732480000"`
	Active    bool            `json:"active"`
	Phase     string          `json:"phase" enums:"starting,rolling,holding,awaiting,halted,done,undone"`
	Since     int64           `json:"since" example:"1732480000"` // when the phase began
	Stage     int             `json:"stage"`                      // the last one that has begun, from 1; 0 before the first
	Waits     string          `json:"waits,omitempty"`            // what it waits for
	Why       string          `json:"why,omitempty"`              // why it stopped
	Plan      ReleasePlan     `json:"plan"`
	Stages    []ReleaseCounts `json:"stages"`            // how the devices are; when the release ended, if it has
	Causes    []ReleaseCause  `json:"causes,omitempty"`  // why devices fail, the most frequent first
	HeldBy    []ReleaseCause  `json:"held-by,omitempty"` // devices that have no change yet, and time left or not been there; not in lists
	NeedsWord bool            `json:"needs-word"`        // it goes on only if a person says so
}

// ReleaseCounts counts the devices that this stage has admitted, by their state.
type ReleaseCounts struct {
	Stage   string `json:"stage" example:"10% of the devices"`
	Begun   int64  `json:"begun,omitempty" example:"1732480000"`
	Devices int    `json:"devices"` // that it has; or would have if it began now
	InSync  int    `json:"in-sync"`
	Failing int    `json:"failing"`          // they refused the change, or failed to apply it
	Silent  int    `json:"silent"`           // they did not answer in time
	Waiting int    `json:"waiting"`          // they have time left
	Absent  int    `json:"absent,omitempty"` // beside devices: they were silent already when the stage began
}

// ReleaseCause is why devices fail, or why they delay a release: they have yet to apply the change (waiting), or were
// silent already when their stage began (absent).
type ReleaseCause struct {
	Outcome string      `json:"outcome" enums:"refused,failed,drifted,silent,waiting,absent"`
	Path    string      `json:"path,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Devices int         `json:"devices"`
	Some    []uuid.UUID `json:"some"` // the first few of them
	// Names has the names of the devices in some. It leaves out devices without a name. Lists leave it out.
	Names map[uuid.UUID]string `json:"names,omitempty"`
}

// ReleasePage is the answer to GET /releases/, newest first.
type ReleasePage struct {
	Releases []Release `json:"releases"`
	Next     int64     `json:"next,omitempty"` // value of "before" for the next page; 0 on the last one
}

// DeviceRelease is the place of a device in the active release.
type DeviceRelease struct {
	ID       int64 `json:"id" example:"12"`
	Stage    int   `json:"stage"`               // that has admitted the device; 0 if it waits
	WaitsFor int   `json:"waits-for,omitempty"` // the stage that the device waits for, as things are now; not in lists
	Stages   int   `json:"stages"`              // how many there are
}

// PlannedStage is a stage in a dry run.
type PlannedStage struct {
	Stage   string `json:"stage" example:"10% of the devices"`
	Devices int    `json:"devices"` // that it would have, and no stage before
}
