package recipe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite golden files")

const root = "../.."

var stamps = recipe.Build{Version: "0.3", AccountID: "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN", Commit: "0123456789ab"}

func ours(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "snap", "snapcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parse(t testing.TB, text string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// each calls a test for every role's project.
func each(t *testing.T, test func(t *testing.T, role string, project *recipe.Project)) {
	r := parse(t, ours(t))
	for _, role := range r.Roles() {
		t.Run(role, func(t *testing.T) {
			project, err := r.Project(role, stamps)
			if err != nil {
				t.Fatal(err)
			}
			test(t, role, project)
		})
	}
}

func must(t testing.TB) func(text []byte, err error) []byte {
	return func(text []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func decode(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return document
}

// Golden files show what the recipe becomes. The snap.yaml ones are what snapcraft writes, by the rules at the head of
// snapyaml.go: read a change of them against those.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, role string, project *recipe.Project) {
		for name, text := range map[string][]byte{
			role + ".snapcraft.yaml": must(t)(project.YAML()),
			role + ".snap.yaml":      must(t)(project.SnapYAML("amd64")),
		} {
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (go test -update)", err)
			}
			if diff := cmp.Diff(string(want), string(text)); diff != "" {
				t.Errorf("%s, go test -update rewrites it (-want +got):\n%s", golden, diff)
			}
		}
	})
}

// The two files say the same, but for what the rules leave out, add or change.
func TestSnapYAMLFollowsProject(t *testing.T) {
	each(t, func(t *testing.T, _ string, project *recipe.Project) {
		want := decode(t, must(t)(project.YAML()))
		for _, key := range []string{"build-base", "platforms", "compression", "parts"} {
			if _, ok := want[key]; !ok {
				t.Errorf("the project has no %s", key)
			}
			delete(want, key)
		}
		if diff := cmp.Diff(map[string]any{"LD_LIBRARY_PATH": nil, "PATH": nil}, want["environment"]); diff != "" {
			t.Errorf("environment (-want +got):\n%s", diff)
		}
		delete(want, "environment")
		for _, arch := range project.Architectures() {
			want["architectures"] = []any{arch}
			if diff := cmp.Diff(want, decode(t, must(t)(project.SnapYAML(arch)))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", arch, diff)
			}
		}
	})
}

// dump writes YAML as snapcraft does.
const dump = `
import sys, yaml
def text(dumper, data):
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)
yaml.add_representer(str, text, Dumper=yaml.SafeDumper)
yaml.dump(yaml.safe_load(sys.stdin), sys.stdout, Dumper=yaml.SafeDumper, sort_keys=False)
`

// What we write is what PyYAML writes, to the byte.
func TestWrittenAsPyYAMLDoes(t *testing.T) {
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import yaml").Run(); err != nil {
		need.Missing(t, "python3 with PyYAML", "apt-get install python3-yaml")
	}
	same := func(t *testing.T, text []byte) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "python3", "-c", dump)
		command.Stdin = bytes.NewReader(text)
		want, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(text)); diff != "" {
			t.Errorf("(-PyYAML +ours):\n%s", diff)
		}
	}
	each(t, func(t *testing.T, _ string, project *recipe.Project) {
		same(t, must(t)(project.YAML()))
		same(t, must(t)(project.SnapYAML("amd64")))
	})
	// Texts of all kinds, as values and as items.
	odd := []string{"yes", "0.3", "1.2.3", "1.0e+3", "007", "0x1f", "1:30", "null", "~", "2026-01-02", "2026-1-2 3:04:05",
		"<<", "=", ".5", "-1", "- a", "-a", "? a", "?a", ": a", ":a", "a: b", "a:b", "a:", "a #b", "a#b", "#a", "'a'", "it's", "\"a\"", "@a",
		"`a", "%a", "&a", "*a", "!a", "|", ">", "[a", "{a", "a]", "a, b", "---", "--- a", "...", " a", "a ", "a  b", "",
		strings.Repeat("word ", 40) + "end", strings.Repeat("word: ", 40) + "end", strings.Repeat("long", 40),
		"one\ntwo", "one\ntwo\n", "one\n\n  two\n", "one\n\n", "true", "on", "1_000", "+.inf", ".nan"}
	encoded, err := json.Marshal(odd)
	if err != nil {
		t.Fatal(err)
	}
	project := withSummary(t, "plain", encoded)
	same(t, must(t)(project.YAML()))
}

