package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/plain"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/urfave/cli/v2"
)

// rotateTime is how long a rotation may take, including the making of the key.
const rotateTime = time.Minute

// rotateCommand returns the command that replaces the device's key.
func rotateCommand(env *roles.Env, parts parts) *cli.Command {
	return &cli.Command{
		Name: "rotate-key", Usage: "give the device another key",
		Description: "Makes a new key, keeps it beside the present one, and has the server that the device is registered with " +
			"take it in the place of the present one, which is nobody's then. The device keeps its UUID, and a control that " +
			"runs goes on with the new key. Where the answer does not come, or this is killed in between, the next " +
			"rotate-key, or the next poll of control, finds out which of the two keys the server has, and keeps that one.",
		UsageText: "aspects-poc control rotate-key",
		Flags:     append([]cli.Flag{stateFlag(), caFlag()}, roles.CommonFlags()...),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: rotate-key takes flags only", c.Args().First())
			}
			settings, err := roles.NewSettings(env, c)
			if err != nil {
				return err
			}
			dir, err := stateDir(c, settings)
			if err != nil {
				return err
			}
			base := parts.transport
			if base == nil {
				network, err := serverapi.NewTransport(c.String("ca"))
				if err != nil {
					return roles.Usagef("invalid value %q for --ca: %v", c.String("ca"), err)
				}
				defer network.CloseIdleConnections()
				base = network
			}
			ctx, cancel := context.WithTimeout(c.Context, rotateTime)
			defer cancel()
			return rotateKey(ctx, &State{dir: dir, newKey: parts.newKey, replace: parts.replace}, base, env.Stdout)
		},
	}
}

// rotateKey replaces the key. It first completes an interrupted rotation.
func rotateKey(ctx context.Context, state *State, base http.RoundTripper, out io.Writer) error {
	unlock, err := state.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := state.tidyHeld(); err != nil {
		return err
	}
	device, err := state.Device()
	if err != nil {
		return err
	}
	if device.Registration == nil {
		return fmt.Errorf("cannot rotate the key: the device in %s is not registered with a server; run: "+
			"aspects-poc control run --once", state.dir)
	}
	if _, err := state.settleKey(ctx, base); err != nil {
		return fmt.Errorf("cannot settle the rotation of before: %w", err)
	}
	next, err := state.makeSuccessor(*device.Registration)
	if err != nil {
		return err
	}
	switch took, err := state.settleKey(ctx, base); {
	case err != nil && next.refused(err):
		return err
	case err != nil:
		return fmt.Errorf("%w; whether the server has the new key is found out by the next poll, or when this is run again", err)
	case !took:
		return fmt.Errorf("cannot rotate the key: %s does not know this device; it registers again when control runs",
			device.Registration.Server)
	}
	id, err := sign.KeyID(&next.key.PublicKey)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s has the new key %s of device %s.\n", plain.Line(device.Registration.Server), id,
		device.Registration.UUID)
	return err
}

// settleKey completes a rotation. It asks the server to accept the successor, signed with the present key, and if the
// server does not know that key, signed with the successor. The key that the server knows becomes or stays the
// device's key; took reports whether it is the successor. took is false if there is no successor or the server knows
// neither key. After an error nothing is decided, except that a refusal keeps the present key. The caller holds the
// lock.
func (s *State) settleKey(ctx context.Context, base http.RoundTripper) (took bool, err error) {
	next, err := s.successor()
	if err != nil || next == nil {
		return false, err
	}
	present, err := s.readKey()
	if err != nil {
		return false, err
	}
	if present.Equal(next.key) { // killed between the last two steps
		return true, s.dropSuccessor()
	}
	switch err := next.ask(ctx, base, present, present); {
	case err == nil:
		return true, s.succeed(next)
	case next.refused(err):
		return false, errors.Join(err, s.dropSuccessor())
	case !serverapi.IsProblem(err, serverapi.ProblemUnknownKey):
		return false, err
	}
	// The server does not know the present key: an answer was lost, or the server has forgotten the device.
	switch err := next.ask(ctx, base, next.key, present); {
	case err == nil, next.refused(err): // the server knows it, even if it refuses
		return true, s.succeed(next)
	case serverapi.IsProblem(err, serverapi.ProblemUnknownKey):
		return false, s.dropSuccessor()
	default:
		return false, err
	}
}

// settleKeyAt is settleKey for a daemon and its server. It takes the lock if there is a successor for that server. A
// server without rotation changes nothing; the daemon can continue.
func (s *State) settleKeyAt(ctx context.Context, server string, base http.RoundTripper) error {
	next, err := s.successorAt(server)
	if err != nil || next == nil {
		return err
	}
	unlock, err := s.Lock(ctx)
	if err != nil {
		return &stateError{err}
	}
	defer unlock()
	return s.settleKeyHeld(ctx, server, base)
}

// settleKeyHeld is settleKeyAt for a caller that holds the lock.
func (s *State) settleKeyHeld(ctx context.Context, server string, base http.RoundTripper) error {
	next, err := s.successorAt(server)
	if err != nil || next == nil {
		return err
	}
	_, err = s.settleKey(ctx, base)
	var answer *serverapi.Error
	if err != nil && errors.As(err, &answer) && (next.refused(err) || answer.Status == http.StatusNotFound ||
		answer.Status == http.StatusMethodNotAllowed) {
		return nil
	}
	return err
}
