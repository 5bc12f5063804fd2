package roles

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/snapenv"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

// DaemonService is the app of each snap that runs the role as a service.
const DaemonService = "daemon"

// Custodian is the name of the snap that is custodian of all views.
const Custodian = Program + "-control"

// A Hook is a hook of a role's snap. The snap has a link meta/hooks/NAME to the binary; the command `hooks` lists the
// names for packaging.
type Hook struct {
	// Name is snapd's name: "configure", or an event and a plug, such as "observe-view-control-tunnel".
	Name string
	// Run runs the hook. An error, or a call of call.Refuse, makes snapd refuse the operation with the error's text.
	// For observe-view and load-view hooks only snapd's log has the error.
	Run func(ctx context.Context, call *HookCall) error
}

// A HookCall is one run of a hook, with the registry of the hook.
type HookCall struct {
	*registry.Hook
	Name string // of the hook
	Env  *Env
	// StateDir is Settings.StateDir.
	StateDir string
	// ConfigFile is the path of run's configuration file in this snap; "" if SNAP_DATA is not set.
	ConfigFile string
	// Log writes to Env.Stderr. snapd shows it only if the hook fails.
	Log *slog.Logger
}

// Announce returns a hook that tells the role's daemon that the views may have changed. The hook reads nothing, because
// the writer waits for it.
func Announce(name string, views ...string) Hook {
	return Hook{Name: name, Run: func(_ context.Context, call *HookCall) error { return call.Announce(views...) }}
}

// runHook runs the hook of the target.
func (f *frame) runHook(ctx context.Context, target Target) error {
	role := f.list[slices.IndexFunc(f.list, func(r Role) bool { return r.Name == target.Role })]
	found := slices.IndexFunc(role.Hooks, func(h Hook) bool { return h.Name == target.Hook })
	if found < 0 {
		return Usagef("unknown hook %q of the role %s; known are %s", target.Hook, role.Name,
			strings.Join(hookNames(role), ", "))
	}
	log, err := newLogger(f.env, "info", "text")
	if err != nil {
		return err
	}
	hook, err := f.env.openHook(ctx, target.Hook)
	if err != nil {
		return err
	}
	defer hook.Close() //nolint:errcheck // the hook has run
	return role.Hooks[found].Run(ctx, &HookCall{
		Hook: hook, Name: target.Hook, Env: f.env, ConfigFile: f.defaultConfig(),
		StateDir: stateDir(snapenv.Read(f.env.Getenv), f.env.Getenv),
		Log:      log.With("role", role.Name, "hook", target.Hook),
	})
}

func (env *Env) openHook(ctx context.Context, name string) (*registry.Hook, error) {
	open := env.OpenHook
	if open == nil {
		open = registry.OpenHook
	}
	return open(ctx, name, registry.Options{Account: network.AccountID, Schema: network.Name, Getenv: env.Getenv})
}

func hookNames(role Role) []string {
	names := make([]string, 0, len(role.Hooks))
	for _, hook := range role.Hooks {
		names = append(names, hook.Name)
	}
	slices.Sort(names)
	return names
}

const hooksCommand = "hooks"

// hooks returns the command that lists the hooks for packaging.
func (f *frame) hooks() *cli.Command {
	return &cli.Command{
		Name: hooksCommand, Usage: "list the hooks of the roles' snaps", ArgsUsage: "[ROLE]",
		UsageText: Program + " hooks vpn",
		Description: "Prints the names of a role's hooks, sorted, one a line. A role's snap needs a link " +
			"meta/hooks/NAME to the program for each of them. Without ROLE, prints the hooks of all roles, with " +
			"the role at the start of each line.",
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return Usagef("want one role at most")
			}
			known := false
			for _, role := range f.list {
				if role.Tool || c.Args().Present() && c.Args().First() != role.Name {
					continue
				}
				known = true
				for _, name := range hookNames(role) {
					if !c.Args().Present() {
						name = role.Name + " " + name
					}
					if _, err := fmt.Fprintln(f.env.Stdout, name); err != nil {
						return err
					}
				}
			}
			if !known {
				return Usagef("unknown role %q", c.Args().First())
			}
			return nil
		},
	}
}
