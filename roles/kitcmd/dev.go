package kitcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"aspects-poc/internal/kit/hookrun"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func dev(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "dev", Usage: "run snaps and their hooks on an imitated snapd, and follow your edits",
		ArgsUsage: "SNAP_DIR … [-- COMMAND …]",
		Description: "Installs snaps from source (snapcraft.yaml with hooks in snap/hooks, or an unpacked snap with meta/snap.yaml), " +
			"connects their plugs, and answers on a socket as registry serve does. Hooks run as under snapd " + facts.Version +
			", but without confinement and as this user. For each transaction it prints who asked, what each hook changed or " +
			"refused, what was stored, and which observers ran. It reads changed files again. It runs until it is interrupted. " +
			"With COMMAND it runs COMMAND, with its sockets in the place of snapd's, and ends when COMMAND ends.\n\n" +
			"docs/devkit/emulated.md lists what is imitated and what is not.",
		UsageText: "aspects-poc registry dev --schema-file proxy.yaml --socket /tmp/proxy/snapd.socket ./custodian ./browser",
		Flags: append(machineFlags(),
			&cli.StringFlag{Name: flagSocket, Usage: "`PATH` to listen on (default: as registry serve)"},
			&cli.StringFlag{Name: flagState, Usage: "`DIR` that stores the machine, with the snaps' data, from one run to the next; " +
				"without it nothing stays"},
			&cli.BoolFlag{Name: flagNoConnect, Usage: "do not connect the snaps' plugs"},
			&cli.StringFlag{Name: flagPublisher, Usage: "`ID` of the account that publishes the snaps, as in the store: " +
				"plugs for its confdb-schemas connect automatically, before the install hook"},
		),
		Action: func(c *cli.Context) error { return runDev(env, c) },
	}
}

const (
	flagNoConnect = "no-connect"
	flagPublisher = "publisher"
)

// A workshop is the machine of registry dev, with the snaps and confdb-schemas that it reads from files.
//
// It has many fields because half of them are the options of one run, and the others remember what was read last.
type workshop struct {
	*world.World
	log       *devLog
	runner    *hookrun.Runner
	files     []string // of the confdb-schemas
	account   string
	publisher string
	stage     string
	unpacked  string // folder with the unpacked content of snap files
	connect   bool
	tried     chan []string // files and folders to watch, of snaps that were added
	life      context.Context
	adopting  sync.WaitGroup // the goroutines of adopt, which end with life

	mu      sync.Mutex            // held while snaps are read; guards the fields below
	dirs    []string              // of the snaps
	loaded  map[string]facts.Snap // by folder: the snap as it was last read
	schemas map[string]string     // by file and ID: the document as it was last read
	told    map[string]string     // by file or folder: the last reported reason why it could not be read
	offered map[string]bool       // SNAP:PLUG that dev has connected once: it does not connect them again after somebody has disconnected them
}