// withSummary returns a project with a summary and a list of texts in its part.
func withSummary(t testing.TB, summary string, texts []byte) *recipe.Project {
	t.Helper()
	text := ours(t) + "    summary: " + summary + "\n    parts: {aspects-poc: {texts: " + string(texts) + "}}\n"
	text = strings.Replace(text, "    summary: Reports packets and peers as control-telemetry asks for\n", "", 1)
	project, err := parse(t, text).Project("reporting", stamps)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// snapcraft's own schema, where there is a copy beside the project.
func projectSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	path := filepath.Join(root, "..", "shared", "snapcraft-project-schema.json")
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("snapcraft's project schema is not here; Project checks by itself what it can")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("snapcraft.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("snapcraft.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	encoded, err := json.Marshal(decode(t, text))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance)
}

func TestProjectsAreValidForSnapcraft(t *testing.T) {
	schema := projectSchema(t)
	each(t, func(t *testing.T, _ string, project *recipe.Project) {
		text := must(t)(project.YAML())
		if err := validate(t, schema, text); err != nil {
			t.Error(err)
		}
		// The schema must be able to refuse.
		for name, broken := range map[string]string{
			"unknown key":           string(text) + "unknown: true\n",
			"unknown key of an app": strings.Replace(string(text), "    daemon: simple", "    daemon: simple\n    demon: simple", 1),
			"unknown daemon":        strings.Replace(string(text), "daemon: simple", "daemon: complex", 1),
			"architectures":         string(text) + "architectures: [amd64]\n",
		} {
			if validate(t, schema, []byte(broken)) == nil {
				t.Errorf("%s: valid for the schema", name)
			}
		}
	})
}

// The schema document, the plugs and the roles fit together.
func TestPlugs(t *testing.T) {
	var document struct{ Views map[string]any }
	if err := json.Unmarshal(network.Document(""), &document); err != nil {
		t.Fatal(err)
	}
	custodians := map[string][]string{}
	each(t, func(t *testing.T, role string, project *recipe.Project) {
		snap := decode(t, must(t)(project.SnapYAML("amd64")))
		plugs, _ := snap["plugs"].(map[string]any)
		for name, plug := range plugs {
			plug := plug.(map[string]any)
			if _, ok := document.Views[name]; !ok {
				t.Errorf("plug %s: no view of the schema", name)
			}
			if plug["account"] != stamps.AccountID || plug["interface"] != "confdb" || plug["view"] != network.Name+"/"+name {
				t.Errorf("plug %s: %v", name, plug)
			}
			if plug["role"] != nil {
				custodians[name] = append(custodians[name], role)
			}
		}
		for _, hook := range project.Hooks() {
			for _, kind := range []string{"observe-view-", "change-view-", "load-view-", "save-view-", "query-view-"} {
				view, ok := strings.CutPrefix(hook, kind)
				if !ok {
					continue
				}
				if _, ok := plugs[view]; !ok {
					t.Errorf("hook %s: the snap has no plug %s", hook, view)
				} else if kind != "observe-view-" && !slices.Contains(custodians[view], role) {
					t.Errorf("hook %s: only a custodian's is called", hook)
				}
			}
		}
	})
	for view := range document.Views {
		if diff := cmp.Diff([]string{"control"}, custodians[view]); diff != "" {
			t.Errorf("custodians of %s, without which nobody can access it (-want +got):\n%s", view, diff)
		}
	}
}

