// Package access decides who may speak to the fleet server: devices by the signatures of their requests, operators by
// tokens or by sitting at the machine. The rules are here; middleware.go fits them to Echo, package sign has what
// signatures consist of, and docs/access.md tells which threats they answer.
//
// A Gate is asked for each request, and says who calls (a Caller, which it leaves in the request's context) or why not
// (a *Refusal):
//
//	gate := access.New(access.Options{Devices: fleet, Tokens: store})
//	app.POST("/poll/", poll, gate.Require(access.Devices, readBody))
package access

import (
	"context"
	"net/http"
	"time"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// A Kind of caller.
type Kind int

const (
	Nobody    Kind = iota // has not been asked who it is
	Unsigned              // a device, by its own word: it does not sign, and need not
	Applicant             // wants to register with the key that signed; nobody yet
	Device                // signed by the key of a device
	Operator              // has an operator's token
	Loopback              // sits at the machine, and there is no operator's token at all
)

// A Caller is who sent a request.
type Caller struct {
	Kind     Kind
	Device   uuid.UUID // of a Device
	KeyID    string    // of a Device and an Applicant
	Name     string    // of an Operator: that of the token
	ReadOnly bool      // of an Operator
	Sent     time.Time // of a Device: when it signed the request
	// Unconfirmed is why it cannot be found out at present whether the request of a Device came to another server before:
	// it may not change anything then. Nil where it did not.
	Unconfirmed error

	body []byte // of an Applicant's request, for Prove
}

// Author names the caller in a history.
func (c Caller) Author() string {
	switch c.Kind {
	case Operator:
		return c.Name
	case Loopback:
		return "loopback"
	case Device:
		return c.Device.String()
	}
	return ""
}

type callerKey struct{}

// With returns a context that knows the caller.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// From returns the caller that a request's context knows; the zero Caller where nobody was asked.
func From(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}

// A Right is what a route asks of its callers.
type Right int

const (
	Anyone   Right = iota // needs no right
	Register              // a device that is not known yet, which shows that it has the key in its body
	Poll                  // a device, for itself
	Read                  // an operator
	Write                 // an operator whose token is not read-only
)

// A Refusal is why a request is not answered. Its text is for the caller.
type Refusal struct {
	Status     int    // of HTTP: 401 asks for another proof, 403 is final
	Type       string // one of serverapi's Problem… constants, or ""
	Detail     string
	RetryAfter int    // seconds; 0 for none
	Challenge  string // WWW-Authenticate; "" for none
	Cause      error  // for the log; may be nil
}

func (r *Refusal) Error() string {
	if r.Cause != nil {
		return r.Detail + ": " + r.Cause.Error()
	}
	return r.Detail
}

func (r *Refusal) Unwrap() error { return r.Cause }

// Headers adds what tells a caller how to come back.
func (r *Refusal) Headers(header http.Header) {
	if r.Challenge != "" {
		header.Set("WWW-Authenticate", r.Challenge)
	}
	if r.Challenge == deviceChallenge {
		header.Set(sign.AcceptHeader, sign.Accept)
	}
}

// The challenges of 401 answers. RFC 9421 registers no scheme; the header Accept-Signature has the particulars.
const (
	deviceChallenge   = `Signature realm="devices"`
	operatorChallenge = `Bearer realm="operators"`
	browserChallenge  = `Basic realm="operators: any name, and the token as password", charset="UTF-8"`
)

// invalidToken is what a challenge adds where there was a token.
var invalidToken = map[string]string{operatorChallenge: `, error="invalid_token"`}

func unauthorized(kind, detail string) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Type: kind, Detail: detail, Challenge: deviceChallenge}
}

func forbidden(kind, detail string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Type: kind, Detail: detail}
}

// revoked is what a device hears that an operator turned away.
func revoked() *Refusal {
	return forbidden(serverapi.ProblemRevoked, "An operator has revoked this device; only an operator can let it in again")
}

// pendingRetry is how long a device that waits for approval is asked to wait before it asks again, in seconds.
const pendingRetry = 60

func pending() *Refusal {
	refused := forbidden(serverapi.ProblemPending, "An operator has yet to approve this device")
	refused.RetryAfter = pendingRetry
	return refused
}
