package kitcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"aspects-poc/internal/home"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/internal/regular"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

func newCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "start a project: a confdb-schema, its snaps and their tests", ArgsUsage: "NAME",
		Description: "Writes a confdb-schema of this name, a custodian and an observer as snapcraft projects with " +
			"their hooks, tests for registry test, and a CI workflow. The project works without changes. No file " +
			"is replaced.\n\n" +
			"With --from FILE, the confdb-schema has the values of a configuration file: YAML, JSON, INI (.ini, .conf, .cfg) or " +
			"TOML. Hooks of the custodian read and write that very file, and keep its comments, order and quotes.\n\n" +
			"With --from snap DIR, the confdb-schema has the options of the snap in DIR, which its scripts read with snapctl get. " +
			"The new files are in DIR/confdb; a hook copies the options into confdb.",
		UsageText: "aspects-poc registry new --account-id ACCOUNT-ID thermostat\n" +
			"aspects-poc registry new --account-id ACCOUNT-ID --from device.yaml device\n" +
			"aspects-poc registry new --account-id ACCOUNT-ID --from snap ./agent",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAccount, Usage: "`ID` of the account that publishes; snapcraft whoami shows it"},
			&cli.StringFlag{Name: "dir", Usage: "`DIR` to write to (default: one called NAME)"},
			&cli.StringFlag{Name: "from", Usage: "begin with this configuration `FILE`; with the word snap, begin with the snap in DIR, which stands in the place of NAME"},
			&cli.StringFlag{Name: "hooks", Usage: "`LANGUAGE` of the hooks with --from FILE: python, go, or shell for INI", Value: "python"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runNew(env, c) },
	}
}

// actionVersion returns the version of the action that matches this program: the program's own, or the latest for a
// program without a version.
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
	if err := network.ValidAccount(c.String(flagAccount)); err != nil {
		return roles.Usagef("invalid value for --%s: %v", flagAccount, err)
	}
	if c.String("from") == "snap" {
		return extendSnap(env, c, args[0])
	}
	project := scaffold.Project{Name: args[0], Account: c.String(flagAccount), Action: home.Action() + "@" + actionVersion()}
	if err := project.Check(); err != nil {
		return roles.Usagef("%v", err)
	}
	dir := c.String("dir")
	if dir == "" {
		dir = project.Name
	}
	if from := c.String("from"); from != "" {
		wrapped, err := wrapFile(project, from, c.String("hooks"))
		if err != nil {
			return err
		}
		return write(env, dir, wrapped, wrapped.Notes())
	}
	return write(env, dir, project, nil)
}

// extendSnap adds confdb to the snap in a folder.
func extendSnap(env *roles.Env, c *cli.Context, dir string) error {
	if c.String("dir") != "" {
		return roles.Usagef("--dir is not for --from snap: the files are written to the folder of the snap")
	}
	plan, err := scaffold.FromSnap(dir, c.String(flagAccount))
	if err != nil {
		return err
	}
	return write(env, dir, plan, plan.Notes())
}

// write writes a project. It prints the names of its files, and the notes for the user.
func write(env *roles.Env, dir string, plan scaffold.Plan, notes []string) error {
	names, err := scaffold.Write(dir, plan)
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
	for _, note := range notes {
		if _, err := fmt.Fprintf(env.Stderr, "note: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

// wrapFile plans a project for a configuration file.
func wrapFile(project scaffold.Project, name, hooks string) (*scaffold.Wrapped, error) {
	text, err := regular.Read(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not UTF-8", name)
	}
	file := scaffold.File{Name: filepath.Base(name), Text: string(text), Mode: uint32(info.Mode().Perm())}
	return scaffold.Wrap(project, file, hooks)
}
