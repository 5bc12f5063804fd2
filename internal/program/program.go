// Package program provides the built program to tests, with a link for each role, as make build does. It is built
// once for all tests, with the race detector if the tests have it. Its main function is Dir.
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

// Roles are the names of the links.
var Roles = []string{"server", "control", "vpn", "reporting"}

// Dir returns the folder of the program and its links.
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
	if err := readSources(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Root returns the folder of the module that contains the working directory.
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

// Build builds the program of the module in root and returns its folder, below build/test. It is quick if no source
// has changed.
func Build(ctx context.Context, root string, race bool) (dir string, err error) {
	// The flags are those of go test, so that both share compiled packages.
	kind, flags := "plain", []string{"build", "-buildvcs=false"}
	if race {
		kind, flags = "race", append(flags, "-race")
	}
	dir = filepath.Join(root, "build", "test", kind)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Several packages run their tests at the same time.
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

// readSources reads the sources of the program, so that go test runs the test again when they change. go test only sees which files
// the test itself reads, not what its commands read.
func readSources(ctx context.Context, root string) error {
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
		if info.IsDir() && path != root { // for new files; the root has many files that are no sources
			if _, err := os.ReadDir(path); err != nil {
				return err
			}
		}
	}
	return nil
}
