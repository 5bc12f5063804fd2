package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

// applyCommand returns the command that applies a target from a file, without a server.
func applyCommand(env *roles.Env, parts parts) *cli.Command {
	return &cli.Command{
		Name: "apply", Usage: "apply a target that an operator has signed, from a file", ArgsUsage: "FILE",
		Description: "Applies a target from a file of aspects-poc fleet export, without a server, to a device that has operators' keys. " +
			"The device checks it like the offer of a server, and applies all of it or nothing; no server has to confirm " +
			"it. If control runs, control applies it in its next cycle, and the command waits for that. Exit status: 1 if the target " +
			"was refused or undone.",
		UsageText: "aspects-poc control apply lobby.json",
		Flags: append([]cli.Flag{stateFlag(), &cli.DurationFlag{Name: "wait", Value: 2 * time.Minute, Usage: "`DURATION` to wait for a " +
			"control that runs"}}, roles.CommonFlags()...),
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return roles.Usagef("apply wants one argument: the file")
			}
			settings, err := roles.NewSettings(env, c)
			if err != nil {
				return err
			}
			settings.Once = true
			dir, err := stateDir(c, settings)
			if err != nil {
				return err
			}
			config := Config{Source: "simulate", StateDir: dir, ServerURL: DefaultServerURL, Counters: countersAuto, ConfirmWithin: time.Minute}
			agent, err := newAgent(config, parts, env.Stdout, settings, func() {})
			if err != nil {
				return err
			}
			defer agent.close()
			offer, err := agent.targets.bring(c.Args().First())
			if err != nil {
				return fmt.Errorf("cannot apply %s: %w", c.Args().First(), err)
			}
			return agent.applyBrought(c.Context, env.Stdout, offer, c.Duration("wait"))
		},
	}
}

// bring checks the target in a file and stores the file as offer.json. The process that applies targets reads it there.
func (t *targets) bring(path string) (*serverapi.Offer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	offer, err := parseOffer(text)
	if err != nil {
		return nil, err
	}
	if err := t.operators.load(); err != nil {
		return nil, err
	}
	if !t.operators.guard.Active() {
		return nil, errors.New("this device has no operators' keys, so it cannot tell who made the file; see --operator-keys of control run")
	}
	if _, err := t.operators.accept(offer); err != nil {
		return nil, err
	}
	return offer, t.operators.dir.SaveOffer(text)
}

// parseOffer reads an offer, and checks its hash.
func parseOffer(text []byte) (*serverapi.Offer, error) {
	if err := serverapi.Limits.Check(text); err != nil {
		return nil, fmt.Errorf("it is no file of fleet export: %w", err)
	}
	offer := &serverapi.Offer{}
	if err := jsonvalue.Decode(text, offer); err != nil {
		return nil, fmt.Errorf("it is no file of fleet export: %w", err)
	}
	if offer.Config == nil {
		return nil, errors.New(`it is no target: it has no "config"`)
	}
	return offer, verifyHash("the file", offer)
}

// applyBrought applies the target that bring has stored. If a control daemon runs, applyBrought waits until the daemon
// has handled the target. It returns an error if the target is not in force afterwards.
func (a *agent) applyBrought(ctx context.Context, out io.Writer, offer *serverapi.Offer, wait time.Duration) error {
	brought := offered(offer)
	err := attach.Run(ctx, attach.Options{Log: a.talk.log, Open: a.open, Once: true, Interval: time.Minute, Custodian: roles.Custodian,
		Start: a.start, Cycle: func(ctx context.Context, hub *attach.Hub) error {
			if err := a.targets.resume(ctx, hub, a.trouble.now[ofServer]); err != nil {
				return err
			}
			return a.targets.applyStored(ctx, hub)
		}})
	if err != nil {
		return err
	}
	journal := a.targets.state.Journal
	if !a.targets.journal.Held() {
		fmt.Fprintln(out, "control runs, and applies it.")
		if journal, err = a.awaitBrought(ctx, wait); err != nil {
			return err
		}
	}
	switch ended := journal.Attempted; {
	case ended == nil || ended.Target != brought:
		return errors.New("the target is not in force: control says why in its log")
	case ended.Outcome != serverapi.Applied:
		return fmt.Errorf("the target is not in force: %s", plain.Clip(ended.Text, longestText))
	}
	fmt.Fprintf(out, "Revision %d is in force.\n", brought.Revision)
	return nil
}

// awaitBrought waits until the running daemon has handled the stored target, and returns the daemon's journal.
func (a *agent) awaitBrought(ctx context.Context, wait time.Duration) (target.Journal, error) {
	dir, end := a.targets.operators.dir, time.Now().Add(wait)
	for time.Now().Before(end) {
		text, err := dir.Offer()
		if err != nil {
			return target.Journal{}, err
		}
		if text == nil {
			return dir.Journal()
		}
		if err := poll.Sleep(ctx, state.LockRetry); err != nil {
			return target.Journal{}, err
		}
	}
	return target.Journal{}, fmt.Errorf("control has not applied it within %v; it is still to be applied", wait)
}

// applyStored applies the target that bring has stored, and confirms it without a server. It returns an error of the
// registry that time or an administrator can solve; the next call then continues.
func (t *targets) applyStored(ctx context.Context, hub *attach.Hub) error {
	if !t.journal.Held() {
		return nil
	}
	if err := t.confirmBrought(ctx, hub); err != nil || t.state.Phase() != target.Idle {
		return err
	}
	text, err := t.operators.dir.Offer()
	if err != nil || text == nil {
		return err
	}
	offer, err := parseOffer(text)
	if err == nil && t.operators.load() == nil && !t.operators.guard.Active() {
		err = errors.New("the device has no operators' keys")
	}
	if err != nil {
		t.log.Warn("cannot use the target of a file; it is removed", "error", err)
		return t.operators.dir.SaveOffer(nil)
	}
	if t.views.interfaces == nil {
		if err := t.views.readInterfaces(ctx, hub); err != nil {
			return err
		}
	}
	if err := t.consider(ctx, hub, proposal{Offer: offer, proven: true, brought: true}); err != nil {
		return err
	}
	return errors.Join(t.confirmBrought(ctx, hub), t.operators.dir.SaveOffer(nil))
}

// confirmBrought confirms the attempt of a target that came in a file.
func (t *targets) confirmBrought(ctx context.Context, hub *attach.Hub) error {
	attempt := t.confirming()
	if attempt == nil || !attempt.Brought {
		return nil
	}
	return t.handle(ctx, hub, &target.Event{Kind: target.PollAnswered, Confirms: attempt, Proven: true})
}
