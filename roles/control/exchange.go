package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// An exchange is one conversation with the server: a registration or a poll. It does not use the registry.
type exchange struct {
	dir    *state.Dir
	server *serverapi.Client
	base   http.RoundTripper // for the server, without signatures
	device uuid.UUID         // the device that polls; uuid.Nil to register
	lost   uuid.UUID         // UUID that the server no longer knows, or for which the device has no key
	enrolment

	config   serverapi.Config  // the configuration to report
	report   *serverapi.Report // nil if nothing is known about targets, or if another process reports
	confirms *target.Attempt   // the attempt that an answer confirms, or nil
	wait     time.Duration     // how long the server may hold its answer
	named    bool              // a target has named the server, which gets no enrolment token

	started, next time.Time // its start, and the planned start of the next one
}

// enrolment has the additional values of a registration.
type enrolment struct {
	labels map[string]string
	token  string
}

// An outcome is the result of an exchange.
//
// It has many fields because it has those of its exchange.
type outcome struct {
	*exchange
	registration *state.Registration // result of a registration
	answer       serverapi.PollAnswer
	proven       bool // the answer confirms or offers, and its server has proved itself
	err          error
}

// grace is how long a started operation may continue after its context has ended, so that it need not be repeated: a
// registration, which the server would have to recognise by its key, or a write of a target. It is also how long
// counting waits for another process to release the state directory.
const grace = 3 * time.Second

func (e *exchange) run(ctx context.Context) *outcome {
	result := e.registerOrPoll(ctx)
	if revoked := serverapi.IsProblem(result.err, serverapi.ProblemRevoked); revoked || result.err == nil {
		e.recordTurnedAway(ctx, revoked)
	}
	return result
}

// recordTurnedAway records in the state directory whether the server refuses the device as revoked. control status
// prints the record. An error of the disk is ignored, because the next exchange tries again and other writes report the
// disk.
func (e *exchange) recordTurnedAway(ctx context.Context, revoked bool) {
	server := e.server.URL()
	device, err := e.dir.Device()
	known := device.TurnedAway
	if err != nil || !revoked && known == nil || revoked && known != nil && known.Server == server {
		return
	}
	_ = e.dir.Change(ctx, func(device *state.Device) {
		if device.TurnedAway = nil; revoked {
			device.TurnedAway = &state.TurnedAway{Server: server, Since: time.Now().Unix()}
		}
	})
}

// registerOrPoll registers the device if it has no UUID. Otherwise it polls.
func (e *exchange) registerOrPoll(ctx context.Context) *outcome {
	result := &outcome{exchange: e}
	if result.err = e.dir.FinishRotationAt(ctx, e.server.URL(), e.base); result.err != nil {
		return result
	}
	if e.device == uuid.Nil {
		result.registration, result.err = e.register(ctx)
		return result
	}
	request := serverapi.PollRequest{UUID: e.device, Config: e.config, Report: e.report}
	result.answer, result.err = e.server.Poll(ctx, request, e.wait)
	if refusesInstance(result.err) && e.report != nil {
		older := *e.report
		older.Instance, request.Report = "", &older
		result.answer, result.err = e.server.Poll(ctx, request, e.wait)
	}
	if offer := result.answer.Offer; result.err == nil && offer != nil {
		result.err = verifyHash(e.server.URL(), offer)
	}
	if result.err == nil && (e.confirms != nil || result.answer.Offer != nil) {
		result.proven = e.proven(result.answer)
	}
	if result.err == nil && e.confirms != nil && e.confirms.Proof && !result.proven {
		result.err = fmt.Errorf("the answer of %s does not prove that a fleet server knows this device and its target",
			e.server.URL())
	}
	return result
}

// refusesInstance reports whether a server refuses a report because of its field instance. Servers up to 0.3 refuse
// unknown fields, and do not know this one.
func refusesInstance(err error) bool {
	var refused *serverapi.Error
	return errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity &&
		strings.Contains(refused.Error(), "report.instance")
}

// proven reports whether an answer proves that its server knows the device and has got the report.
func (e *exchange) proven(answer serverapi.PollAnswer) bool {
	key, err := e.dir.Key()
	return err == nil && e.report != nil && sign.Proves(answer.Proof, answer.Sent, &key.PublicKey)
}

// verifyHash returns an error if the offer's hash is not that of its target. It sets a missing hash.
func verifyHash(server string, offer *serverapi.Offer) error {
	hash, err := offer.Config.Hash()
	if err == nil && offer.Hash != "" && offer.Hash != hash {
		err = fmt.Errorf("its hash is %s, not %s", hash, offer.Hash)
	}
	if err != nil {
		return fmt.Errorf("cannot use the target of %s: %w", server, err)
	}
	offer.Hash = hash
	return nil
}

// register returns the registration of the state directory, or registers the device. It writes the key to disk before
// it sends the key, and the answer before anything uses it.
func (e *exchange) register(ctx context.Context) (*state.Registration, error) {
	unlock, err := e.dir.Lock(ctx)
	if err != nil {
		return nil, &state.Error{Err: err}
	}
	defer unlock()
	// The rotation may have been interrupted since registerOrPoll checked, and the server would take the old key for
	// another device.
	if err := e.dir.FinishRotationLocked(ctx, e.server.URL(), e.base); err != nil {
		return nil, err
	}
	device, err := e.dir.Device()
	if err != nil {
		return nil, &state.Error{Err: err}
	}
	if device.Registration != nil && device.Registration.UUID != e.lost {
		return device.Registration, nil
	}
	if known := device.FormerAt(e.server.URL()); known != nil && known.UUID != e.lost {
		device.Register(*known)
		return device.Registration, e.dir.Save(device)
	}
	key, err := e.dir.PublicKey()
	if err != nil {
		return nil, &state.Error{Err: err}
	}
	from, err := sourceAddress(ctx, e.server.URL())
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	token := e.token
	if e.named {
		token = ""
	}
	ctx, cancel := poll.Grace(ctx, grace)
	defer cancel()
	answer, err := e.server.Register(ctx, serverapi.RegisterRequest{
		IPAddress: from, PublicKeyRSA: key, Arch: architecture(), Labels: e.labels, EnrolmentToken: token,
	})
	if err != nil {
		return nil, err
	}
	device.Register(state.Registration{Server: e.server.URL(), UUID: answer.UUID, Registered: answer.Registered})
	// The caller writes the registration to the registry even if the disk fails.
	return device.Registration, e.dir.Save(device)
}

// sourceAddress returns the device's address on the route to the server.
func sourceAddress(ctx context.Context, server string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	port := parsed.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[parsed.Scheme]
	}
	address, err := netdev.Source(ctx, net.JoinHostPort(parsed.Hostname(), port))
	if err != nil {
		return "", err
	}
	return address.String(), nil
}