func runDev(env *roles.Env, c *cli.Context) (err error) {
	dirs, command := c.Args().Slice(), []string(nil)
	if i := slices.Index(dirs, "--"); i >= 0 {
		dirs, command = slices.Clone(dirs[:i]), dirs[i+1:] // snaps that are tried are appended to dirs
	}
	if len(dirs) == 0 {
		return roles.Usagef("no snap given: want the folder of at least one")
	}
	if len(c.StringSlice(flagSchema)) == 0 {
		return roles.Usagef("no confdb-schema given: want --%s FILE", flagSchema)
	}
	socket, err := socketPath(env, c.String(flagSocket))
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	state := c.String(flagState)
	machine := state // the folder of the snaps' data
	if state == "" {
		if machine, err = os.MkdirTemp("", "aspects-poc-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(machine) //nolint:errcheck // in the system's temporary folder
	} else if machine, err = filepath.Abs(state); err != nil {
		return err
	}
	log := &devLog{out: env.Stdout, paint: env.Paint(env.Stdout), services: c.Bool(flagServices)}
	runner, err := hookrun.New(hookrun.Options{Dir: machine, Snapctl: program, RunServices: c.Bool(flagServices),
		Output: log.service})
	if err != nil {
		return err
	}
	// Close the runner last: services and hooks must end before what they call.
	defer func() { err = errors.Join(err, runner.Close()) }()
	w, err := world.Open(state, changes.Options{Runner: runner, Services: runner, Observe: log.observe})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	log.world = w
	if err := runner.Serve(w); err != nil {
		return err
	}
	shop := &workshop{World: w, log: log, runner: runner, dirs: dirs, files: c.StringSlice(flagSchema),
		account: c.String(flagAccount), publisher: c.String(flagPublisher), stage: filepath.Join(machine, "snap"), unpacked: filepath.Join(machine, "snaps"),
		connect: !c.Bool(flagNoConnect), tried: make(chan []string),
		loaded: map[string]facts.Snap{}, schemas: map[string]string{}, told: map[string]string{},
		offered: map[string]bool{}}
	watch, err := shop.open(c.Context)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	shop.life = ctx
	watching := make(chan error, 1)
	go func() { watching <- shop.watchFiles(ctx, watch) }()
	defer func() {
		cancel()
		shop.adopting.Wait()
		err = errors.Join(err, <-watching)
	}()
	return served{socket: socket, next: shop.next(socket),
		options: rest.Options{World: w, Unsigned: true, Logs: runner, Install: shop, Programs: runner}}.run(ctx, env, command)
}

// next returns a command that reads through a view with a custodian here; "" if there is none. It names the view as
// briefly as is unambiguous.
func (s *workshop) next(socket string) string {
	schemas := map[string]int{} // name of a view -> number of confdb-schemas with it
	for _, schema := range s.Facts.Now().Schemas() {
		for _, view := range schema.Parsed.Views() {
			schemas[view]++
		}
	}
	for _, snap := range s.Snaps() {
		for _, name := range sortedKeys(snap.Plugs) {
			id, ok := snap.Plugs[name].ID()
			if !ok || snap.Plugs[name].Role != facts.Custodian {
				continue
			}
			view := id.View
			if schemas[view] > 1 {
				view = id.String()
			}
			return fmt.Sprintf("aspects-poc registry get --registry snapd:%s %s", socket, view)
		}
	}
	return ""
}

// open loads confdb-schemas and snaps for the first time, and returns the files and folders to watch. It returns an
// error where reload only reports one.
func (s *workshop) open(ctx context.Context) ([]string, error) {
	if s.Facts.Now().System("experimental.confdb") == nil {
		if err := s.Facts.SetSystem(map[string]any{"experimental.confdb": true}); err != nil {
			return nil, err
		}
	}
	for _, file := range s.files {
		if err := s.loadSchema(file); err != nil {
			return nil, err
		}
	}
	watch := slices.Clone(s.files)
	for _, dir := range s.dirs {
		more, err := s.loadSnap(ctx, dir)
		if err != nil {
			return nil, err
		}
		watch = append(watch, more...)
	}
	s.missing()
	return watch, s.connectAll(ctx)
}

// loadSchema reads the confdb-schemas of a file into the machine.
func (s *workshop) loadSchema(file string) error {
	schemas, err := readSchema(file, s.account)
	if err != nil {
		return err
	}
	for _, schema := range schemas {
		if err := s.replaceSchema(file, schema); err != nil {
			return err
		}
	}
	return nil
}

// replaceSchema replaces a confdb-schema if its file has changed. It reports stored values that do not fit the new
// schema.
func (s *workshop) replaceSchema(file string, schema facts.Schema) error {
	before := file + " " + schema.ID()
	if s.schemas[before] == string(schema.Document) {
		return nil
	}
	if err := s.Facts.SetSchema(schema); err != nil {
		return err
	}
	again := s.schemas[before] != ""
	s.schemas[before] = string(schema.Document)
	if again {
		s.log.say("%s: read again, confdb-schema %s (revision %d)", file, schema.ID(), schema.Parsed.Revision)
	} else {
		s.log.say("%s: confdb-schema %s (revision %d)", file, schema.ID(), schema.Parsed.Revision)
	}
	if err := s.Facts.Now().Misfit(schema.Parsed.Account, schema.Parsed.Name); err != nil {
		var secrets []string
		for _, value := range s.Facts.Now().Secrets(schema.Parsed.Account, schema.Parsed.Name) {
			secrets = append(secrets, textsIn(value)...)
		}
		s.log.say("%s: what is stored does not fit it, so that each write is refused until it does: %s", file, hide(err.Error(), secrets))
	}
	return nil
}

// loadSnap installs a snap, or refreshes it if it has changed. It returns the files and folders on which the snap
// depends.
func (s *workshop) loadSnap(ctx context.Context, dir string) ([]string, error) {
	found, err := s.find(dir)
	if err != nil {
		return nil, err
	}
	before, known := s.loaded[dir]
	if known { // as dev was asked to
		found.Snap.Try, found.Snap.Key, found.Snap.DevMode = before.Try, before.Key, before.DevMode
	}
	if known && sameSnap(before, found.Snap) {
		return found.Watch, nil
	}
	s.loaded[dir] = found.Snap
	s.log.warn(dir, found.Warnings)
	if known {
		s.log.say("%s: read again", dir)
		if err := s.Changes.Complete(ctx)(s.Changes.Install(found.Snap)); err != nil {
			return found.Watch, fmt.Errorf("cannot refresh %s, and the snap is as it was: %w", dir, err)
		}
		return found.Watch, nil
	}
	if _, err := s.Snap(found.Snap.Name); err == nil { // installed in an earlier run
		s.log.say("%s: snap %s, installed before, %s", dir, found.Snap.Name, hooksOf(found.Snap))
		return found.Watch, s.Facts.Install(found.Snap)
	}
	s.log.say("%s: snap %s, %s", dir, found.Snap.Name, hooksOf(found.Snap))
	if err := s.runner.Prepare(found.Snap); err != nil {
		return nil, err
	}
	if err := s.Changes.Complete(ctx)(s.Changes.Install(found.Snap)); err != nil {
		return nil, fmt.Errorf("cannot install %s: %w", dir, err)
	}
	return found.Watch, nil
}

// find reads the snap in a folder.
func (s *workshop) find(dir string) (*source.Source, error) {
	found, err := source.Load(dir, source.Options{Stage: s.stage, Account: s.account})
	if err == nil {
		found.Snap.Publisher = s.publisher
	}
	return found, err
}

func hooksOf(snap facts.Snap) string {
	if len(snap.Hooks) == 1 {
		return "1 hook"
	}
	return fmt.Sprintf("%d hooks", len(snap.Hooks))
}

// connectAll connects new confdb plugs, those of custodians first.
func (s *workshop) connectAll(ctx context.Context) error {
	if !s.connect {
		return nil
	}
	connected, there := s.Facts.Now().Connections(), map[string]bool{}
	defer func() { s.offered = there }()
	for _, role := range []string{facts.Custodian, ""} {
		for _, snap := range s.Snaps() {
			for _, name := range sortedKeys(snap.Plugs) {
				plug := snap.Plugs[name]
				if plug.Interface != "confdb" || plug.Role != role {
					continue
				}
				id := snap.Instance() + ":" + name
				there[id] = true
				if s.offered[id] || slices.ContainsFunc(connected, func(c facts.Connection) bool {
					return c.Snap == snap.Instance() && c.Plug == name
				}) {
					continue
				}
				if err := s.Changes.Complete(ctx)(s.Changes.Connect(snap.Instance(), name)); err != nil {
					return fmt.Errorf("cannot connect %s: %w", id, err)
				}
			}
		}
	}
	return nil
}

// missing reports plugs without a view, and views without a custodian.
func (s *workshop) missing() {
	custodian := map[string]bool{}
	views := map[string]bool{}
	for _, schema := range s.Facts.Now().Schemas() {
		for _, view := range schema.Parsed.Views() {
			views[schema.ID()+"/"+view] = true
		}
	}
	for _, snap := range s.Snaps() {
		for _, name := range sortedKeys(snap.Plugs) {
			id, ok := snap.Plugs[name].ID()
			switch {
			case !ok:
			case !views[id.String()]:
				s.log.say("plug %s:%s: no confdb-schema here has the view %s", snap.Instance(), name, id)
			case snap.Plugs[name].Role == facts.Custodian:
				custodian[id.String()] = true
			}
		}
	}
	for _, view := range sortedKeys(views) {
		if !custodian[view] {
			s.log.say("view %s: no snap is its custodian, so that nobody can access it", view)
		}
	}
}
