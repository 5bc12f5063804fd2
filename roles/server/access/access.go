// Package access decides who may call the fleet server. It recognises devices by the signatures of their requests, and
// operators by tokens. As long as the store has never had an operator's token, callers on the loopback are operators;
// with --operators token, the default, the server makes a token at its start.
//
// Gate is the main type. For each request it returns the Caller, which it also stores in the request's context, or a
// *Refusal:
//
//	gate, err := access.New(access.Options{Devices: fleet, Tokens: store})
//	app.POST("/poll/", poll, gate.Require(access.Poll, readBody)...)
//
// Package sign reads and verifies signatures; stores implement Devices, Store and Nonces. docs/access.md lists the
// threats.
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
	Nobody    Kind = iota // not checked
	Unsigned              // says that it is a device; it does not sign, and does not have to
	Applicant             // registers with the key that signed the request
	Device                // signs with the key of a registered device
	Operator              // has an operator's token
	Loopback              // calls from this machine while there is no operator's token
)

// A Caller says who sent a request.
type Caller struct {
	Kind   Kind
	Device uuid.UUID // for a Device
	KeyID  string    // for a Device and an Applicant
	Name   string    // for an Operator: the name of the token
	Person string    // for an Operator: the person whom the token's proxy names; "" if the token is no proxy's
	Role   Role      // for an Operator, and RoleAdmin for the Loopback
	Scope  Scope     // for an Operator: the handler checks it
	// Expires is when an Operator's token ends; zero means never.
	Expires time.Time
	Sent    time.Time // for a Device: when it signed the request
	// Unconfirmed is the error of asking the other servers whether they have seen a Device's request before. Such a
	// request may not change anything. Nil means that no other server has seen the request.
	Unconfirmed error

	// Proof proves to a Device that this server knows it and has its request (sign.Proof). It is "" for other callers.
	Proof string

	body []byte // the body of an Applicant's request, for Prove
}

// Author names the caller in a history.
func (c Caller) Author() string {
	switch c.Kind {
	case Operator:
		if c.Person != "" {
			return c.Person + " (" + c.Name + ")"
		}
		return c.Name
	case Loopback:
		return "loopback"
	case Device:
		return c.Device.String()
	}
	return ""
}

type callerKey struct{}

// With returns a context with the caller.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// From returns the caller in a request's context; the zero Caller if there is none.
func From(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}

// A Right is a condition that a route sets for its callers.
type Right int

const (
	Anyone   Right = iota // needs no right
	Register              // a new device that proves that it has the private key of the public key in its body
	Poll                  // a device, for itself
	Read                  // an operator, of any role

	Write          // an operator of RoleOperator without a scope
	WriteInScope   // an operator of RoleOperator; the handler checks the scope
	Approve        // an operator of RoleApprover without a scope
	ApproveInScope // an operator of RoleApprover; the handler checks the scope
	Administer     // an operator of RoleAdmin, who also has all other rights
)

// A Refusal says why a request is refused. Its text is for the caller.
type Refusal struct {
	Status     int    // of HTTP: 401 asks for another proof, 403 is final
	Type       string // one of serverapi's Problem… constants, or ""
	Detail     string
	RetryAfter int    // seconds; 0 means none
	Challenge  string // WWW-Authenticate; "" means none
	Cause      error  // for the log; may be nil
	Caller     Caller // the refused operator; zero for an unknown caller
}

func (r *Refusal) Error() string {
	if r.Cause != nil {
		return r.Detail + ": " + r.Cause.Error()
	}
	return r.Detail
}

func (r *Refusal) Unwrap() error { return r.Cause }

// Headers adds the headers that tell a caller how to authenticate.
func (r *Refusal) Headers(header http.Header) {
	if r.Challenge != "" {
		header.Set("WWW-Authenticate", r.Challenge)
	}
	if r.Challenge == deviceChallenge {
		header.Set(sign.AcceptHeader, sign.Accept)
	}
}

// The challenges of 401 answers. RFC 9421 registers no scheme; the header Accept-Signature has the details.
const (
	deviceChallenge   = `Signature realm="devices"`
	operatorChallenge = `Bearer realm="operators"`
	browserChallenge  = `Basic realm="operators: any name, and the token as password", charset="UTF-8"`
)

// invalidToken is added to a challenge if the request had a token, invalidRequest if it had another Authorization.
var (
	invalidToken   = map[string]string{operatorChallenge: `, error="invalid_token"`}
	invalidRequest = map[string]string{operatorChallenge: `, error="invalid_request"`}
)

func unauthorized(kind, detail string) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Type: kind, Detail: detail, Challenge: deviceChallenge}
}

func forbidden(kind, detail string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Type: kind, Detail: detail}
}

// revoked returns the refusal of a device that an operator has revoked.
func revoked() *Refusal {
	return forbidden(serverapi.ProblemRevoked, "An operator has revoked this device; only an operator can let it in again")
}

// pendingRetry is the Retry-After of a device that waits for approval, in seconds.
const pendingRetry = 60

func pending() *Refusal {
	refused := forbidden(serverapi.ProblemPending, "An operator has yet to approve this device")
	refused.RetryAfter = pendingRetry
	return refused
}
