package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/packaging/recipe"
	"aspects-poc/registry/network"

	"github.com/rogpeppe/go-internal/testscript"
)

// unpack lays out the snap of a role for the development kit: what the recipe of our snaps says, with the program as it
// is.
func unpack(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: unpack ROLE DIR")
	}
	text, err := os.ReadFile(filepath.Join(ts.Getenv("EXAMPLES"), "..", "snap", "snapcraft.yaml"))
	ts.Check(err)
	parsed, err := recipe.Parse(text)
	ts.Check(err)
	project, err := parsed.Project(args[0], recipe.Build{Version: "1", AccountID: network.AccountID})
	ts.Check(err)
	metadata, err := project.SnapYAML("amd64")
	ts.Check(err)
	dir := ts.MkAbs(args[1])
	hooks := filepath.Join(dir, "meta", "hooks")
	ts.Check(os.MkdirAll(hooks, 0o755))
	ts.Check(os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "meta", "snap.yaml"), metadata, 0o644))
	program, err := os.Executable()
	ts.Check(err)
	links := []string{filepath.Join(dir, "bin", "aspects-poc-"+args[0])}
	for _, hook := range project.Hooks() {
		links = append(links, filepath.Join(hooks, hook))
	}
	for _, link := range slices.Sorted(slices.Values(links)) {
		ts.Check(os.Symlink(program, link))
	}
}

// TestDevelopmentPage runs the commands of docs/devkit-dev.md in a copy of the examples.
func TestDevelopmentPage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	need.Program(t, "bash")
	page, err := filepath.Abs(filepath.Join("docs", "devkit-dev.md"))
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: there is a socket in it, whose name can have 107 bytes.
	dir, err := os.MkdirTemp("", "kit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("examples")); err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("bash")
	shell.Dir = dir
	shell.Env = []string{"PATH=" + buildProgram(t) + ":" + os.Getenv("PATH"), "HOME=" + dir}
	socket := filepath.Join(dir, "p")
	playDocument(t, page, shell, strings.NewReplacer("/tmp/proxy", socket), strings.NewReplacer(socket, "/tmp/proxy"))
}
