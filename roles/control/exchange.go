package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// An exchange is one conversation with the server: a registration, or a poll. It touches no registry.
type exchange struct {
	state  *State
	server *serverapi.Client
	base   http.RoundTripper // to the server, without signatures
	device uuid.UUID         // who polls; uuid.Nil registers
	lost   uuid.UUID         // an identity that the server does not know any more
	enrolment

	config   serverapi.Config  // what a poll reports
	report   *serverapi.Report // nil: nothing is known of targets, or another process reports
	confirms *Attempt          // the attempt that an answer confirms; nil for none
	wait     time.Duration     // for which the server may hold its answer back

	started, next time.Time // when it began, and when the one after it is to begin
}

// enrolment is what a registration tells beside the device's identity.
type enrolment struct {
	labels map[string]string
	token  string
}

// An outcome is what an exchange came to.
type outcome struct {
	exchange
	registration *Registration // of a registration
	answer       serverapi.PollAnswer
	err          error
}

// grace is how much longer than its context something begun may take, so that it need not be done twice: a registration,
// which the server would have to recognize by its key, or a target that is being written. It is also as long as counting
// waits for another process to let go of the state directory.
const grace = 3 * time.Second

// A stateError is one of the state directory.
type stateError struct{ error }

func (e *stateError) Unwrap() error { return e.error }

func (e exchange) run(ctx context.Context) outcome {
	result := outcome{exchange: e}
	if result.err = e.state.settleKeyAt(ctx, e.server.URL(), e.base); result.err != nil {
		return result
	}
	if e.device == uuid.Nil {
		result.registration, result.err = e.register(ctx)
		return result
	}
	request := serverapi.PollRequest{UUID: e.device, Config: e.config, Report: e.report}
	result.answer, result.err = e.server.Poll(ctx, request, e.wait)
	if offer := result.answer.Offer; result.err == nil && offer != nil {
		result.err = verifyHash(e.server.URL(), offer)
	}
	return result
}

// verifyHash refuses a target that is not the one that its hash names, and gives one to a target without.
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

// register returns the registration that the state directory holds, or makes one: the key is on disk before the server
// hears of it, and its answer before anything else is done with it.
func (e exchange) register(ctx context.Context) (*Registration, error) {
	unlock, err := e.state.Lock(ctx)
	if err != nil {
		return nil, &stateError{err}
	}
	defer unlock()
	// A rotation may have been broken off since run looked, and the server would take a device with the old key for another.
	if err := e.state.settleKeyHeld(ctx, e.server.URL(), e.base); err != nil {
		return nil, err
	}
	device, err := e.state.Device()
	if err != nil {
		return nil, &stateError{err}
	}
	if device.Registration != nil && device.Registration.UUID != e.lost {
		return device.Registration, nil
	}
	if known := device.formerly(e.server.URL()); known != nil && known.UUID != e.lost {
		device.register(*known)
		return device.Registration, e.state.save(device)
	}
	key, err := e.state.PublicKey()
	if err != nil {
		return nil, &stateError{err}
	}
	from, err := sourceAddress(ctx, e.server.URL())
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := poll.Grace(ctx, grace)
	defer cancel()
	answer, err := e.server.Register(ctx, serverapi.RegisterRequest{
		IPAddress: from, PublicKeyRSA: key, Arch: architecture(), Labels: e.labels, EnrolmentToken: e.token,
	})
	if err != nil {
		return nil, err
	}
	device.register(Registration{Server: e.server.URL(), UUID: answer.UUID, Registered: answer.Registered})
	// If it cannot be kept here, the registry still gets it.
	return device.Registration, e.state.save(device)
}

// sourceAddress returns our address on the way to the server.
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
