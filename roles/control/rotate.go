package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/urfave/cli/v2"
)

// rotateTime is how long a rotation may take, including the making of the key.
const rotateTime = time.Minute

// rotateCommand returns the command that replaces the device's key.
func rotateCommand(env *roles.Env, parts parts) *cli.Command {
	return &cli.Command{
		Name: "rotate-key", Usage: "replace the device's key",
		Description: "Makes a new key, stores it beside the present one, and asks the server to replace the present " +
			"key. After that the server refuses the old key. The device keeps its UUID, and a running control " +
			"goes on with the new key. If the answer is lost, or the command is killed, the next rotate-key or " +
			"the next poll of control finds out which of the two keys the server has, and keeps that key.",
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
			return rotateKey(ctx, &state.Dir{Path: dir, NewKey: parts.newKey, Replace: parts.replace}, base, env.Stdout)
		},
	}
}

// rotateKey replaces the key. It first completes an interrupted rotation.
func rotateKey(ctx context.Context, dir *state.Dir, base http.RoundTripper, out io.Writer) error {
	unlock, err := dir.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := dir.TidyLocked(); err != nil {
		return err
	}
	device, err := dir.Device()
	if err != nil {
		return err
	}
	if device.Registration == nil {
		return fmt.Errorf("cannot rotate the key: the device in %s is not registered with a server; run: "+
			"aspects-poc control run --once", dir.Path)
	}
	if _, err := dir.FinishRotation(ctx, base); err != nil {
		return fmt.Errorf("cannot finish the earlier rotation: %w", err)
	}
	next, err := dir.MakeSuccessor(*device.Registration)
	if err != nil {
		return err
	}
	switch took, err := dir.FinishRotation(ctx, base); {
	case err != nil && next.Refused(err):
		return err
	case err != nil:
		return fmt.Errorf("%w; the next poll, or the next rotate-key, finds out whether the server has the new key", err)
	case !took:
		return fmt.Errorf("cannot rotate the key: %s does not know this device; it registers again when control runs",
			device.Registration.Server)
	}
	id, err := sign.KeyID(next.PublicKey())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s has the new key %s of device %s.\n", plain.Line(device.Registration.Server), id,
		device.Registration.UUID)
	return err
}
