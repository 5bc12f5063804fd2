package hookrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/kit/hookrun/snapctl"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/snapdhttp"
)

var _ rest.Programs = (*Runner)(nil)

// shell is the program that Program returns instead of an app if asked for a shell.
const shell = "/bin/sh"

// Program returns the command line and environment of an app of a snap. name is SNAP.APP, or SNAP for the app with the snap's name.
// asShell replaces the app by a shell with the app's environment; with name SNAP, the snap needs no app. It returns an *facts.Error
// if there is no such snap or app.
func (r *Runner) Program(name string, asShell bool, arguments []string) (rest.Program, error) {
	instance, app, named := strings.Cut(name, ".")
	snap, err := r.world.Snap(instance)
	if err != nil {
		return rest.Program{}, err
	}
	if !named {
		app = snap.Name
	}
	command, setting, found := appOf(snap, app)
	if !found && (named || !asShell) {
		return rest.Program{}, noApp(snap, app)
	}
	cookie, err := r.world.Facts.Now().Cookie(instance)
	if err != nil {
		return rest.Program{}, err
	}
	environment, err := r.environment(snap, cookie, app, setting)
	if err != nil {
		return rest.Program{}, err
	}
	words := environment.appCommand(snap, setting, command)
	if asShell {
		words = environment.command(snap, setting, shell)
	}
	if words == nil {
		return rest.Program{}, fmt.Errorf("cannot run %s: it has no command", name)
	}
	return rest.Program{Args: append(words, arguments...), Env: environment.list()}, nil
}

// appOf returns an app or a service of a snap.
func appOf(snap facts.Snap, name string) (command string, setting facts.Setting, found bool) {
	if app, is := snap.Apps[name]; is {
		return app.Command, app.Setting, true
	}
	service, is := snap.Services[name]
	return service.Command, service.Setting, is
}

// noApp returns the error for an unknown app, in snapd's words, with the list of the snap's apps.
func noApp(snap facts.Snap, app string) error {
	var names []string
	for name := range snap.Apps {
		names = append(names, snap.Instance()+"."+name)
	}
	names = append(names, snap.ServiceNames()...)
	slices.Sort(names)
	known := "it has none, but --shell runs a shell in its place"
	if names != nil {
		known = "it has " + strings.Join(names, ", ")
	}
	return &facts.Error{Status: http.StatusNotFound, Kind: "app-not-found", Value: snap.Instance() + "." + app,
		Message: fmt.Sprintf("cannot find app %q in %q: %s", app, snap.Instance(), known)}
}

// Acting returns the variables, as NAME=VALUE, with which a program outside of a snap calls snapctl in the snap's name. path is the
// program's PATH.
func (r *Runner) Acting(instance, path string) ([]string, error) {
	cookie, err := r.world.Facts.Now().Cookie(instance)
	return []string{"PATH=" + r.bin + ":" + path, "SNAP_COOKIE=" + cookie, snapctl.SocketVariable + "=" + r.socket}, err
}

// AskProgram is Runner.Program for a machine in another process, which answers on a socket.
func AskProgram(ctx context.Context, socket, name string, asShell bool, arguments []string) (rest.Program, error) {
	query := url.Values{"name": {name}, "shell": {strconv.FormatBool(asShell)}, "arg": arguments}
	response, err := snapdhttp.New(socket).Do(ctx, http.MethodGet, rest.RunPath, query, nil)
	if err != nil {
		return rest.Program{}, fmt.Errorf("no process answers at %s: is registry dev running? Name its socket with --socket, --registry snapd:SOCKET or $ASPECTS_REGISTRY (%w)", socket, err)
	}
	if refusal := response.Refusal(); refusal != nil {
		return rest.Program{}, errors.New(refusal.Message)
	}
	var program rest.Program
	if err := json.Unmarshal(response.Result, &program); err != nil {
		return rest.Program{}, fmt.Errorf("cannot read the answer of %s: %w", socket, err)
	}
	return program, nil
}