// What the recipe can build for, the Go toolchain is told of.
func TestArchitectures(t *testing.T) {
	each(t, func(t *testing.T, _ string, project *recipe.Project) {
		want := []string{"amd64", "arm64", "armhf", "ppc64el", "riscv64", "s390x"}
		if diff := cmp.Diff(want, project.Architectures()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, arch := range want {
			env, err := recipe.GoEnv(arch)
			if err != nil {
				t.Error(err)
				continue
			}
			goarch := strings.TrimPrefix(env[2], "GOARCH=")
			if back := recipe.Architecture(goarch); back != arch {
				t.Errorf("%s: Architecture(%q) is %q", arch, goarch, back)
			}
		}
		if got, want := project.File("armhf"), project.Name()+"_0.3_armhf.snap"; got != want {
			t.Errorf("File: got %s, want %s", got, want)
		}
	})
	if _, err := recipe.GoEnv("sparc"); err == nil {
		t.Error("GoEnv takes sparc")
	}
}

// A fifth role is one section.
func TestFifthRole(t *testing.T) {
	r := parse(t, ours(t)+`
  fifth:
    summary: A fifth role
    description: One section is all that it takes.
    uses: [observe-device]
    hooks: [observe-view-observe-device]
`)
	project, err := r.Project("fifth", stamps)
	if err != nil {
		t.Fatal(err)
	}
	snap := decode(t, must(t)(project.SnapYAML("s390x")))
	want := map[string]any{
		"name": "aspects-poc-fifth", "version": "0.3", "summary": "A fifth role", "license": "Apache-2.0",
		"description":   "One section is all that it takes.",
		"architectures": []any{"s390x"}, "base": "bare", "assumes": []any{"snapd2.68"}, "confinement": "strict", "grade": "devel",
		"apps": map[string]any{
			"aspects-poc-fifth": map[string]any{"command": "bin/aspects-poc-fifth"},
			"daemon": map[string]any{"command": "bin/aspects-poc-fifth run", "daemon": "simple", "stop-timeout": "60s",
				"restart-condition": "always", "restart-delay": "5s"},
		},
		"plugs": map[string]any{"observe-device": map[string]any{"interface": "confdb", "account": stamps.AccountID,
			"view": "network/observe-device"}},
		"hooks": map[string]any{"observe-view-observe-device": map[string]any{}},
	}
	if diff := cmp.Diff(want, snap); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	text := ours(t)
	for _, test := range []struct{ name, old, new, want string }{
		{"unknown key", "  base: bare\n", "  base: bare\n  bass: bare\n", "unknown key bass; known are name,"},
		{"unknown key of an app", "daemon: simple", "demon: simple", "unknown key apps.daemon.demon;"},
		{"unknown variable", "bin/aspects-poc-${ROLE} run", "bin/aspects-poc-${ROLL} run", "unknown variable ${ROLL}"},
		{"base", "base: bare", "base: core24", `base is "core24": want bare`},
		{"confinement", "confinement: strict", "confinement: devmode", `confinement is "devmode": want strict`},
		{"long summary", "summary: Keeps the", "summary: " + strings.Repeat("Keeps ", 12) + "the",
			"summary has 111 characters: want 1 to 78"},
		{"no summary", "    summary: Keeps the peers of the (simulated) VPN tunnel\n", "", "summary is missing"},
		{"duration", "restart-delay: 5s", "restart-delay: 5 seconds", `apps.daemon.restart-delay is "5 seconds"`},
		{"command", "-${ROLE} run", "-${ROLE} run && true", `apps.daemon.command is "bin/aspects-poc-vpn run && true"`},
		{"daemon", "daemon: simple", "daemon: complex", `apps.daemon.daemon is "complex"`},
		{"hook", "hooks: [configure, observe-view-control-tunnel]", "hooks: [configured]", "hooks.configured: snapd has no such hook"},
		{"hooks", "hooks: [configure, observe-view-control-tunnel]", "hooks: configure", "hooks is no list"},
		{"two plugs", "uses: [control-tunnel]", "uses: [control-tunnel, control-tunnel]", `uses has "control-tunnel" twice`},
		{"custodian and user", "uses: [control-tunnel]", "uses: [control-tunnel]\n    custodian: [control-tunnel]",
			`there is more than one plug "control-tunnel"`},
		{"name of a view", "uses: [control-tunnel]", "uses: [Control]", "plugs.Control is no name of a plug"},
		{"bare plug", "uses: [control-tunnel]", "plugs: {network: null}", "plugs.network has no interface"},
		{"plug by another name", "uses: [control-tunnel]",
			"plugs: {tunnel: {interface: confdb, account: abc, view: network/control-tunnel}}",
			`plugs.tunnel is a plug for view "network/control-tunnel"`},
		{"platform", "    s390x: {", "    sparc: {", "platforms.sparc is no architecture"},
		{"platform for another", "build-for: [s390x]", "build-for: [arm64]", "platforms.s390x.build-for is not [s390x]"},
		{"LD_LIBRARY_PATH", "{LD_LIBRARY_PATH: null, PATH: null}", "{PATH: null}", "environment has no LD_LIBRARY_PATH"},
		{"a number for some", "summary: Keeps the peers of the (simulated) VPN tunnel", "summary: '08'", "not all readers of YAML"},
		{"no ASCII", "summary: Keeps the", "summary: Kéeps the", "want printable ASCII"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(text, test.old, test.new, 1)
			if changed == text {
				t.Fatalf("%q is not in the recipe", test.old)
			}
			project, err := parse(t, changed).Project("vpn", stamps)
			if err == nil {
				_, err = project.YAML()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	for name, text := range map[string]string{
		"nothing":   "",
		"a list":    "- common",
		"no roles":  "common: {}",
		"a section": "common: {}\nroles: {a: {}}\nrole: {}",
		"a role":    "common: {}\nroles: {a: b}",
		"twice":     "common: {}\nroles: {a: {b: 1, b: 2}}",
		"an alias":  "common: &a {}\nroles: {a: *a}",
		"no YAML":   "common: {",
	} {
		if _, err := recipe.Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "cannot read the recipe: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := parse(t, text).Project("vpn", recipe.Build{AccountID: "abc"}); err == nil {
		t.Error("a project without a version")
	}
}

// Whatever stands in a recipe: it is refused, or what is written of it reads as what it says.
func FuzzRecipe(f *testing.F) {
	f.Add(ours(f), "vpn")
	f.Add("common: {}\nroles: {a: {hooks: [configure], uses: [b], apps: {c: {}}}}", "a")
	f.Add("common: {apps: []}\nroles: {a: {apps: {x: y}, plugs: [], hooks: {}}}", "a")
	f.Fuzz(func(t *testing.T, text, role string) {
		r, err := recipe.Parse([]byte(text))
		if err != nil {
			return
		}
		project, err := r.Project(role, stamps)
		if err != nil {
			return
		}
		written, err := project.YAML()
		if err != nil {
			return
		}
		if got := decode(t, written); got["name"] != project.Name() || got["version"] != project.Version() {
			t.Errorf("written: %s", written)
		}
		for _, arch := range project.Architectures() {
			if snap, err := project.SnapYAML(arch); err == nil && decode(t, snap)["name"] != project.Name() {
				t.Errorf("written: %s", snap)
			}
		}
	})
}

// What is written reads as what was meant, whatever the text.
func FuzzText(f *testing.F) {
	for _, text := range []string{"plain", "0.3", "a: b", "yes", "one\ntwo\n", strings.Repeat("word ", 30) + "end", "it's", "- a", "a #b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		encoded, err := json.Marshal([]string{text})
		if err != nil || strings.Contains(text, "${") {
			return
		}
		var known []string
		if yaml.Unmarshal(encoded, &known) != nil || len(known) != 1 || known[0] != text {
			return // no text that YAML can hold
		}
		written, err := withSummary(t, "plain", encoded).YAML()
		if err != nil {
			return // refused: no printable ASCII
		}
		part := decode(t, written)["parts"].(map[string]any)["aspects-poc"].(map[string]any)
		if diff := cmp.Diff([]any{text}, part["texts"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
