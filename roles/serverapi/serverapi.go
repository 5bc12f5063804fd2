// Package serverapi is what the fleet server and those who call it agree on: the wire shapes, and a small client.
//
// Paths, field names, status codes and the "detail" member of errors are those of the original proof of concept, so
// that its clients still work. What is new stands beside them.
package serverapi

import "github.com/google/uuid"

// Config is a configuration: view name -> the document of that view, as its readers see it, such as
// {"control-telemetry": {"sample-rate": 4}}. Any JSON object is carried. In a target, null means unset.
type Config map[string]any

// Document is the body of GET and PUT /target-config/, and of a 200 answer to POST /poll/.
type Document struct {
	Config Config `json:"config"`
}

// RegisterRequest is the body of POST /register/.
type RegisterRequest struct {
	IPAddress    string `json:"ip-address" example:"192.0.2.7"`
	PublicKeyRSA string `json:"public-key-rsa"`       // PEM
	Arch         string `json:"arch" example:"amd64"` // Debian's name
}

// RegisterResponse is the 200 answer to POST /register/.
type RegisterResponse struct {
	UUID       uuid.UUID `json:"uuid"`
	Registered int64     `json:"registered" example:"1719407517"` // seconds since 1970
	RegisterRequest
}

// PollRequest is the body of POST /poll/. The answer is 200 with a Document, or 204 when the device is in step.
type PollRequest struct {
	UUID   uuid.UUID `json:"uuid"`
	Config Config    `json:"config"`
}

// State is the 200 answer to GET /state/{uuid}/.
type State struct {
	Registered int64 `json:"registered"`
	RegisterRequest
	Config Config `json:"config"`
}

// Problem is the body of every error (RFC 9457, application/problem+json).
type Problem struct {
	Type   string         `json:"type,omitempty"`
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
