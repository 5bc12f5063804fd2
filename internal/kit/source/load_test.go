package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world/facts"
)

// project makes a snap's folder; the files that begin with "#!" are executable.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		write(t, filepath.Join(dir, path), []byte(text), mode)
	}
	return dir
}

const program = "#!/bin/sh\n"

// TestSettings reads the settings of hooks and apps. Variables keep the order of the file, since they use those before them.
func TestSettings(t *testing.T) {
	dir := project(t, map[string]string{
		"meta/snap.yaml": `name: a
version: 1.0
summary: S
description: |
  D
confinement: devmode
environment: {TOP: "1", AGAIN: $TOP/x}
hooks:
  configure: {environment: {Z: z, A: $Z}, command-chain: [bin/chain]}
  install:
apps:
  a: {command: bin/run $HOME x, command-chain: [bin/chain, bin/run]}
  d: {command: bin/run, daemon: simple, restart-condition: always, restart-delay: 1m30s, environment: {B: b}, plugs: [network]}
`,
		"bin/chain": program, "bin/run": program,
	})
	found, err := source.Load(dir, source.Options{Stage: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	want := facts.Snap{
		Name: "a", Version: "1.0", Revision: "x1", Summary: "S", Description: "D\n", Confinement: "devmode", Dir: dir,
		Environment:  []facts.Variable{{Name: "TOP", Value: "1"}, {Name: "AGAIN", Value: "$TOP/x"}},
		Hooks:        []string{"configure", "install"},
		Plugs:        map[string]facts.Plug{"network": {Interface: "network"}},
		HookSettings: map[string]facts.Setting{"configure": {Environment: []facts.Variable{{Name: "Z", Value: "z"}, {Name: "A", Value: "$Z"}}, Chain: []string{"bin/chain"}}},
		Apps:         map[string]facts.App{"a": {Command: "bin/run $HOME x", Setting: facts.Setting{Chain: []string{"bin/chain", "bin/run"}}}},
		Services:     map[string]facts.Service{"d": {Command: "bin/run", Daemon: "simple", Restart: "always", RestartDelay: 90 * time.Second, Setting: facts.Setting{Environment: []facts.Variable{{Name: "B", Value: "b"}}}}},
	}
	if diff := cmp.Diff(want, found.Snap); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLayOut checks the files in $SNAP of a snap that is not built.
func TestLayOut(t *testing.T) {
	for _, test := range []struct {
		name, yaml string
		files      map[string]string
		want       []string
		warning    string
	}{
		{"dump", "parts: {p: {plugin: dump, source: .}}", map[string]string{"bin/run": program, "README": ""},
			[]string{"README", "bin", "meta", "meta/hooks"}, ""},
		{"dump that renames", "parts: {p: {plugin: dump, source: src, organize: {'*.sh': bin/, etc: conf/etc, one: bin/two}}}",
			map[string]string{"src/a.sh": program, "src/b.sh": program, "src/etc/x/y": "", "src/one": program, "src/rest": ""},
			[]string{"bin", "bin/a.sh", "bin/b.sh", "bin/two", "conf", "conf/etc", "conf/etc/x", "conf/etc/x/y", "meta", "meta/hooks", "rest"}, ""},
		{"a hook of a part", "parts: {p: {plugin: dump, source: src, organize: {change.py: snap/hooks/configure}}}",
			map[string]string{"src/change.py": program}, []string{"meta", "meta/hooks", "meta/hooks/configure"}, ""},
		{"two parts with one folder", "parts: {p: {plugin: dump, source: p}, q: {plugin: dump, source: q, organize: {x: bin/x}}}",
			map[string]string{"p/bin/run": program, "q/x": program}, []string{"bin", "bin/run", "bin/x", "meta", "meta/hooks"}, ""},
		{"two parts with the same folder", "parts: {p: {plugin: dump, source: p}, q: {plugin: dump, source: q}}\napps: {a: {command: bin/b}}",
			map[string]string{"p/bin/a": program, "q/bin/a": program, "q/bin/b": program}, []string{"bin", "bin/a", "bin/b", "meta", "meta/hooks"}, ""},
		{"a file beside the snap's own that gets a place", "parts: {p: {plugin: dump, source: ., organize: {snap/local/run: /bin/run}}}\napps: {a: {command: bin/run}}",
			map[string]string{"snap/local/run": program, "snap/gui/icon.svg": ""}, []string{"bin", "bin/run", "meta", "meta/hooks"}, ""},
		{"hooks in a part's source", "parts: {p: {plugin: dump, source: p}}", map[string]string{"p/snap/hooks/configure": program, "p/meta/hooks/remove": program},
			[]string{"meta", "meta/hooks", "meta/hooks/configure", "meta/hooks/remove"}, ""},
		{"an archive", "parts: {p: {plugin: dump, source: a.tar}}\napps: {a: {command: bin/a}}", map[string]string{"a.tar": ""},
			[]string{"meta", "meta/hooks"}, "part p (plugin dump) is not built"},
		{"a source for each architecture", "parts: {p: {plugin: dump, source: [{on amd64: a}, {on arm64: b}]}, q: {plugin: dump, source: [{to amd64: a}, {else: b}]}}\napps: {a: {command: bin/a}}",
			map[string]string{"a/bin/a": program}, []string{"meta", "meta/hooks"}, "part q (plugin dump) is not built"},
		{"a folder in a source", "parts: {p: {plugin: dump, source: a, source-subdir: b}}\napps: {a: {command: bin/a}}", map[string]string{"a/b/bin/a": program},
			[]string{"bin", "meta", "meta/hooks"}, ""},
		{"a source by the project's folder", "parts: {p: {plugin: dump, source: $CRAFT_PROJECT_DIR/a}, q: {plugin: dump, source: '${SNAPCRAFT_PROJECT_DIR}', organize: {b: bin/b}}}\n" +
			"apps: {a: {command: bin/a}, b: {command: bin/b}}", map[string]string{"a/bin/a": program, "b": program},
			[]string{"a", "a/bin", "a/bin/a", "bin", "bin/a", "bin/b", "meta", "meta/hooks"}, ""},
		{"a source by another variable", "parts: {p: {plugin: dump, source: $CRAFT_STAGE/a}}\napps: {a: {command: bin/a}}", nil,
			[]string{"meta", "meta/hooks"}, "part p (plugin dump) is not built"},
		{"files of a component", "parts: {p: {plugin: dump, source: a, organize: {data: (component/foo)/data, run: (default)/bin/run, '*.sh': (component/foo)/}}}\napps: {a: {command: bin/run}}",
			map[string]string{"a/data": "", "a/run": program, "a/x.sh": program}, []string{"bin", "bin/run", "meta", "meta/hooks"}, ""},
		{"names and permissions for an architecture", "parts: {p: {plugin: dump, source: a, organize: [{to amd64: {x: bin/x}}]}, q: {plugin: dump, source: a, organize: {on amd64: {x: bin/x}}}}\n" +
			"apps: {a: {command: bin/x}, b: {command: x}}", map[string]string{"a/x": ""}, []string{"meta", "meta/hooks", "x"}, ""},
		{"permissions for an architecture", "parts: {p: {plugin: dump, source: a, permissions: [{to amd64: [{mode: '755'}]}]}}\napps: {a: {command: x}}",
			map[string]string{"a/x": ""}, []string{"meta", "meta/hooks", "x"}, ""},
		{"a program that a part makes executable", "parts: {p: {plugin: dump, source: a, permissions: [{path: bin/*, mode: '755'}]}}\napps: {a: {command: bin/run}}",
			map[string]string{"a/bin/run": "", "a/rest": ""}, []string{"bin", "bin/run", "meta", "meta/hooks", "rest"}, ""},
		{"what is kept of a part", "parts: {p: {plugin: dump, source: p, prime: [-x]}}\napps: {a: {command: bin/a}}", map[string]string{"p/x": ""},
			[]string{"meta", "meta/hooks", "x"}, ""},
		{"commands that older bases look for", "parts: {p: {plugin: dump, source: p}}\napps: {a: {command: $SNAP/a}, b: {command: b, stop-command: bin/b}}\nbase: core18", map[string]string{"p/bin/b": program},
			[]string{"bin", "meta", "meta/hooks"}, ""},
		{"a declared hook", "hooks: {configure: {plugs: [network]}}\nparts: {p: {plugin: nil}}", nil,
			[]string{"meta", "meta/hooks", "meta/hooks/configure"}, "snapcraft makes an empty one"},
		{"a part that is not built", "hooks: {configure: {}}\nparts: {p: {plugin: go, source: .}}\napps: {a: {command: bin/a}}", nil,
			[]string{"meta", "meta/hooks", "meta/hooks/configure"}, "part p (plugin go) is not built"},
		{"a hook whose other one a part may bring", "hooks: {default-configure: {}}\nparts: {p: {plugin: make, source: .}}", nil,
			[]string{"meta", "meta/hooks", "meta/hooks/default-configure"}, "part p (plugin make) is not built"},
		{"a part with packages", "parts: {p: {plugin: dump, source: src, stage-packages: [bash]}, q: {plugin: nil, stage-snaps: [yq]}}\napps: {a: {command: usr/bin/bash}}",
			map[string]string{"src/bin/run": program}, []string{"bin", "meta", "meta/hooks"}, "the packages of part q are not in $SNAP"},
		{"an extension", "parts: {p: {plugin: nil}}\napps: {a: {command: usr/bin/a, extensions: [gnome]}}", nil, []string{"meta", "meta/hooks"}, ""},
		{"a part with steps of its own", "parts: {p: {plugin: nil, override-build: 'true'}}\napps: {a: {command: bin/a}}", nil,
			[]string{"meta", "meta/hooks"}, "part p (plugin nil) is not built"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{"snap/snapcraft.yaml": "name: a\n" + test.yaml + "\n"}
			for path, text := range test.files {
				files[path] = text
			}
			dir, stage := project(t, files), t.TempDir()
			for range 2 { // the second time it is there
				before := entries(t, dir)
				found, err := source.Load(dir, source.Options{Stage: stage})
				if err != nil {
					t.Fatal(err)
				}
				if got := entries(t, found.Snap.Dir); !slices.Equal(got, test.want) {
					t.Errorf("the snap has %q, want %q", got, test.want)
				}
				if all := strings.Join(found.Warnings, "\n"); !strings.Contains(all, test.warning) || test.warning == "" && all != "" {
					t.Errorf("warnings %q, want %q", all, test.warning)
				}
				if after := entries(t, dir); !slices.Equal(before, after) {
					t.Errorf("the source was %v, and is %v", before, after)
				}
			}
		})
	}
}

// TestUnusable has snaps that snapd does not install because of their files.
func TestUnusable(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no program", map[string]string{"meta/snap.yaml": "name: a\napps: {d: {command: bin/gone -x, daemon: simple}}"},
			`snap is unusable due to missing files: path "bin/gone" does not exist; contact developer`},
		{"a delay that is none", map[string]string{"meta/snap.yaml": "name: a\napps: {d: {command: x, daemon: simple, restart-delay: 10}}"},
			`app "d": invalid restart-delay "10": want a time such as 10s`},
		{"a condition that is none", map[string]string{"meta/snap.yaml": "name: a\napps: {d: {command: x, daemon: simple, restart-condition: often}}"},
			`app "d": invalid restart-condition "often": want one of on-success, `},
		{"a project without a chain", map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: nil}}\nhooks: {configure: {command-chain: [bin/gone]}}"},
			`snapcraft: The command-chain item 'bin/gone' defined in hook 'configure' does not exist or is not executable`},
		{"a service's program that cannot be run", map[string]string{"meta/snap.yaml": "name: a\napps: {a: {command: bin/run, daemon: simple}}", "bin/run": "x"},
			`snap is unusable due to bad permissions: "bin/run" should be executable, and isn't: -rw-r--r--; contact developer`},
		{"no completer", map[string]string{"meta/snap.yaml": "name: a\napps: {a: {command: bin/run, completer: gone.sh}}", "bin/run": program},
			`path "gone.sh" does not exist`},
		{"a program that cannot be run", map[string]string{"meta/snap.yaml": "name: a\napps: {a: {command: bin/run}}", "bin/run": "x"},
			`snap is unusable due to bad permissions: "bin/run" should be world-readable and executable, and isn't: -rw-r--r--; contact developer`},
		{"a hook that cannot be run", map[string]string{"meta/snap.yaml": "name: a\n", "meta/hooks/configure": "x"},
			`"meta/hooks/configure" should be executable, and isn't: -rw-r--r--`},
		{"a project whose parts are all there", map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: dump, source: src}}\napps: {a: {command: bin/gone}}",
			"src/bin/run": program}, `path "bin/gone" does not exist`},
		{"a project's program that cannot be run", map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: dump, source: src}}\napps: {a: {command: bin/run}}",
			"src/bin/run": ""}, `bad permissions: "bin/run" should be world-readable and executable`},
		{"no program to stop it", map[string]string{"meta/snap.yaml": "name: a\napps: {d: {command: bin/run, stop-command: bin/gone, daemon: simple}}",
			"bin/run": program}, `path "bin/gone" does not exist`},
		{"a hook without another", map[string]string{"meta/snap.yaml": "name: a\n", "meta/hooks/default-configure": program},
			`cannot specify "default-configure" hook without "configure" hook`},
		{"a project's hook without another", map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: nil}}", "snap/hooks/default-configure": program},
			`cannot specify "default-configure" hook without "configure" hook`},
		{"a key that is there twice", map[string]string{"snap/snapcraft.yaml": "name: a\nplugs: {p: network}\nparts: {p: {plugin: nil}}\nplugs: {q: network}"},
			`snap/snapcraft.yaml:4:1: key "plugs" is there twice: snapcraft refuses it`},
		{"a list of plugs", map[string]string{"snap/snapcraft.yaml": "name: a\nplugs: [p]"}, "snap/snapcraft.yaml:2:1: want a map of plugs, not a list"},
		{"apps that are none", map[string]string{"snap/snapcraft.yaml": "name: a\napps: x"}, "snap/snapcraft.yaml:2:1: want a map of apps, not a string"},
		{"a hook outside of the snap", map[string]string{"meta/snap.yaml": "name: a\nhooks: {../../x: {}}"}, `invalid hook name: "../../x"`},
		{"a place outside of the snap", map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: dump, source: src, organize: {x: ../y}}}",
			"src/x": ""}, `organize: "../y" is not a place in the snap`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := source.Load(project(t, test.files), source.Options{Stage: t.TempDir()}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// TestNoChain has a snap that snapd installs, and that fails when it runs.
func TestNoChain(t *testing.T) {
	dir := project(t, map[string]string{"meta/snap.yaml": "name: a\nhooks: {configure: {command-chain: [bin/gone]}}", "meta/hooks/configure": program})
	found, err := source.Load(dir, source.Options{})
	want := []string{`"bin/gone" of the command-chain does not exist: snapd installs the snap, and hook "configure" fails when it runs`}
	if err != nil || !slices.Equal(found.Warnings, want) {
		t.Errorf("%v: %v, want the warning %q", found, err, want)
	}
}

// TestPermissions has files that a part makes executable.
func TestPermissions(t *testing.T) {
	dir := project(t, map[string]string{"snap/snapcraft.yaml": "name: a\nparts: {p: {plugin: dump, source: a, permissions: [{mode: '0o755'}, {path: data, mode: '644'}]}}",
		"a/bin/run": "", "a/data": ""})
	found, err := source.Load(dir, source.Options{Stage: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"bin/run": 0o111, "data": 0} {
		if info, err := os.Stat(filepath.Join(found.Snap.Dir, path)); err != nil || info.Mode()&0o111 != want {
			t.Errorf("%s: %v, %v, want it executable: %v", path, info, err, want != 0)
		}
	}
}

// TestTwice has repeated keys, of which the last one counts.
func TestTwice(t *testing.T) {
	for file, text := range map[string]string{
		"meta/snap.yaml":                "name: b\nname: a\nplugs: {q: network}\nplugs: {q: content, q: home}\n",
		"snap/snapcraft.yaml.in":        "name: a\nplugs: {p: network}\nplugs: {q: home}\nparts: {p: {plugin: nil}}\n",
		"build-aux/snap/snapcraft.yaml": "name: a\n{% if x %}\nplugs: {p: network}\n{% else %}\nplugs: {q: home}\n{% endif %}\nparts: {p: {plugin: nil}}\n",
	} {
		found, err := source.Load(project(t, map[string]string{file: text}), source.Options{Stage: t.TempDir()})
		if err != nil || len(found.Snap.Plugs) != 1 || found.Snap.Plugs["q"].Interface != "home" {
			t.Errorf("%s: %v, %v, want the plug q", file, found, err)
		}
	}
	found, err := source.Load(project(t, map[string]string{"meta/snap.yaml": "name: a\nplugs: {p: network}\nplugs: {q: home}\n"}), source.Options{})
	if err != nil || len(found.Snap.Plugs) != 2 {
		t.Errorf("%v, %v, want two plugs", found, err)
	}
}
