package serverapi

import "github.com/google/uuid"

// PollRequest is the body of POST /poll/. The answer is 200 with an Offer, or 204 when there is nothing to do.
//
// With the header "Prefer: wait=SECONDS" (RFC 7240) the server holds an answer of 204 back until something is to do or
// the time is up; "Preference-Applied: wait=SECONDS" tells how long it would have.
type PollRequest struct {
	UUID   uuid.UUID `json:"uuid"`
	Config Config    `json:"config"` // the configuration as the device has it now
	Report *Report   `json:"report,omitempty"`
}

// A Report says what became of targets. It is kept when the poll is answered with 200 or 204; until then the device
// repeats it. Every member is optional.
type Report struct {
	// Sequence grows with every report that differs from the one before, also through restarts of the device. The
	// server ignores a report whose sequence is lower than the last it kept; an equal one is a repetition.
	Sequence int64 `json:"sequence,omitempty"`
	// Instance names the machine that speaks, for as long as it is switched on. Where two of them take turns as one
	// device, the server tells the operator.
	Instance  string     `json:"instance,omitempty"`
	Running   *Running   `json:"running,omitempty"`   // nil: no target of the server
	Attempted *Attempted `json:"attempted,omitempty"` // nil: none yet
	Stats     *Stats     `json:"stats,omitempty"`
}

// Running is the target that a device has applied and confirmed.
type Running struct {
	Revision int64  `json:"revision" example:"4"`
	Hash     string `json:"hash" example:"sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="` // of Config.Hash
}

// Attempted is what became of the target that a device tried last.
type Attempted struct {
	Revision int64  `json:"revision" example:"5"`
	Outcome  string `json:"outcome" enums:"applied,refused,failed"`
	Path     string `json:"path,omitempty" example:"metrics.sample-rate"` // in the storage, where the reason names one
	Reason   string `json:"reason,omitempty"`
	At       int64  `json:"at,omitempty" example:"1732480000"` // by the device's clock
}

// The outcomes of an attempt.
const (
	Applied = "applied"
	Refused = "refused" // what it asks for is not acceptable, and will not be: it is not offered again
	Failed  = "failed"  // it was acceptable, but could not be applied or confirmed; the device has gone back
)

// Stats is what a device has counted.
type Stats struct {
	At      int64              `json:"at,omitempty" example:"1732480000"` // by the device's clock
	Packets map[string]Packets `json:"packets,omitempty"`                 // by interface, since the device's start
	Peers   *int64             `json:"peers,omitempty"`                   // of the tunnel
}

// Packets counts an interface's packets.
type Packets struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
}

// An Offer is the 200 answer to POST /poll/: the target that the device is to apply.
type Offer struct {
	Config   Config `json:"config"`                                                                        // null means unset
	Revision int64  `json:"revision,omitempty" example:"5"`                                                // 0 from the original's server
	Hash     string `json:"hash,omitempty" example:"sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="` // of Config.Hash
}

// MaxWait is the longest that a server holds a poll back, in seconds.
const MaxWait = 300

// PollInterval is the header in which a server tells devices how many seconds to leave between polls.
const PollInterval = "Poll-Interval"

// ReportSequence is the header of an answer to a report that was ignored, as one with this later sequence is kept.
const ReportSequence = "Report-Sequence"
