package roles_test

import (
	"testing"

	"aspects-poc/roles"

	"github.com/google/go-cmp/cmp"
)

func TestLookup(t *testing.T) {
	list := []roles.Role{{Name: "server"}, {Name: "control"}, {Name: "registry", Tool: true}}
	control := func(args ...string) roles.Target {
		return roles.Target{Role: "control", Program: "aspects-poc-control", Args: args}
	}
	program := func(role string, args ...string) roles.Target {
		return roles.Target{Role: role, Program: "aspects-poc", Args: args}
	}
	unknown := func(name string) roles.Target { return roles.Target{Program: "aspects-poc", Unknown: name} }
	tests := []struct {
		name string
		argv []string
		want roles.Target
	}{
		{"not a hook without meta", []string{"/usr/lib/hooks/aspects-poc-control", "run"}, control("run")},
		{"role by argv[0]", []string{"aspects-poc-control", "run", "--once"}, control("run", "--once")},
		{"with a directory", []string{"/snap/aspects-poc-control/x1/bin/aspects-poc-control", "run"}, control("run")},
		{"relative", []string{"./aspects-poc-control", "run"}, control("run")},
		{"parallel instance", []string{"aspects-poc-control_lab", "run"}, control("run")},
		{"an app of the snap", []string{"aspects-poc-control.daemon", "run"}, control("run")},
		{"an app of an instance", []string{"aspects-poc-control_lab.daemon", "run"}, control("run")},
		{"without the prefix", []string{"/bin/control", "run"}, control("run")},
		{"both doors: the first argument is not looked at", []string{"aspects-poc-control", "server"}, control("server")},
		{"role by argument", []string{"aspects-poc", "control", "run"}, program("control", "run")},
		{"role by argument, with a directory", []string{"/usr/bin/aspects-poc", "server"}, program("server")},
		{"tool by argument", []string{"aspects-poc", "registry", "get"}, program("registry", "get")},
		{"no argument", []string{"aspects-poc"}, program("")},
		{"another argument", []string{"aspects-poc", "--version"}, program("", "--version")},
		{"unknown argument", []string{"aspects-poc", "nosuch"}, program("", "nosuch")},
		{"unknown role", []string{"bin/aspects-poc-nosuch", "run"}, unknown("aspects-poc-nosuch")},
		{"tools have no name of their own", []string{"aspects-poc-registry", "get"}, unknown("aspects-poc-registry")},
		{"unknown role, known argument", []string{"aspects-poc-nosuch", "control"}, unknown("aspects-poc-nosuch")},
		{"another name", []string{"/opt/frobnicate"}, unknown("frobnicate")},
		{"another name, unknown argument", []string{"/opt/frobnicate", "nosuch"}, unknown("frobnicate")},
		{"renamed, role by argument", []string{"/opt/frobnicate", "control", "run"}, program("control", "run")},
		{"renamed, tool by argument", []string{"/opt/frobnicate", "registry"}, program("registry")},
		{"renamed, version", []string{"/opt/frobnicate", "--version"}, program("", "--version")},
		{"bare prefix", []string{"aspects-poc-"}, unknown("aspects-poc-")},
		{"a directory", []string{"/"}, unknown("/")},
		{"empty name", []string{"", "control"}, roles.Target{Program: "aspects-poc"}},
		{"empty argv", nil, roles.Target{Program: "aspects-poc"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := roles.Lookup(test.argv, "", list)
			if diff := cmp.Diff(normal(test.want), normal(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Hooks are told by their folder, and belong to the role of the snap.
func TestLookupHook(t *testing.T) {
	list := []roles.Role{{Name: "server"}, {Name: "control"}, {Name: "registry", Tool: true}}
	of := func(role, hook string) roles.Target {
		return roles.Target{Program: "aspects-poc", Role: role, Hook: hook}
	}
	nobody := func(snap, hook string) roles.Target {
		return roles.Target{Program: "aspects-poc", Hook: hook, Unknown: snap}
	}
	tests := []struct {
		name string
		argv string
		snap string
		want roles.Target
	}{
		{"of a snap", "/snap/aspects-poc-control/x1/meta/hooks/configure", "aspects-poc-control", of("control", "configure")},
		{"of a view", "/snap/aspects-poc-control/x1/meta/hooks/change-view-control-tunnel", "aspects-poc-control",
			of("control", "change-view-control-tunnel")},
		{"of a parallel instance", "/snap/aspects-poc-server/x1/meta/hooks/configure", "aspects-poc-server",
			of("server", "configure")},
		{"relative", "meta/hooks/configure", "aspects-poc-server", of("server", "configure")},
		{"not tidy", "meta//./hooks/configure", "aspects-poc-server", of("server", "configure")},
		{"a role's name", "/x/meta/hooks/aspects-poc-control", "aspects-poc-server", of("server", "aspects-poc-control")},
		{"outside of a snap", "/x/meta/hooks/configure", "", nobody("", "configure")},
		{"of another snap", "/x/meta/hooks/configure", "frobnicate", nobody("frobnicate", "configure")},
		{"of a role alone", "/x/meta/hooks/configure", "control", nobody("control", "configure")},
		{"of a tool", "/x/meta/hooks/configure", "aspects-poc-registry", nobody("aspects-poc-registry", "configure")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, roles.Lookup([]string{test.argv}, test.snap, list)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// normal treats no arguments and an empty list of them alike.
func normal(target roles.Target) roles.Target {
	if len(target.Args) == 0 {
		target.Args = nil
	}
	return target
}
