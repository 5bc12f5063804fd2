// Command mkdist writes the files of a release:
//
//	mkdist -version 0.3 -output dist                 # all architectures
//	mkdist -version 0.3 -output dist amd64 arm64     # some
//
// For each architecture it writes an archive with the binary, a link for each role, shell completions, manual pages,
// the licence and the notices of the linked modules. It also writes one OCI image for all architectures, and
// SHA256SUMS. It needs only the Go toolchain. The same sources and the same Go give the same bytes. Package compile
// builds the binary.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

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

// architectures returns the architectures with an archive, by Debian's names.
func architectures() []string { return []string{"amd64", "arm64", "armhf", "riscv64"} }

// A dist is one run of the command.
type dist struct {
	recipe.Build
	root   string    // of the project
	moment time.Time // modification time of all files
	roles  []string
	work   string // a folder that is removed at the end

	// build is compile.Binary and manual is buildManual, except in tests.
	build  func(ctx context.Context, root string, stamps recipe.Build, arch string, kind compile.Kind, file string) error
	manual func(ctx context.Context, root, file string) error
}

func run(ctx context.Context, root string, out io.Writer, args []string) (err error) {
	flags := flag.NewFlagSet("mkdist", flag.ContinueOnError)
	d := dist{root: root, build: compile.Binary, manual: buildManual}
	flags.StringVar(&d.Version, "version", "0.0", "`VERSION` of the program")
	flags.StringVar(&d.AccountID, "account", network.AccountID, "account `ID` of the confdb-schema")
	flags.StringVar(&d.Commit, "commit", "", "`COMMIT` that it is built from, for the version command")
	output := flags.String("output", filepath.Join(root, "dist"), "`DIR` for the files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := flags.Args()
	if len(wanted) == 0 {
		wanted = architectures()
	}
	for _, arch := range wanted {
		if !slices.Contains(architectures(), arch) {
			return fmt.Errorf("there is no archive for %q; known are %s", arch, strings.Join(architectures(), ", "))
		}
	}
	epoch, err := compile.Epoch(ctx, root)
	if err != nil {
		return err
	}
	d.moment = time.Unix(epoch, 0).UTC()
	text, err := os.ReadFile(filepath.Join(root, "snap", "snapcraft.yaml"))
	if err != nil {
		return fmt.Errorf("cannot read the list of roles: %w", err)
	}
	all, err := recipe.Parse(text)
	if err != nil {
		return err
	}
	d.roles = all.Roles()
	if d.work, err = os.MkdirTemp("", "mkdist-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.work)) }()
	return d.make(ctx, wanted, *output, out)
}

// make writes all files. It writes SHA256SUMS last, so that a folder with SHA256SUMS is complete.
func (d dist) make(ctx context.Context, wanted []string, output string, out io.Writer) error {
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	sums := filepath.Join(output, "SHA256SUMS")
	if err := os.Remove(sums); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	shared, err := d.documents(ctx)
	if err != nil {
		return err
	}
	var names []string
	var platforms []platform
	for _, arch := range wanted {
		p, err := d.platform(ctx, arch, shared)
		if err != nil {
			return err
		}
		platforms = append(platforms, p)
		name := fmt.Sprintf("%s_%s_linux_%s.tar.gz", compile.Program, d.Version, arch)
		if err := d.archive(p, filepath.Join(output, name)); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
		names = append(names, name)
		if _, err := fmt.Fprintln(out, "Created "+name); err != nil {
			return err
		}
	}
	image := fmt.Sprintf("%s_%s_oci.tar", compile.Program, d.Version)
	if err := d.image(platforms, filepath.Join(output, image)); err != nil {
		return fmt.Errorf("cannot write %s: %w", image, err)
	}
	names = append(names, image)
	if _, err := fmt.Fprintln(out, "Created "+image); err != nil {
		return err
	}
	return writeSums(sums, output, names)
}

// buildManual builds the program with the command that writes the manual pages.
func buildManual(ctx context.Context, root, file string) error {
	build := exec.CommandContext(ctx, "go", "build", "-tags", "man", "-buildvcs=false", "-o", file, ".")
	build.Dir = root
	return compile.Execute(build, "cannot build the program that writes the manual pages")
}

// documents returns the files that are the same for all architectures: licence, introduction, completions and manual
// pages.
func (d dist) documents(ctx context.Context) ([]entry, error) {
	// A program for this machine writes them, because it knows its commands.
	binary := filepath.Join(d.work, "documents", compile.Program)
	if err := d.manual(ctx, d.root, binary); err != nil {
		return nil, err
	}
	var list []entry
	for _, name := range []string{"LICENSE", "README.md"} {
		text, err := os.ReadFile(filepath.Join(d.root, name))
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: name, text: text, mode: 0o644})
	}
	for shell, name := range map[string]string{
		"bash": "share/bash-completion/completions/" + compile.Program,
		"zsh":  "share/zsh/site-functions/_" + compile.Program,
		"fish": "share/fish/vendor_completions.d/" + compile.Program + ".fish",
	} {
		script, err := exec.CommandContext(ctx, binary, "completion", shell).Output()
		if err != nil {
			return nil, fmt.Errorf("cannot print the completion script of %s: %w", shell, err)
		}
		list = append(list, entry{name: name, text: script, mode: 0o644})
		// Two shells look for a script with a command's own name. The same script serves all names.
		for _, role := range d.roles {
			if shell != "zsh" {
				link := strings.Replace(name, compile.Program+path.Ext(name), compile.Program+"-"+role+path.Ext(name), 1)
				list = append(list, entry{name: link, link: path.Base(name), mode: 0o777})
			}
		}
	}
	pages := filepath.Join(d.work, "man")
	if err := os.Mkdir(pages, 0o755); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, binary, "__man", pages)
	// Printed defaults must not depend on this machine.
	command.Env = []string{"HOME=/home/user"}
	if err := compile.Execute(command, "cannot write the manual pages"); err != nil {
		return nil, err
	}
	found, err := os.ReadDir(pages)
	if err != nil {
		return nil, err
	}
	for _, page := range found {
		text, err := os.ReadFile(filepath.Join(pages, page.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: "share/man/man1/" + page.Name(), text: text, mode: 0o644})
	}
	return list, nil
}

// writeSums writes the checksums of files in a folder, in the form of sha256sum.
func writeSums(file, dir string, names []string) error {
	var lines strings.Builder
	for _, name := range names {
		opened, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, opened)
		if err := errors.Join(err, opened.Close()); err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sum.Sum(nil), name)
	}
	return os.WriteFile(file, []byte(lines.String()), 0o644)
}
