// Package snapctl answers the calls of snapctl by hooks, apps and services of snaps on an imitated machine. Its main type is
// Endpoint. Package snapctlcmd parses the command lines, and package changes performs reads and writes.
//
//	endpoint := snapctl.New(store, manager, nil)
//	output, err := endpoint.Run(ctx, snapctl.Call{Cookie: cookie, Args: []string{"get", "name"}})
package snapctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/internal/snapdhttp"
)

// A Call is one run of snapctl.
type Call struct {
	Cookie string // of the hook or snap that calls
	UID    int    // of the caller
	Args   []string
}

// An Output is what snapctl prints.
type Output struct{ Stdout, Stderr string }

// An Endpoint answers calls. It is safe for concurrent use.
type Endpoint struct {
	facts   *facts.Store
	changes *changes.Manager
	states  facts.States // nil: services run as the facts say
}

// New returns the endpoint of a machine. states may be nil.
func New(store *facts.Store, manager *changes.Manager, states facts.States) *Endpoint {
	return &Endpoint{facts: store, changes: manager, states: states}
}

// generation is that of the imitated snapd.
var generation = func() snapctlcmd.Generation {
	version, _ := snapdhttp.ParseVersion(facts.Version)
	return snapctlcmd.GenerationOf(facts.Version, version)
}()

// Run performs a call: fail, get, is-connected, restart, services, set, start, stop, unset or version. It returns an
// *facts.Error as the REST API answers it; one of KindUnsuccessful has stdout, stderr and exit-code as its Value.
func (e *Endpoint) Run(ctx context.Context, call Call) (Output, error) {
	if len(call.Args) == 0 {
		return Output{}, facts.BadRequest("snapctl cannot run without args")
	}
	stdout, err := e.run(ctx, call)
	var denied *snapctlcmd.DeniedError
	var no *exitError
	switch {
	case err == nil:
		return Output{Stdout: stdout}, nil
	case errors.As(err, &denied):
		return Output{}, &facts.Error{Status: http.StatusForbidden, Kind: facts.KindLoginRequired, Message: denied.Error()}
	case errors.As(err, &no):
		// As on snapd: an error with status 200.
		return Output{}, &facts.Error{Status: http.StatusOK, Kind: facts.KindUnsuccessful, Message: no.Error(),
			Value: map[string]any{"exit-code": no.code, "stdout": "", "stderr": ""}}
	default:
		return Output{}, facts.BadRequest(generation.Prefix + err.Error())
	}
}

// An exitError is a command that answers "no" by its exit code.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("unsuccessful with exit code: %d", e.code) }

// A caller is the snap, and perhaps the hook, that calls snapctl.
type caller struct {
	snap facts.Snap
	hook *changes.Context // nil for apps and services
	uid  int
	now  *facts.Facts // at the beginning of the call
}

func (e *Endpoint) run(ctx context.Context, call Call) (string, error) {
	c, err := snapctlcmd.Parse(generation, call.UID, call.Args)
	switch {
	case err != nil:
		return "", err
	case c.Help:
		return generation.Usage(c.Name), nil
	case c.Name == "version":
		return fmt.Sprintf("snapd   %s\nseries  16\n", facts.Version), nil
	}
	if err := e.changes.Closed(); err != nil {
		return "", err
	}
	hook, leave := e.changes.EnterHook(call.Cookie)
	defer leave()
	from := e.caller(hook, call)
	if from == nil {
		return "", fmt.Errorf("cannot invoke snapctl operation commands (here %q) from outside of a snap", c.Name)
	}
	if hook != nil {
		ctx = hook.Life()
	}
	switch {
	case c.Name == "get" && c.Viewed():
		return e.getView(ctx, from, c)
	case c.Name == "set" && c.Viewed():
		values, err := c.Pairs(c.Positional[1:])
		if err != nil {
			return "", fmt.Errorf("cannot set %s plug: %w", c.Positional[0], err)
		}
		return "", e.setView(ctx, from, c, values)
	case c.Name == "unset" && c.Has("view"):
		return "", e.unsetView(ctx, from, c)
	case c.Name == "get":
		return from.getConfig(c)
	case c.Name == "set", c.Name == "unset":
		return "", e.setConfig(from, c)
	case c.Name == "fail":
		return "", from.fail(c)
	case c.Name == "is-connected":
		return from.isConnected(c)
	case c.Name == "services":
		return e.services(from, c)
	default: // start, stop, restart
		return "", e.control(ctx, from, c)
	}
}

// caller returns the caller with the cookie of a call, or nil if there is none.
func (e *Endpoint) caller(hook *changes.Context, call Call) *caller {
	from := &caller{hook: hook, uid: call.UID, now: e.facts.Now()}
	instance, found := "", true
	if hook != nil {
		instance = hook.Snap
	} else {
		instance, found = from.now.SnapOfCookie(call.Cookie)
	}
	var err error
	if from.snap, err = from.now.Snap(instance); err != nil || !found {
		return nil
	}
	return from
}

func (from *caller) fail(c *snapctlcmd.Command) error {
	if !from.hook.Is("change") {
		return errors.New(`cannot use "snapctl fail" outside of a "change-view" hook`)
	}
	if len(c.Positional) == 0 {
		return errors.New("the required argument `:<rejection-reason>` was not provided")
	}
	from.hook.Reject(c.Positional[0])
	return nil
}

func (from *caller) isConnected(c *snapctlcmd.Command) (string, error) {
	instance := from.snap.Instance()
	if c.Has("list") {
		var text strings.Builder
		for _, plug := range sortedKeys(from.snap.Plugs) {
			if from.now.Connected(instance, plug) {
				fmt.Fprintln(&text, plug)
			}
		}
		return text.String(), nil
	}
	if len(c.Positional) != 1 {
		return "", errors.New("must specify either a plug/slot name or --list")
	}
	if _, found := from.snap.Plugs[c.Positional[0]]; !found {
		return "", fmt.Errorf("snap %q has no plug or slot named %q", instance, c.Positional[0])
	}
	if !from.now.Connected(instance, c.Positional[0]) {
		return "", &exitError{code: 1}
	}
	return "", nil
}
