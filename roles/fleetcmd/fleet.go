// Package fleetcmd is the fleet command, with which operators show and change a fleet over the server's HTTP API. It
// exports Role, and its main type is session. Package operator makes the API calls, and package folder reads and writes
// folders of layers.
//
// Each subject has a file of its own, and each command a line in command. print.go has the forms of output.
package fleetcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

// Role is the fleet command.
var Role = roles.Role{
	Name:    "fleet",
	Summary: "operate a fleet: devices, targets and history of a server",
	Tool:    true,
	Command: command,
	Words:   words,
}

// now is the present time, for ages.
var now = time.Now

func command(env *roles.Env) *cli.Command {
	return &cli.Command{
		Description: "Shows and changes what a fleet server has, over its HTTP API. Log in once; the other commands then " +
			"use that server. For the ID of a device you may write its name, or a unique beginning of the ID. " +
			"Flags may follow the arguments. Exit status: 0 done, 1 failed, 2 wrong usage, 3 what --wait waits for did " +
			"not come.",
		UsageText: "aspects-poc fleet login https://fleet.example.com\n" +
			"aspects-poc fleet status",
		Subcommands: []*cli.Command{
			login(env), logout(env), contexts(env), use(env),
			status(env), devices(env), device(env), why(env),
			label(env), rename(env), approve(env), revoke(env), deleteDevice(env),
			plan(env), apply(env), pull(env), schema(env),
			targets(env), edit(env), remove(env), release(env), secret(env), diff(env), history(env), restore(env), sign(env), export(env),
			watch(env), events(env), token(env), whoami(env), auditLog(env),
		},
	}
}

// A session is the run of a command that talks to a server.
//
// It has many methods because each step that several commands share is a method.
type session struct {
	context.Context
	c      *cli.Context
	env    *roles.Env
	client *operator.Client
	place  place
	out    *printer
	plan   json.RawMessage // the stages of a change; nil to change all devices at once
}

// say prints a line for people to standard error.
func (s *session) say(format string, args ...any) { say(s.env, format, args...) }

// remote completes a command that talks to a server: it adds the flags for connection and output. The command takes
// from to to arguments (to < 0: any number), and calls do.
func remote(env *roles.Env, c *cli.Command, from, to int, do func(s *session, args []string) error) *cli.Command {
	c.SkipFlagParsing = true // flags may follow the arguments
	c.Flags = append(c.Flags, connectionFlags()...)
	c.Flags = append(c.Flags, outputFlags()...)
	c.Flags = append(c.Flags, pagerFlags(c.Name)...)
	c.Action = func(ctx *cli.Context) error {
		args := roles.Args(ctx)
		if err := countArguments(c, args, from, to); err != nil {
			return err
		}
		out, err := newPrinter(env, ctx.String(flagOutput), ctx.Bool(flagNoHeaders))
		if err != nil {
			return err
		}
		s := &session{Context: ctx.Context, c: ctx, env: env, out: out}
		pager := newPager(env, c.Name, ctx.Bool(flagNoPager))
		if pager != nil {
			out.w.Reset(pager)
		}
		if s.place, err = choosePlace(env, ctx); err != nil {
			return err
		}
		if s.client, err = s.place.open(0); err != nil {
			return err
		}
		defer s.client.Close()
		err = do(s, args)
		if pager != nil {
			err = pager.end(err)
		}
		return withRemedy(err, s.client.URL())
	}
	return c
}

// local completes a command that talks to no server.
func local(c *cli.Command, from, to int, do func(c *cli.Context, args []string) error) *cli.Command {
	c.SkipFlagParsing = true
	c.Action = func(ctx *cli.Context) error {
		args := roles.Args(ctx)
		if err := countArguments(c, args, from, to); err != nil {
			return err
		}
		return do(ctx, args)
	}
	return c
}

func countArguments(c *cli.Command, args []string, from, to int) error {
	switch {
	case len(args) < from:
		return roles.Usagef("%s wants %s", c.Name, c.ArgsUsage)
	case to >= 0 && len(args) > to:
		return roles.Usagef("unexpected argument %q", args[to])
	}
	for _, arg := range args {
		if arg == "" {
			return roles.Usagef("an argument is empty: %s wants %s", c.Name, c.ArgsUsage)
		}
	}
	return nil
}

// withRemedy adds to an error what the user can do about it.
func withRemedy(err error, server string) error {
	var refused *serverapi.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w; give a valid token with: %s fleet login %s", err, roles.Program, server)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w; start the server, or choose another one with --context or --server-url", err)
	}
	return err
}
