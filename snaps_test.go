package main

import (
	"testing"

	"gopkg.in/yaml.v3"
)

// A plug of a snap.yaml.
type plug struct {
	Interface, Account, View, Role string
}

// snapPlugs are all plugs that the snap of a role has, by name.
func snapPlugs(t *testing.T, role string) map[string]plug {
	t.Helper()
	text, err := snapProjects(t)[role].SnapYAML("amd64")
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Plugs map[string]plug
		Apps  map[string]struct{ Plugs []string }
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	plugs := map[string]plug{}
	for name, plug := range meta.Plugs {
		plugs[name] = plug
	}
	for _, app := range meta.Apps {
		for _, name := range app.Plugs {
			if _, ok := plugs[name]; !ok {
				plugs[name] = plug{Interface: name}
			}
		}
	}
	return plugs
}
