package registrycmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func watch(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "watch", Usage: "print a view after each change", ArgsUsage: "VIEW [KEY …]",
		Description: "After each committed change, prints the values of the keys in a view, or the whole view: a JSON " +
			"document on one line, or null if there is no data. Standard error says when the watch has started. " +
			"The command runs until it is interrupted. Quick changes may share a line. Flags may follow the arguments. " + viewForms,
		UsageText:       "aspects-poc registry watch control-telemetry sample-rate",
		SkipFlagParsing: true,
		Flags: registryFlags(
			&cli.IntFlag{Name: "count", Usage: "end after this `NUMBER` of documents; 0: never"},
			&cli.BoolFlag{Name: "document", Aliases: []string{"d"}, Usage: "indent the documents, as get does"},
		),
		Action: func(c *cli.Context) error { return runWatch(env, c) },
	}
}

func runWatch(env *roles.Env, c *cli.Context) error {
	name, keys, err := viewAndKeys(c)
	if err != nil {
		return err
	}
	if c.Int("count") < 0 {
		return roles.Usagef("invalid value \"%d\" for --count: must not be negative", c.Int("count"))
	}
	indent := ""
	if c.Bool("document") {
		indent = "\t"
	}
	terminal := roles.IsTerminal(env.Stdout)
	err = within(env, c, func(ctx context.Context, reg *registry.Registry) error {
		view, err := viewNamed(ctx, c, reg, name)
		if err != nil {
			return err
		}
		events, err := view.Watch(ctx)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(env.Stderr, "watching %s\n", view.ID()); err != nil {
			return err
		}
		if err := warnMissing(ctx, env.Stderr, reg); err != nil {
			return err
		}
		printed := 0
		for event := range events {
			if event.Err != nil {
				_, _ = fmt.Fprintf(env.Stderr, "interrupted, still trying: %s\n", plain.Text(event.Err.Error()))
				continue
			}
			text, err := snapshot(ctx, view, keys, indent)
			if err != nil {
				return err
			}
			if terminal {
				text = plain.JSON(text)
			}
			if _, err := fmt.Fprint(env.Stdout, text); err != nil {
				return err
			}
			if printed++; printed == c.Int("count") {
				return nil
			}
		}
		return errors.New("the watch ended by itself")
	})
	if c.Context.Err() != nil {
		return nil // an interruption is the normal end
	}
	return err
}

// warnMissing prints a warning if the registry's file does not exist. That is no error, since another program may
// create the file; but the path may be a mistake. status prints the warnings of other registries.
func warnMissing(ctx context.Context, w io.Writer, reg *registry.Registry) error {
	status, err := reg.Status(ctx)
	if err != nil || status.Backend != "file" {
		return err
	}
	for _, warning := range status.Warnings {
		if _, err := fmt.Fprintf(w, "warning: %s\n", plain.Line(warning)); err != nil {
			return err
		}
	}
	return nil
}

// snapshot returns the present values of the keys as JSON.
func snapshot(ctx context.Context, view *registry.View, keys []string, indent string) (string, error) {
	values, err := view.Get(ctx, keys...)
	switch {
	case errors.Is(err, registry.ErrNoData):
		return "null\n", nil
	case err != nil:
		return "", err
	}
	return encode(values, indent)
}
