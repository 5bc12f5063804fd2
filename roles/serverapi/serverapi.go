// Package serverapi is what the fleet server and those who call it agree on: the wire shapes, and a small client.
//
// Paths, field names, status codes and the "detail" member of errors are those of the original proof of concept, so
// that its clients still work. What is new stands beside them.
package serverapi

import (
	"aspects-poc/internal/jsonvalue"

	"github.com/google/uuid"
)

// Config is a configuration: view name -> the document of that view, as its readers see it, such as
// {"control-telemetry": {"sample-rate": 4}}. Any JSON object is carried. In a target, null means unset.
type Config map[string]any

// Merge returns what a device shows after it has applied a target: null unsets, as in a JSON merge patch. Neither is changed.
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
	// Labels say what the device is, for targets that concern some devices only.
	Labels map[string]string `json:"labels,omitempty" example:"site:berlin"`
	// EnrolmentToken lets the device in where the server asks for one.
	EnrolmentToken string `json:"enrolment-token,omitempty"`
}

// RegisterResponse is the 200 answer to POST /register/. What it repeats of the request is what the server keeps; the
// token is never repeated.
type RegisterResponse struct {
	UUID       uuid.UUID `json:"uuid"`
	Registered int64     `json:"registered" example:"1719407517"` // seconds since 1970, as all times
	RegisterRequest
	// Status is Active or Pending; "" from the original's server.
	Status string `json:"status,omitempty" enums:"active,pending"`
}

// The status of a device.
const (
	Active  = "active"  // it may poll
	Pending = "pending" // an operator has to approve it first
	Revoked = "revoked" // an operator has turned it away
)

// State is the 200 answer to GET /state/{uuid}/.
type State struct {
	Registered int64 `json:"registered"`
	RegisterRequest
	Config Config `json:"config"` // as it reported last
}

// Problem is the body of every error (RFC 9457, application/problem+json).
type Problem struct {
	Type   string         `json:"type,omitempty"` // one of the Problem… constants, or "": there is nothing to branch on
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail" example:"Agent not registered"`
	Errors []FieldProblem `json:"errors,omitempty"`
}

// FieldProblem names the field of a body that is not as it should be.
type FieldProblem struct {
	Field   string `json:"field" example:"ip-address"`
	Message string `json:"message"`
}

// The "detail" of the original's two refusals.
const (
	NotRegistered      = "Agent not registered"         // POST /poll/
	RegistrationAbsent = "Agent registration not found" // GET /state/{uuid}/
)

// The types of problems that callers branch on; see IsProblem.
const (
	ProblemUnsigned      = "urn:aspects-poc:problem:unsigned"       // 401: the request has to be signed
	ProblemSignature     = "urn:aspects-poc:problem:signature"      // 401: the signature is not the device's over this request
	ProblemClock         = "urn:aspects-poc:problem:clock"          // 401: created too far from the server's clock, which Date tells
	ProblemReplayed      = "urn:aspects-poc:problem:replayed"       // 401: the nonce was used before
	ProblemUnknownKey    = "urn:aspects-poc:problem:unknown-key"    // 401: no device has this key
	ProblemPending       = "urn:aspects-poc:problem:pending"        // 403: an operator has to approve the device first
	ProblemRevoked       = "urn:aspects-poc:problem:revoked"        // 403: an operator has turned the device away
	ProblemEnrolment     = "urn:aspects-poc:problem:enrolment"      // 403: the enrolment token is missing or no good
	ProblemStale         = "urn:aspects-poc:problem:stale"          // 412: another revision than If-Match names
	ProblemRefusedTarget = "urn:aspects-poc:problem:refused-target" // 422: the confdb-schema does not take the target
)
