package control

import (
	"context"
	"net"
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
	device uuid.UUID        // who polls; uuid.Nil registers
	lost   uuid.UUID        // an identity that the server does not know any more
	config serverapi.Config // what a poll reports
}

// An outcome is what an exchange came to.
type outcome struct {
	exchange
	registration *Registration    // of a registration
	target       serverapi.Config // of a poll; nil when the device is in step
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
	if e.device == uuid.Nil {
		result.registration, result.err = e.register(ctx)
		return result
	}
	answer, err := e.server.Poll(ctx, serverapi.PollRequest{UUID: e.device, Config: e.config}, 0)
	if result.err = err; answer.Offer != nil {
		result.target = answer.Offer.Config
	}
	return result
}

// register returns the registration that the state directory holds, or makes one: the key is on disk before the server
// hears of it, and its answer before anything else is done with it.
func (e exchange) register(ctx context.Context) (*Registration, error) {
	unlock, err := e.state.Lock(ctx)
	if err != nil {
		return nil, &stateError{err}
	}
	defer unlock()
	device, err := e.state.Device()
	if err != nil {
		return nil, &stateError{err}
	}
	if device.Registration != nil && device.Registration.UUID != e.lost {
		return device.Registration, nil
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
		IPAddress: from, PublicKeyRSA: key, Arch: architecture(),
	})
	if err != nil {
		return nil, err
	}
	device.Registration = &Registration{Server: e.server.URL(), UUID: answer.UUID, Registered: answer.Registered}
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
