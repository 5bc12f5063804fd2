package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/internal/machine"
	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakeSocket names the socket of an imitated snapd, for the program in a snap that a script has installed.
const fakeSocket = "TEST_SNAPD_SOCKET"

// inSnap is main with another way to snapd.
func inSnap() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	here := func(given []registry.Options) registry.Options {
		options := given[0]
		options.SnapSocket = os.Getenv(fakeSocket)
		return options
	}
	env := &roles.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Open: func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error) {
			return registry.Open(ctx, address, here(options))
		},
		OpenHook: func(ctx context.Context, name string, options ...registry.Options) (*registry.Hook, error) {
			return registry.OpenHook(ctx, name, here(options))
		},
	}
	os.Exit(roles.Run(ctx, env, os.Args, all()...))
}

// TestSnapScripts runs the program as snapd does: hooks by links in meta/hooks, apps with a snap's environment. Beside
// testscript's own commands and await there are
//
//	install ROLE [KEY]         install the role's snap, as a parallel instance if there is a key
//	snap set KEY=VALUE…        configure the snap
//	snap write VIEW JSON       write values, request paths to values, as an administrator
//	snap show VIEW KEY         write what is read as an administrator to the file shown
//	snap restarts N            the daemon was restarted N times so far
//
// What a snap command complains of is in the file complaint.
func TestSnapScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "snap"),
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":   await,
			"install": func(ts *testscript.TestScript, negated bool, args []string) { install(t, ts, negated, args) },
			"snap":    snapCommand,
		},
		Setup: func(env *testscript.Env) error {
			env.Values[installedKey] = &installed{}
			return nil
		},
	})
}

// An installed snap of a script.
type installed struct {
	*machine.Machine
	service string
	hooks   string // folder of the links
	env     []string
}

const installedKey = "snap"

func install(t *testing.T, ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: install ROLE [KEY]")
	}
	name := roles.Program + "-" + args[0]
	instance := strings.Join(append([]string{name}, args[1:]...), "_")
	s := ts.Value(installedKey).(*installed)
	s.Machine = machine.Start(t, machine.Options{Snap: instance, Services: []string{roles.DaemonService}})
	s.service = instance + "." + roles.DaemonService
	dir := ts.MkAbs("snap")
	s.hooks = filepath.Join(dir, "meta", "hooks")
	for _, folder := range []string{s.hooks, ts.MkAbs("common"), ts.MkAbs("data")} {
		ts.Check(os.MkdirAll(folder, 0o755))
	}
	binary, err := os.Executable()
	ts.Check(err)
	list := all()
	role := slices.IndexFunc(list, func(r roles.Role) bool { return r.Name == args[0] })
	names := []string{"nosuch-hook"}
	for _, hook := range list[role].Hooks {
		names = append(names, hook.Name)
	}
	for _, hook := range names {
		ts.Check(os.Symlink(binary, filepath.Join(s.hooks, hook)))
		s.Handle(hook, s.hook)
	}
	for _, variable := range [][2]string{
		{fakeSocket, s.SnapSocket()}, {"SNAP", dir}, {"SNAP_NAME", name}, {"SNAP_INSTANCE_NAME", instance},
		{"SNAP_REVISION", "x1"}, {"SNAP_COMMON", ts.MkAbs("common")}, {"SNAP_DATA", ts.MkAbs("data")},
	} {
		ts.Setenv(variable[0], variable[1])
		s.env = append(s.env, variable[0]+"="+variable[1])
	}
	ts.Setenv("SNAP_COOKIE", s.Cookie()) // of apps
	ts.Setenv("SNAP_APP_NAME", roles.DaemonService)
}

// hook starts the link as a process, as snapd does.
func (s *installed) hook(call machine.HookCall) error {
	command := exec.Command(filepath.Join(s.hooks, call.Name))
	command.Env = append(slices.Clone(s.env), "SNAP_COOKIE="+call.Cookie, "PATH="+os.Getenv("PATH"), "GORACE="+os.Getenv("GORACE"))
	text, err := command.CombinedOutput()
	if err != nil {
		return errors.New(string(bytes.TrimSpace(text)))
	}
	return nil
}

func snapCommand(ts *testscript.TestScript, negated bool, args []string) {
	s := ts.Value(installedKey).(*installed)
	if len(args) < 2 || s.Machine == nil {
		ts.Fatalf("usage: install a snap first, then: snap set|write|show|restarts ARGUMENT…")
	}
	err := s.administer(ts, args[0], args[1:])
	complaint := ""
	if err != nil {
		complaint = err.Error() + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs("complaint"), []byte(complaint), 0o644))
	switch {
	case err != nil && !negated:
		ts.Fatalf("%v", err)
	case err == nil && negated:
		ts.Fatalf("snap %s succeeded", strings.Join(args, " "))
	}
}

func (s *installed) administer(ts *testscript.TestScript, verb string, args []string) error {
	decode := func(text string) (value any) {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&value) != nil || decoder.More() {
			return text
		}
		return value
	}
	switch verb {
	case "set":
		values := map[string]any{}
		for _, pair := range args {
			key, text, _ := strings.Cut(pair, "=")
			values[key] = decode(text)
		}
		return s.Configure(values)
	case "write":
		values, ok := decode(args[1]).(map[string]any)
		if !ok {
			ts.Fatalf("no JSON object: %s", args[1])
		}
		return s.Write(args[0], values)
	case "show":
		document, err := s.Read(args[0], args[1:]...)
		if err != nil {
			return err
		}
		text, err := json.Marshal(document)
		ts.Check(err)
		return os.WriteFile(ts.MkAbs("shown"), append(text, '\n'), 0o644)
	case "restarts":
		if got := strconv.Itoa(s.Restarts(s.service)); got != args[0] {
			ts.Fatalf("%s restarts", got)
		}
		return nil
	}
	ts.Fatalf("unknown command snap %s", verb)
	return nil
}
