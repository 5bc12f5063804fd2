package access

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/dunglas/httpsfv"
	"github.com/google/uuid"
)

// Device returns the device that sent a request. It makes the cheap checks first. Only if they pass it reads the body,
// once, and verifies the signature. A request without signature is Unsigned, if that is allowed. The error is a
// *Refusal or the store's.
//
// Device does not check whether the caller may act for the device that the body names (Speaks), nor that device's status
// (Refused).
func (g *Gate) Device(request *http.Request, body func() ([]byte, error)) (Caller, error) {
	input, err := g.signature(request)
	if err != nil || input == nil {
		return Caller{Kind: Unsigned}, err
	}
	now := g.options.Now()
	if err := g.timely(*input, now); err != nil {
		return Caller{}, err
	}
	found, err := g.keys.owner(request.Context(), input.KeyID)
	if errors.Is(err, ErrUnknownDevice) {
		return Caller{}, unauthorized(serverapi.ProblemUnknownKey, "No device has the key of this signature; register it")
	}
	if err != nil {
		return Caller{}, err
	}
	if err := g.novel(g.replays.check(input.KeyID, input.Nonce, input.Created, now), now); err != nil {
		return Caller{}, err
	}
	signed, err := g.verify(request, *input, found.key, body)
	if err != nil {
		return Caller{}, err
	}
	if err := g.novel(g.replays.accept(input.KeyID, input.Nonce, input.Created, now), now); err != nil {
		return Caller{}, err
	}
	known, unconfirmed, err := g.shared(request.Context(), *input)
	if err == nil {
		err = g.novel(known, now)
	}
	if err != nil {
		return Caller{}, err
	}
	proof, err := sign.Proof(found.key, signed)
	return Caller{Kind: Device, Device: found.owner, KeyID: input.KeyID, Sent: input.Created, Unconfirmed: unconfirmed,
		Proof: proof}, err
}

// signature parses the signature of a request without verifying it. It returns nil if there is none and none is needed.
func (g *Gate) signature(request *http.Request) (*sign.Input, error) {
	input, err := sign.ParseInput(request.Header)
	switch {
	case errors.Is(err, sign.ErrUnsigned) && g.options.AllowUnsigned:
		return nil, nil
	case errors.Is(err, sign.ErrUnsigned):
		return nil, unauthorized(serverapi.ProblemUnsigned, "Requests of devices have to be signed here (RFC 9421; "+
			"Accept-Signature says how); for clients that cannot, the server has to run with --allow-unsigned")
	case err != nil:
		return nil, unauthorized(serverapi.ProblemSignature, "The signature cannot be read: "+err.Error())
	}
	if missing := input.Covers(sign.Received(request)); missing != "" {
		return nil, unauthorized(serverapi.ProblemSignature, fmt.Sprintf("The signature does not cover %q", missing))
	}
	return &input, nil
}

// timely returns a refusal for a signature that is too old or in the future. The answer's header Date has the server's
// time.
func (g *Gate) timely(input sign.Input, now time.Time) error {
	refuse := func(format string, arguments ...any) error {
		return unauthorized(serverapi.ProblemClock, fmt.Sprintf(format, arguments...)+
			"; Date tells the server's time, to sign again by it")
	}
	now = now.Truncate(time.Second)
	switch off := input.Created.Sub(now); {
	case off > ahead:
		return refuse("The request was signed at a time %s ahead of the server's clock, and %s is allowed", off, ahead)
	case off < -g.options.Window:
		return refuse("The request was signed at a time %s behind the server's clock, and %s is allowed", -off, g.options.Window)
	case input.Created.Before(g.started):
		return refuse("The request was signed before this server started")
	case !input.Expires.IsZero() && input.Expires.Before(now):
		return refuse("The signature expired %s ago", now.Sub(input.Expires))
	}
	return nil
}

// novel returns a refusal for a request that may be a replay.
func (g *Gate) novel(found outcome, now time.Time) error {
	switch found {
	case replayed:
		return unauthorized(serverapi.ProblemReplayed, "This request came before; each needs a nonce of its own")
	case behind:
		return unauthorized(serverapi.ProblemClock, "The request was signed before others that came from this device; "+
			"Date tells the server's time, to sign again by it")
	case flooded:
		return &Refusal{Status: http.StatusTooManyRequests, RetryAfter: 1,
			Detail: fmt.Sprintf("This device sends more than %d requests a second", many)}
	case crowded:
		return &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: int(g.options.Window / time.Second),
			Detail: fmt.Sprintf("More than %d devices have registered within %s", mostApplicants, g.options.Window)}
	}
	return nil
}

// verify reads the body, and checks digest and signature. It returns the signed text.
func (g *Gate) verify(request *http.Request, input sign.Input, key *rsa.PublicKey, body func() ([]byte, error)) (signed string, err error) {
	content, err := body()
	if err != nil {
		return "", err
	}
	stated, err := digest(request.Header.Values(sign.DigestHeader))
	if err != nil {
		return "", unauthorized(serverapi.ProblemSignature, err.Error())
	}
	if actual := sha256.Sum256(content); !bytes.Equal(stated, actual[:]) {
		return "", unauthorized(serverapi.ProblemSignature, "The body is not the one that was signed: Content-Digest differs")
	}
	message := sign.Received(request)
	if g.authority != "" {
		message.Authority, message.Path = g.authority, g.prefix+message.Path
	}
	text, err := message.Base(input)
	if err == nil && sign.Verify(key, text, input.Signature) == nil {
		return text, nil
	}
	detail := fmt.Sprintf("The signature is not that key's over this request, which is %s %s%s here; behind a proxy that "+
		"changes host or path, the server needs --public-url", message.Method, message.Authority, message.Path)
	if err != nil {
		detail = "The signature cannot be checked: " + err.Error()
	}
	return "", unauthorized(serverapi.ProblemSignature, detail)
}

// digest returns the SHA-256 that Content-Digest states.
func digest(values []string) ([]byte, error) {
	if len(values) != 1 || len(values[0]) > sign.MaxField {
		return nil, errors.New("Content-Digest must be there once")
	}
	dictionary, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil, errors.New("Content-Digest is no dictionary of structured fields")
	}
	member, _ := dictionary.Get("sha-256")
	item, _ := member.(httpsfv.Item)
	sum, ok := item.Value.([]byte)
	if !ok || len(sum) != sha256.Size {
		return nil, errors.New("Content-Digest has no sha-256")
	}
	return sum, nil
}

// Speaks returns nil if a caller may act for a device: the caller is that device, or neither of them signs. A caller
// that does not sign may also name an unregistered device. The error is a *Refusal or the store's.
func (g *Gate) Speaks(ctx context.Context, caller Caller, device uuid.UUID) error {
	switch {
	case caller.Kind == Device && caller.Device == device:
		return nil
	case caller.Kind == Device:
		return unauthorized(serverapi.ProblemUnknownKey, "The key of this signature is not that of the device that the "+
			"body names; if it is a new one, register it")
	case caller.Kind != Unsigned:
		return forbidden("", "Only the device itself may do this")
	}
	signs, err := g.keys.signs(ctx, device)
	if err == nil && signs {
		err = unauthorized(serverapi.ProblemUnsigned, "This device signs its requests; this one is not signed")
	}
	return err
}

// Refused returns the refusal of a device whose status does not let it poll; nil if it may.
func Refused(status string) error {
	switch status {
	case serverapi.Active:
		return nil
	case serverapi.Pending:
		return pending()
	}
	return revoked()
}
