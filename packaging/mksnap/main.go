// Command mksnap packs our snaps from snap/snapcraft.yaml. It needs only the Go toolchain and mksquashfs:
//
//	mksnap pack -version 0.3 -arch arm64 control vpn   # aspects-poc-control_0.3_arm64.snap, …; "all" for all roles
//	mksnap stage -version 0.3 control DIR              # what is in the snap, but for meta/snap.yaml
//	mksnap project -version 0.3 control DIR            # a folder to run snapcraft in
//	mksnap file -version 0.3 control                   # the name of the snap's file
//	mksnap compare ONE.snap OTHER.snap                 # fails where their meta/ differ
//
// The same sources, the same Go and the same mksquashfs give the same bytes: nothing in a snap depends on the machine,
// the folder or the time. The files have the time SOURCE_DATE_EPOCH, or else the time of the commit. Package recipe
// makes the metadata, and package compile builds the binary.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"aspects-poc/packaging/compile"
	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/network"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, ".", os.Stdout, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "error: "+err.Error())
		os.Exit(1)
	}
}

const usage = "usage: mksnap pack [FLAGS] ROLE…|all | stage [FLAGS] ROLE DIR | project [FLAGS] ROLE DIR | file [FLAGS] ROLE | " +
	"compare SNAP SNAP"

// run runs the subcommand of args in the project's root folder.
func run(ctx context.Context, root string, out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("mksnap "+args[0], flag.ContinueOnError)
	b := build{root: root}
	flags.StringVar(&b.Version, "version", "0.0", "`VERSION` of the snaps")
	flags.StringVar(&b.AccountID, "account", network.AccountID, "account `ID` of the confdb-schema")
	flags.StringVar(&b.Commit, "commit", "", "`COMMIT` that it is built from, for the version command")
	flags.StringVar(&b.arch, "arch", recipe.Architecture(runtime.GOARCH), "`ARCHITECTURE`, Debian's name")
	output := flags.String("output", root, "`DIR` for the snaps")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "compare" && flags.NArg() == 2 {
		return compare(ctx, flags.Arg(0), flags.Arg(1))
	}
	text, err := os.ReadFile(filepath.Join(root, "snap", "snapcraft.yaml"))
	if err != nil {
		return fmt.Errorf("cannot read the recipe: %w", err)
	}
	all, err := recipe.Parse(text)
	if err != nil {
		return err
	}
	switch names := flags.Args(); {
	case args[0] == "file" && len(names) == 1:
		project, err := all.Project(names[0], b.Build)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, project.File(b.arch))
		return err
	case args[0] == "pack" && len(names) > 0:
		if slices.Equal(names, []string{"all"}) {
			names = all.Roles()
		}
		return b.packAll(ctx, all, names, *output, out)
	case (args[0] == "stage" || args[0] == "project") && len(names) == 2:
		project, err := all.Project(names[0], b.Build)
		if err != nil {
			return err
		}
		if args[0] == "project" {
			return b.writeProject(ctx, project, names[1])
		}
		return b.stage(ctx, names[0], project, names[1])
	}
	return errors.New(usage)
}

// A build has the settings of one run.
type build struct {
	recipe.Build
	root string // of the project
	arch string
}

// packAll packs the snaps of several roles. All snaps of devices contain the same binary.
func (b build) packAll(ctx context.Context, all *recipe.Recipe, roles []string, output string, out io.Writer) (err error) {
	projects := map[string]*recipe.Project{}
	for _, role := range roles {
		if projects[role], err = all.Project(role, b.Build); err != nil {
			return err
		}
	}
	epoch, err := compile.Epoch(ctx, b.root)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mksnap-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	binaries := map[compile.Kind]string{}
	for _, role := range roles {
		if _, err := fmt.Fprintf(out, "Building %s snap...\n", role); err != nil {
			return err
		}
		kind := kind(projects[role])
		binary, built := binaries[kind]
		if !built {
			binary = filepath.Join(work, compile.Program+"."+string(kind))
			if err := compile.Binary(ctx, b.root, b.Build, b.arch, kind, binary); err != nil {
				return err
			}
			binaries[kind] = binary
		}
		snap := filepath.Join(work, role)
		if err := layOut(snap, role, binary, projects[role].Hooks()); err != nil {
			return fmt.Errorf("cannot lay out the %s snap: %w", role, err)
		}
		if err := b.writeMeta(snap, projects[role]); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "Generated snap metadata"); err != nil {
			return err
		}
		file := projects[role].File(b.arch)
		if err := squash(ctx, snap, filepath.Join(output, file), projects[role].Compression(), epoch); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "Created snap package %s\n", file); err != nil {
			return err
		}
	}
	return nil
}
