// Package serverapi has the JSON shapes of the fleet server's API, and the Client of devices and of the demo. The
// server and its callers share it. Package operator has the client of operators, package sign the signatures of
// devices' requests.
//
// Paths, field names, status codes and the "detail" member of errors are those of the original proof of concept, so
// that its clients still work. Additions do not change them.
package serverapi

import (
	"aspects-poc/internal/jsonvalue"

	"github.com/google/uuid"
)

// Config is a configuration: view name -> the view's document as its readers see it, such as {"control-telemetry":
// {"sample-rate": 4}}. It may be any JSON object. In a target, null means unset.
type Config map[string]any

// Merge returns the configuration that a device has after it has applied a target: null unsets, as in a JSON merge
// patch. Merge does not modify its arguments.
func (c Config) Merge(target Config) Config {
	merged, _ := jsonvalue.Merge(map[string]any(c), map[string]any(target)).(map[string]any)
	return merged
}

// Document is the body of GET and PUT /target-config/.
type Document struct {
	Config Config `json:"config"`
}

// RegisterRequest is the body of POST /register/.
type RegisterRequest struct {
	IPAddress    string `json:"ip-address" example:"192.0.2.7"`
	PublicKeyRSA string `json:"public-key-rsa"`       // PEM
	Arch         string `json:"arch" example:"amd64"` // Debian's name
	// Labels describe the device, for targets that apply to some devices only.
	Labels map[string]string `json:"labels,omitempty" example:"site:berlin"`
	// EnrolmentToken admits the device if the server requires one.
	EnrolmentToken string `json:"enrolment-token,omitempty"`
}

// RegisterResponse is the 200 answer to POST /register/. It repeats the request as the server stored it, without the
// token.
type RegisterResponse struct {
	UUID       uuid.UUID `json:"uuid"`
	Registered int64     `json:"registered" example:"1719407517"` // seconds since 1970, like all times
	RegisterRequest
	// Status is Active or Pending; "" from the original's server.
	Status string `json:"status,omitempty" enums:"active,pending"`
}

// The status of a device.
const (
	Active  = "active"  // it may poll
	Pending = "pending" // an operator must approve it first
	Revoked = "revoked" // an operator has revoked it
)

// State is the 200 answer to GET /state/{uuid}/.
type State struct {
	Registered int64 `json:"registered"`
	RegisterRequest
	Config Config `json:"config"` // the last reported one
}

// Problem is the body of every error (RFC 9457, application/problem+json).
type Problem struct {
	Type   string         `json:"type,omitempty"` // one of the Problem… constants, or "" if callers need no distinction
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail" example:"Agent not registered"`
	Errors []FieldProblem `json:"errors,omitempty"`
}

// FieldProblem is an invalid field of a body.
type FieldProblem struct {
	Field   string `json:"field" example:"ip-address"`
	Message string `json:"message"`
}

// The "detail" of two refusals, as the original's server words it.
const (
	NotRegistered      = "Agent not registered"         // POST /poll/
	RegistrationAbsent = "Agent registration not found" // GET /state/{uuid}/
)

// The types of problems that callers distinguish; see IsProblem.
const (
	ProblemUnsigned      = "urn:aspects-poc:problem:unsigned"       // 401: the request must be signed
	ProblemSignature     = "urn:aspects-poc:problem:signature"      // 401: not the device's signature of this request
	ProblemClock         = "urn:aspects-poc:problem:clock"          // 401: created too far from the server's clock, which is in Date
	ProblemReplayed      = "urn:aspects-poc:problem:replayed"       // 401: the nonce was used before
	ProblemUnknownKey    = "urn:aspects-poc:problem:unknown-key"    // 401: no device has this key
	ProblemPending       = "urn:aspects-poc:problem:pending"        // 403: an operator must approve the device first
	ProblemRevoked       = "urn:aspects-poc:problem:revoked"        // 403: an operator has revoked the device
	ProblemEnrolment     = "urn:aspects-poc:problem:enrolment"      // 403: the enrolment token is missing or invalid
	ProblemReleasing     = "urn:aspects-poc:problem:releasing"      // 409: a release is active
	ProblemStale         = "urn:aspects-poc:problem:stale"          // 412: the revision is not the one in If-Match
	ProblemRefusedTarget = "urn:aspects-poc:problem:refused-target" // 422: the confdb-schema refuses the target
)
