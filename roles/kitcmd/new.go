package kitcmd

import (
	"errors"
	"fmt"
	"io/fs"

	"aspects-poc/internal/home"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

func newCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "start a project: a confdb-schema, its snaps and their tests", ArgsUsage: "NAME",
		Description: "Writes a confdb-schema of this name, a custodian and an observer as snapcraft projects with " +
			"their hooks, tests for registry test, and a CI workflow. The project works without changes. No file " +
			"is replaced.",
		UsageText: "aspects-poc registry new --account-id ACCOUNT-ID thermostat",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAccount, Usage: "`ID` of the account that publishes; snapcraft whoami shows it"},
			&cli.StringFlag{Name: "dir", Usage: "`DIR` to write to (default: one called NAME)"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runNew(env, c) },
	}
}

// actionVersion returns the version of the action that belongs to this program: its own, or the latest where the program
// was built without one.
func actionVersion() string {
	if roles.Version == "" {
		return "main"
	}
	return "v" + roles.Version
}

func runNew(env *roles.Env, c *cli.Context) error {
	args := roles.Args(c)
	switch {
	case len(args) == 0:
		return roles.Usagef("no name given")
	case len(args) > 1:
		return roles.Usagef("unexpected argument %q: one project at a time", args[1])
	case c.String(flagAccount) == "":
		return roles.Usagef("whose project is it? Give --%s", flagAccount)
	}
	project := scaffold.Project{Name: args[0], Account: c.String(flagAccount), Action: home.Action() + "@" + actionVersion()}
	if err := network.ValidAccount(project.Account); err != nil {
		return roles.Usagef("invalid value for --%s: %v", flagAccount, err)
	}
	if err := project.Check(); err != nil {
		return roles.Usagef("%v", err)
	}
	dir := c.String("dir")
	if dir == "" {
		dir = project.Name
	}
	names, err := scaffold.Write(dir, project)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; nothing was written: choose another --dir", err)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := fmt.Fprintf(env.Stdout, "%s/%s\n", dir, name); err != nil {
			return err
		}
	}
	return nil
}
