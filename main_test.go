package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/packaging/recipe"
	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain makes the program known to scripts and tests under every name that it answers to, and one that it does not.
func TestMain(m *testing.M) {
	if filepath.Base(filepath.Dir(os.Args[0])) == "hooks" {
		program() // called by a link in meta/hooks; testscript would leave the program its base name only
	}
	testscript.Main(m, map[string]func(){
		"aspects-poc":             program,
		"aspects-poc-server":      program,
		"aspects-poc-control":     program,
		"aspects-poc-vpn":         program,
		"aspects-poc-reporting":   program,
		"aspects-poc-control_lab": program,
		"aspects-poc-nosuch":      program,
		"snapctl":                 program,
	})
}

// program is main, in the imitation of a snap where a script has made one.
func program() {
	if os.Getenv(fakeSocket) != "" {
		inSnap()
	}
	main()
}

// TestScripts runs the command line as users meet it. Beside testscript's own commands there is
//
//	await FILE REGEXP   wait until a file, such as the output of a background command, has a match
//	need PROGRAM        skip the script unless the program is there, or, for namespaces, can be had by this user
//	unpack ROLE DIR     lay out the role's snap, with hooks that are links to the program, as mksnap does
func TestScripts(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"await": await, "need": needs, "unpack": unpack},
		Setup: func(env *testscript.Env) error {
			env.Values[testKey] = env.T()
			// Nothing of this machine: no user's registry or configuration, and no snapd that may be there.
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("EXAMPLES", filepath.Join(here, "examples"))
			cache := os.Getenv("GOCACHE") // scripts that build have the tests' cache
			if home, err := os.UserHomeDir(); err == nil && cache == "" {
				cache = filepath.Join(home, ".cache", "go-build")
			}
			env.Setenv("GOCACHE", cache)
			env.Setenv("ASPECTS_REGISTRY", "file:"+filepath.Join(env.WorkDir, "registry.json"))
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
		},
	})
}

const testKey = "test" // of the values of a script: its testscript.T

func needs(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: need PROGRAM|namespaces")
	}
	if args[0] == "namespaces" { // for `registry serve … -- COMMAND`; some machines allow none to plain users
		try := exec.Command("unshare", "--mount", "--propagation", "private", "--", "true")
		if os.Geteuid() != 0 {
			try.Args = slices.Insert(try.Args, 1, "--user", "--map-root-user")
		}
		if out, err := try.CombinedOutput(); err != nil {
			ts.Value(testKey).(testscript.T).Skip("it needs the right to make namespaces: " + strings.TrimSpace(string(out)))
		}
		return
	}
	if _, err := need.Find(args[0]); err != nil {
		need.End(ts.Value(testKey).(testscript.T), err)
	}
}

func await(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute) // far beyond what is ever needed: it only ends a test that fails
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			ts.Fatalf("no match for %q in %s, which has %q", args[1], args[0], text)
		}
	}
}

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
	links := []string{filepath.Join(dir, "bin", "aspects-poc"), filepath.Join(dir, "bin", "aspects-poc-"+args[0])}
	for _, hook := range project.Hooks() {
		links = append(links, filepath.Join(hooks, hook))
	}
	for _, link := range slices.Sorted(slices.Values(links)) {
		ts.Check(os.Symlink(program, link))
	}
}

// TestHelp compares the help of every command, found as completion finds them, with testdata/help. go test -update
// rewrites that folder.
func TestHelp(t *testing.T) {
	if *update {
		if err := os.RemoveAll(filepath.Join("testdata", "help")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, path := range commands(t, nil) {
		name := strings.Join(append([]string{"aspects-poc"}, path...), "-") + ".txt"
		seen[name] = true
		t.Run(strings.Join(path, " "), func(t *testing.T) { compareHelp(t, name, path) })
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "help"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !seen[entry.Name()] {
			t.Errorf("testdata/help/%s: there is no such command any more (go test -update)", entry.Name())
		}
	}
}

func compareHelp(t *testing.T, name string, path []string) {
	help := output(t, append(path, "--help")...)
	for _, line := range strings.Split(help, "\n") {
		if len([]rune(line)) > 120 {
			t.Errorf("wider than 120 columns: %s", line)
		}
	}
	if leaf := !strings.Contains(help, "\nCommands:\n"); leaf && !strings.Contains(help, "\nExample:\n") {
		t.Error("no example")
	}
	golden := filepath.Join("testdata", "help", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(help), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (go test -update)", err)
	}
	if diff := cmp.Diff(string(want), help); diff != "" {
		t.Errorf("%s differs, go test -update rewrites it (-want +got):\n%s", golden, diff)
	}
}

// commands lists the words that lead to a command and all below it, by asking for completions.
func commands(t *testing.T, path []string) [][]string {
	t.Helper()
	all := [][]string{path}
	if help := output(t, append(path, "--help")...); !strings.Contains(help, "\nCommands:\n") {
		return all
	}
	words := append(append([]string{"__complete", "--"}, path...), "")
	for line := range strings.Lines(output(t, words...)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		all = append(all, commands(t, append(append([]string{}, path...), name))...)
	}
	return all
}

// output runs the program, in this process, and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	home := t.TempDir()
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Open: registry.Open,
		Getenv: func(name string) string { return map[string]string{"HOME": home}[name] },
	}
	if code := roles.Run(t.Context(), env, append([]string{"aspects-poc"}, args...), all()...); code != 0 {
		t.Fatalf("aspects-poc %v: exit code %d\n%s", args, code, stderr.String())
	}
	return stdout.String()
}
