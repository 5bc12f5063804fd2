package main

import (
	"os"
	"path/filepath"
	"slices"

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
