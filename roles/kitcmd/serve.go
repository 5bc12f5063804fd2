package kitcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	asserts "aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagSocket     = "socket"
	flagState      = "state"
	flagAccountKey = "account-key"
	flagUnsigned   = "unsigned"
	flagCustodian  = "custodian"
	flagVerbose    = "verbose"
)

func serve(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "imitate snapd's REST API for confdb on a socket", ArgsUsage: "[-- COMMAND …]",
		Description: "Answers requests of snapd's REST API for confdb on a socket, as snapd " + facts.Version + " does. Beside it are " +
			"the socket for snaps, and a folder from which the snap command reads which features are on. A snap without hooks " +
			"is the custodian of all views. serve runs until it is interrupted. With COMMAND it runs COMMAND in a mount namespace, " +
			"by unshare(1), with its sockets in the place of snapd's, and ends when COMMAND ends. docs/devkit/serve.md lists what " +
			"is imitated and what is not.\n\n" +
			"Without --unsigned it acknowledges a confdb-schema only if a key of --account-key has signed it. A confdb-schema of " +
			"--schema-file needs no signature.",
		UsageText: "aspects-poc registry serve --schema-file network.yaml --socket /tmp/confdb/snapd.socket",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagSocket, Usage: "`PATH` to listen on (default: aspects-poc/snapd.socket in " +
				"$XDG_RUNTIME_DIR, else in a folder of this user's in $TMPDIR)"},
			&cli.StringSliceFlag{Name: flagSchema, Aliases: []string{"c"}, Usage: "`FILE` with a confdb-schema: YAML, JSON for " +
				"snap sign, or an assertion; may be repeated"},
			&cli.StringFlag{Name: flagAccount, Usage: "account `ID` in place of the one in the files"},
			&cli.StringFlag{Name: flagState, Usage: "`DIR` that stores all data from one run to the next; without it " +
				"nothing stays"},
			&cli.StringSliceFlag{Name: flagAccountKey, Usage: "`FILE` of a key that may sign: an account-key assertion, or what " +
				"snap export-key prints; may be repeated"},
			&cli.BoolFlag{Name: flagUnsigned, Usage: "acknowledge assertions without verifying their signatures, for " +
				"development"},
			&cli.StringFlag{Name: flagCustodian, Value: "custodian", Usage: "`NAME` of the snap that is custodian of all views; " +
				"empty for none"},
			&cli.BoolFlag{Name: flagVerbose, Usage: "log each request"},
		},
		Action: func(c *cli.Context) error { return runServe(env, c) },
	}
}

func runServe(env *roles.Env, c *cli.Context) (err error) {
	keys, err := readKeys(c.StringSlice(flagAccountKey))
	if err != nil {
		return err
	}
	w, err := openMachine(c.String(flagState), c.StringSlice(flagSchema), c.String(flagAccount))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	socket, err := socketPath(env, c.String(flagSocket))
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if c.Bool(flagVerbose) {
		level = slog.LevelDebug
	}
	s := served{
		socket: socket,
		options: rest.Options{World: w, Keys: keys, Unsigned: c.Bool(flagUnsigned), Custodian: c.String(flagCustodian),
			Log: slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level}))},
	}
	return s.run(c.Context, env, c.Args().Slice())
}

// openMachine opens a world and loads confdb-schemas from files. It switches the confdb feature on unless somebody has
// set it before.
func openMachine(dir string, files []string, account string) (*world.World, error) {
	schemas, err := readSchemas(files, account, readSchema)
	if err != nil {
		return nil, err
	}
	w, err := world.Open(dir, changes.Options{})
	if err != nil {
		return nil, err
	}
	for _, schema := range schemas { // whatever their revision: the files may have changed
		if err := w.Facts.SetSchema(schema); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot load the confdb-schema %s: %w", schema.ID(), err), w.Close())
		}
	}
	if w.Facts.Now().System("experimental.confdb") == nil {
		if err := w.Facts.SetSystem(map[string]any{"experimental.confdb": true}); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

func readKeys(files []string) (asserts.Keys, error) {
	var list []*asserts.Key
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return asserts.Keys{}, fmt.Errorf("cannot read the account key: %w", err)
		}
		key, err := asserts.ReadKey(text)
		if err != nil {
			return asserts.Keys{}, fmt.Errorf("cannot read the account key in %s: %w", file, err)
		}
		list = append(list, key)
	}
	return asserts.NewKeys(list...), nil
}

// The names that snapd's sockets have in /run.
const (
	mainSocketName = "snapd.socket"
	snapSocketName = "snapd-snap.socket"
	featuresName   = "features"
)

// maxSocket is the longest path of a unix socket, in bytes without the final zero.
const maxSocket = 107

func socketPath(env *roles.Env, given string) (string, error) {
	path := given
	if path == "" {
		dir := env.Getenv("XDG_RUNTIME_DIR")
		name := "aspects-poc"
		if dir == "" {
			dir, name = os.TempDir(), "aspects-poc-"+strconv.Itoa(os.Getuid())
		}
		path = filepath.Join(dir, name, mainSocketName)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if longest := filepath.Join(filepath.Dir(path), snapSocketName); max(len(path), len(longest)) > maxSocket {
		return "", roles.Usagef("invalid value %q for --%s: the system takes paths of sockets up to %d bytes", path, flagSocket,
			maxSocket)
	}
	return path, nil
}

// A served is an imitated machine on its sockets.
type served struct {
	socket  string
	next    string       // the printed suggestion for the next command; "" for none
	options rest.Options // run sets Features
	apart   bool         // run the command without our sockets in the places of snapd's
}

// run serves until ctx ends, or until the command ends.
func (s served) run(ctx context.Context, env *roles.Env, command []string) (err error) {
	dir := filepath.Dir(s.socket)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.socket, err)
	}
	if err := checkOwned(dir); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.socket, err)
	}
	s.options.Features = filepath.Join(dir, featuresName)
	if err := os.MkdirAll(s.options.Features, 0o755); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.socket, err)
	}
	server, err := rest.New(s.options)
	if err != nil {
		return err
	}
	snaps := filepath.Join(dir, snapSocketName)
	listeners, err := listen(s.socket, snaps)
	if err != nil {
		return err
	}
	if len(command) == 0 {
		text := fmt.Sprintf("Listening on %s, for snaps on %s\n", s.socket, snaps)
		if s.next != "" {
			text += "Try in another terminal: " + s.next + "\n"
		}
		if _, err := io.WriteString(env.Stdout, text); err != nil {
			return err
		}
		return server.Serve(ctx, listeners[0], listeners[1])
	}
	ctx, end := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listeners[0], listeners[1]) }()
	defer func() {
		end()
		err = errors.Join(err, <-done)
	}()
	if s.apart {
		return runCommand(ctx, env, command[0], command...)
	}
	return inPlace(ctx, env, s.socket, command)
}

// listen listens on all sockets. After an error it listens on none.
func listen(paths ...string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, path := range paths {
		listener, err := rest.Listen(path)
		if err != nil {
			for _, other := range listeners {
				err = errors.Join(err, other.Close())
			}
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}
