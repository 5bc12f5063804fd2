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
	Open    Enrolment = "open"    // any
	ByToken Enrolment = "token"   // those that have an enrolment token
	Approve Enrolment = "approve" // any, and an operator has to approve each; a token approves it beforehand
)

// ParseEnrolment reads --enrolment.
func ParseEnrolment(text string) (Enrolment, error) {
	switch enrolment := Enrolment(text); enrolment {
	case Open, ByToken, Approve:
		return enrolment, nil
	}
	return "", fmt.Errorf("want %s, %s or %s", Open, ByToken, Approve)
}

// Applicant checks what can be checked of a registration without its body's content: whether it is signed, and when. Who
// signed is settled by Prove.
func (g *Gate) Applicant(request *http.Request) (Caller, error) {
	input, err := g.signature(request)
	if err != nil || input == nil {
		return Caller{Kind: Unsigned}, err
	}
	return Caller{Kind: Applicant, KeyID: input.KeyID}, g.timely(*input, g.options.Now())
}

// ErrNoKey is the reason why a registration's key cannot be taken from somebody who has to sign.
var ErrNoKey = sign.ErrKey

// Prove tells whether who sent a registration, which Require let through, has the private half of the public key in its
// body, and returns the key's ID; "" for an Unsigned caller, whose key proves nothing. The error is ErrNoKey for a key
// that nobody can sign with, or a *Refusal. A registration may be replayed: it brings back the same device.
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
	return keyID, g.verify(request, *input, key, func() ([]byte, error) { return caller.body, nil })
}

// Admit tells whether a new device may register with an enrolment token ("" for none), of which it takes a use, and the
// status that it begins with. The error is a *Refusal, or the store's trouble.
func (g *Gate) Admit(ctx context.Context, token string) (status string, err error) {
	if token == "" {
		switch g.options.Enrolment {
		case Open:
			return serverapi.Active, nil
		case Approve:
			return serverapi.Pending, nil
		}
		return "", forbidden(serverapi.ProblemEnrolment, "Devices need an enrolment token to register here; an operator "+
			"makes one with: aspects-poc server token create NAME --enrol")
	}
	if g.options.Enrolment == Open {
		return serverapi.Active, nil // nobody asked for it
	}
	err = ErrUnknownToken
	if likeToken(token, Enrol) {
		err = g.options.Tokens.SpendToken(ctx, TokenDigest(token), g.options.Now())
	}
	switch {
	case err == nil:
		return serverapi.Active, nil
	case errors.Is(err, ErrUnknownToken), errors.Is(err, ErrTokenSpent):
		return "", forbidden(serverapi.ProblemEnrolment, "The enrolment token lets nobody in: "+
			strings.TrimPrefix(err.Error(), "the token ")+"; ask an operator for another")
	}
	return "", err
}

// Again tells whether a device that the store has already, by its public key, may register again with a key of an ID
// ("" for one that does not sign): it must sign if it ever did. The error is a *Refusal.
func (g *Gate) Again(keyID string, device Holder) error {
	switch {
	case device.KeyID != "" && device.KeyID != keyID:
		return unauthorized(serverapi.ProblemUnsigned, "A device with this key is registered, and signs its requests")
	case device.Status == serverapi.Revoked:
		return revoked()
	}
	return nil
}
