// Package recipetest reads the recipe of our snaps for tests that compare other files with it. Its main function is
// Projects.
package recipetest

import (
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/network"

	"go.yaml.in/yaml/v3"
)

// Projects returns the projects of the recipe, by role. root is the path of the project's folder from the test's
// folder.
func Projects(t testing.TB, root string) map[string]*recipe.Project {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "snap", "snapcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := recipe.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	projects := map[string]*recipe.Project{}
	for _, role := range parsed.Roles() {
		projects[role], err = parsed.Project(role, recipe.Build{Version: "0.3", AccountID: network.AccountID})
		if err != nil {
			t.Fatal(err)
		}
	}
	return projects
}

// A Plug is a plug of a snap.yaml.
type Plug struct {
	Interface, Account, View, Role string
}

// Plugs returns all plugs of a snap, by name.
func Plugs(t testing.TB, project *recipe.Project) map[string]Plug {
	t.Helper()
	text, err := project.SnapYAML("amd64")
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Plugs map[string]Plug
		Apps  map[string]struct{ Plugs []string }
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	plugs := map[string]Plug{}
	for name, plug := range meta.Plugs {
		plugs[name] = plug
	}
	for _, app := range meta.Apps {
		for _, name := range app.Plugs {
			if _, ok := plugs[name]; !ok {
				plugs[name] = Plug{Interface: name}
			}
		}
	}
	return plugs
}
