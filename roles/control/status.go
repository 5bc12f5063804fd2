package control

import (
	"errors"
	"fmt"
	"io"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/serverapi/signed"

	"github.com/urfave/cli/v2"
)

// statusCommand returns the command that shows what the state directory says.
func statusCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show the registration, the last target, and what operators have signed",
		Description: "Shows what the state directory says: where the device is registered, which target it runs, what became of the " +
			"last one, whose signatures it asks for, and how old the last signed statement is. It asks no server, so a server " +
			"that withholds statements cannot hide that. Exit status: 1 if a promised statement is late, or if the server refuses the " +
			"device because an operator has revoked it.",
		UsageText: "aspects-poc control status",
		Flags:     append([]cli.Flag{stateFlag()}, roles.CommonFlags()...),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: status takes flags only", c.Args().First())
			}
			settings, err := roles.NewSettings(env, c)
			if err != nil {
				return err
			}
			path, err := stateDir(c, settings)
			if err != nil {
				return err
			}
			return showStatus(env.Stdout, &state.Dir{Path: path}, time.Now())
		},
	}
}

func showStatus(out io.Writer, dir *state.Dir, now time.Time) error {
	device, err := dir.Device()
	if err != nil {
		return err
	}
	journal, err := dir.Journal()
	if err != nil {
		return err
	}
	guard, err := dir.Guard()
	if err != nil {
		return err
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-11s %s\n", name, plain.Line(fmt.Sprintf(format, args...)))
	}
	if registration := device.Registration; registration != nil {
		line("Device", "%s, registered with %s", registration.UUID, registration.Server)
	} else {
		line("Device", "not registered")
	}
	var trouble error
	if away := device.TurnedAway; away != nil {
		line("Revoked", "%s takes no polls from this device, since %s", away.Server, clock(away.Since))
		trouble = fmt.Errorf("an operator has revoked this device: %s gives it no targets; only an operator can let it in again, with "+
			"%s fleet approve, or with DELETE /revoked-keys/KEY/ if the device was deleted", away.Server, roles.Program)
	}
	showTargets(line, journal)
	if !guard.Active() {
		line("Operators", "no signature is asked for")
		return trouble
	}
	for _, key := range guard.Keys {
		line("Operator", "%s %s", key.Name, key.Fingerprint())
	}
	return errors.Join(trouble, showStatement(line, guard, now))
}

func showTargets(line func(name, format string, args ...any), journal target.Journal) {
	switch {
	case journal.Running == nil:
		line("Runs", "no target")
	case journal.Running.Revision == 0:
		line("Runs", "a target without a revision")
	default:
		line("Runs", "revision %d", journal.Running.Revision)
	}
	if ended := journal.Attempted; ended != nil {
		text := fmt.Sprintf("revision %d, %s, %s", ended.Revision, ended.Outcome, clock(ended.At))
		if ended.Text != "" {
			text += ": " + plain.Clip(ended.Text, longestText)
		}
		line("Last target", "%s", text)
	}
}

func showStatement(line func(name, format string, args ...any), guard signed.Guard, now time.Time) error {
	if guard.Number == 0 {
		line("Statement", "none yet: the device applies nothing")
		return nil
	}
	line("Statement", "%d of fleet %s, signed by %s, %s (%s ago)", guard.Number, guard.Fleet, guard.Signer, clock(guard.At),
		now.Sub(time.Unix(guard.At, 0)).Round(time.Second))
	if guard.SignAgain == 0 {
		return nil
	}
	line("Next one by", "%s", clock(guard.SignAgain))
	if guard.Overdue(now) {
		return fmt.Errorf("no new statement of an operator has come by %s: the server may be withholding it", clock(guard.SignAgain))
	}
	return nil
}

// clock returns a time as people read it.
func clock(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
