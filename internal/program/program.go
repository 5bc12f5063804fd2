// Package program gives tests the program itself, with a link for each role, as make build makes it. It is built once for
// all of them, with the race detector if they have it.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// Roles are the links beside the program.
var Roles = []string{"server", "control", "vpn", "reporting"}

// Dir returns the folder of the program.
func Dir(t testing.TB) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := Build(t.Context(), root, Raced)
	if err != nil {
		t.Fatal(err)
	}
	if err := note(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Root is the folder of the module, seen from a package in it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("no go.mod in this folder or above")
		}
		dir = above
	}
}

// Build brings the program of the module in root up to date and returns its folder, which is below build/test. There is
// nothing to do for go build where no source has changed.
func Build(ctx context.Context, root string, race bool) (dir string, err error) {
	// The flags are those of go test, so that what is compiled for one is there for the other.
	kind, flags := "plain", []string{"build", "-buildvcs=false"}
	if race {
		kind, flags = "race", append(flags, "-race")
	}
	dir = filepath.Join(root, "build", "test", kind)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Several packages are tested at the same time.
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	build := exec.CommandContext(ctx, "go", append(flags, "-o", filepath.Join(dir, "aspects-poc"), ".")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}
	for _, role := range Roles {
		link := filepath.Join(dir, "aspects-poc-"+role)
		if err := os.Symlink("aspects-poc", link); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	return dir, nil
}

// note looks at the sources of the program. go test remembers what a test has looked at in its module, and runs it again
// where that has changed; of what a command of the test has read it knows nothing.
func note(ctx context.Context, root string) error {
	const format = `{{if .Module}}{{if .Module.Main}}{{.Dir}}{{range .GoFiles}}{{"\n"}}{{$.Dir}}/{{.}}{{end}}` +
		`{{range .EmbedFiles}}{{"\n"}}{{$.Dir}}/{{.}}{{end}}{{end}}{{end}}`
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", format, ".")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("cannot list the sources of the program: %w", err)
	}
	paths := append(strings.Fields(string(out)), filepath.Join(root, "go.mod"), filepath.Join(root, "go.sum"))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() && path != root { // what is new there; in the root there is much that is no source
			if _, err := os.ReadDir(path); err != nil {
				return err
			}
		}
	}
	return nil
}
