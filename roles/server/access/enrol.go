package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// Enrolment says which devices may register.
type Enrolment string

const (
	Open       Enrolment = "open"    // any
	ByToken    Enrolment = "token"   // those that have an enrolment token
	ByApproval Enrolment = "approve" // any, after an operator's approval; an enrolment token counts as approval
)

// ParseEnrolment parses a value of --enrolment.
func ParseEnrolment(text string) (Enrolment, error) {
	switch enrolment := Enrolment(text); enrolment {
	case Open, ByToken, ByApproval:
		return enrolment, nil
	}
	return "", fmt.Errorf("want %s, %s or %s", Open, ByToken, ByApproval)
}

// Applicant checks that a registration has a timely signature. Prove verifies the signature later, with the key in the
// body.
func (g *Gate) Applicant(request *http.Request) (Caller, error) {
	input, err := g.signature(request)
	if err != nil || input == nil {
		return Caller{Kind: Unsigned}, err
	}
	return Caller{Kind: Applicant, KeyID: input.KeyID}, g.timely(*input, g.options.Now())
}

// ErrNoKey means that a registration must be signed, but has no usable public key.
var ErrNoKey = sign.ErrKey

// Prove verifies the signature of a registration that Require let through, with the public key in its body. It returns the
// key's ID; "" for an Unsigned caller. The error is ErrNoKey for a key that nobody can sign with, or a *Refusal. Call Once
// before the registration has an effect.
func (g *Gate) Prove(request *http.Request, publicKey string) (keyID string, err error) {
	caller := From(request.Context())
	if caller.Kind == Unsigned {
		return "", nil
	}
	input, err := g.signature(request)
	if err != nil || input == nil {
		return "", err
	}
	key, err := sign.ParsePublicKey(publicKey)
	if err != nil {
		return "", ErrNoKey
	}
	keyID, err = sign.KeyID(key)
	if err != nil {
		return "", err
	}
	if keyID != input.KeyID {
		return "", unauthorized(serverapi.ProblemSignature,
			"The registration is signed with another key than the one in its body")
	}
	_, err = g.verify(request, *input, key, func() ([]byte, error) { return caller.body, nil })
	return keyID, err
}

// mostApplicants is the number of devices that may register within the window; some 26 MB of memory.
const mostApplicants = 1 << 18

// Once returns a refusal for a registration that came before, to this server or to another one on the same store. Call
// it after Prove. The error is a *Refusal or the store's.
func (g *Gate) Once(request *http.Request) error {
	input, err := g.signature(request)
	if err != nil || input == nil {
		return err
	}
	now := g.options.Now()
	if err := g.novel(g.joined.accept(input.KeyID, input.Nonce, input.Created, now), now); err != nil {
		return err
	}
	known, unconfirmed, err := g.shared(request.Context(), *input)
	if err := errors.Join(err, unconfirmed); err != nil {
		return err
	}
	return g.novel(known, now)
}

// doubtRetry is the Retry-After of a registration while the server's clock may be wrong, in seconds.
const doubtRetry = 60

// An Admission is the result of Admit for a new device.
type Admission struct {
	Status string            // serverapi.Active or Pending
	Labels map[string]string // of the enrolment token; the device cannot set other values for them
}

// Admit decides whether a new device may register with an enrolment token ("" for none). It counts one use of the
// token. With enrolment Open it ignores the token. The error is a *Refusal or the store's.
func (g *Gate) Admit(ctx context.Context, token string) (Admission, error) {
	if g.options.Doubt != nil {
		if err := g.options.Doubt(); err != nil {
			return Admission{}, &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: doubtRetry,
				Detail: "No new device can register until the server's clock is right", Cause: err}
		}
	}
	if token == "" {
		switch g.options.Enrolment {
		case Open:
			return Admission{Status: serverapi.Active}, nil
		case ByApproval:
			return Admission{Status: serverapi.Pending}, nil
		}
		return Admission{}, forbidden(serverapi.ProblemEnrolment, "Devices need an enrolment token to register here; an operator "+
			"makes one with: aspects-poc server token create NAME --enrol")
	}
	if g.options.Enrolment == Open {
		return Admission{Status: serverapi.Active}, nil // no token is needed
	}
	var spent Token
	err := ErrUnknownToken
	if likeToken(token, Enrol) {
		spent, err = g.options.Tokens.SpendToken(ctx, TokenDigest(token), g.options.Now())
	}
	switch {
	case err == nil:
		return Admission{Status: serverapi.Active, Labels: spent.Labels}, nil
	case errors.Is(err, ErrUnknownToken), errors.Is(err, ErrTokenSpent):
		return Admission{}, forbidden(serverapi.ProblemEnrolment, "The enrolment token lets nobody in: "+
			strings.TrimPrefix(err.Error(), "the token ")+"; ask an operator for another")
	}
	return Admission{}, err
}

// Again decides whether a registered device may register again. keyID is the key that signed the request; "" for none.
// A device that has ever signed must sign. The error is a *Refusal.
func (g *Gate) Again(keyID string, device Holder) error {
	switch {
	case device.KeyID != "" && device.KeyID != keyID:
		return unauthorized(serverapi.ProblemUnsigned, "A device with this key is registered, and signs its requests")
	case device.Status == serverapi.Revoked:
		return revoked()
	}
	return nil
}
