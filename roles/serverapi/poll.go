package serverapi

import "github.com/google/uuid"

// PollRequest is the body of POST /poll/. The answer is 200 with an Offer, or 204 if there is nothing to do.
//
// With the header "Prefer: wait=SECONDS" (RFC 7240) the server holds an answer of 204 until there is something to do or
// the time is over. "Preference-Applied: wait=SECONDS" says how long it would hold the answer.
type PollRequest struct {
	UUID   uuid.UUID `json:"uuid"`
	Config Config    `json:"config"` // the device's present configuration
	Report *Report   `json:"report,omitempty"`
}

// A Report has the results of targets. The server has stored it when it answers the poll with 200 or 204; until then
// the device repeats it. Every member is optional.
type Report struct {
	// Sequence grows with every report that differs from the previous one, also across restarts of the device. The
	// server ignores a report with a lower sequence than the last stored one. An equal sequence is a repetition.
	Sequence int64 `json:"sequence,omitempty"`
	// Instance identifies the machine until it is switched off. If two machines alternate as one device, the server
	// reports that to the operator.
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

// Attempted is the result of the target that a device tried last.
type Attempted struct {
	Revision int64  `json:"revision" example:"5"`
	Outcome  string `json:"outcome" enums:"applied,refused,failed"`
	Path     string `json:"path,omitempty" example:"metrics.sample-rate"` // storage path, if the reason has one
	Reason   string `json:"reason,omitempty"`
	At       int64  `json:"at,omitempty" example:"1732480000"` // by the device's clock
}

// The outcomes of an attempt.
const (
	Applied = "applied"
	Refused = "refused" // the target is unacceptable; the server does not offer it again
	Failed  = "failed"  // the target could not be applied or confirmed; the device has gone back
)

// Stats are the counters of a device.
type Stats struct {
	At      int64              `json:"at,omitempty" example:"1732480000"` // by the device's clock
	Packets map[string]Packets `json:"packets,omitempty"`                 // by interface, since the device's start
	Peers   *int64             `json:"peers,omitempty"`                   // number of peers of the tunnel
}

// Packets are the packets of an interface.
type Packets struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
}

// An Offer is the 200 answer to POST /poll/: the target to apply.
type Offer struct {
	Config   Config `json:"config"`                                                                        // null means unset
	Revision int64  `json:"revision,omitempty" example:"5"`                                                // 0 from the original's server
	Hash     string `json:"hash,omitempty" example:"sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="` // of Config.Hash
	// Signed proves that an operator has signed the target. A fleet without statements leaves it out.
	Signed *Evidence `json:"signed,omitempty"`
}

// MaxWait is the longest time that a server holds a poll, in seconds.
const MaxWait = 300

// PollInterval is the header with the time that the server wants between polls, in seconds.
const PollInterval = "Poll-Interval"

// PollProof is the header with the proof that the server knows the device and has this poll's report; see sign.Proof.
const PollProof = "Poll-Proof"

// ReportSequence is the header of the answer to an ignored report: the later sequence that the server has stored.
const ReportSequence = "Report-Sequence"
