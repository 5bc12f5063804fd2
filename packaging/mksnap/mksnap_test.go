package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/packaging/compile"
	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/server/swagger"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// root is the project's, seen from this package.
const root = "../.."

func stamps() recipe.Build {
	return recipe.Build{Version: "1.2", AccountID: "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN", Commit: "0123456789ab"}
}

func parsed(t *testing.T) *recipe.Recipe {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "snap", "snapcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func project(t *testing.T, role string) *recipe.Project {
	t.Helper()
	p, err := parsed(t).Project(role, stamps())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pack packs a role's snap around a file that stands for the binary, in folders of its own.
func pack(t *testing.T, role string, epoch int64, change func(dir string)) string {
	t.Helper()
	work := t.TempDir()
	binary := filepath.Join(work, "built")
	if err := os.WriteFile(binary, bytes.Repeat([]byte("binary"), 100_000), 0o700); err != nil {
		t.Fatal(err)
	}
	p, b := project(t, role), build{Build: stamps(), root: root, arch: "arm64"}
	dir, file := filepath.Join(work, "snap"), filepath.Join(work, p.File(b.arch))
	if err := layOut(dir, role, binary, p.Hooks()); err != nil {
		t.Fatal(err)
	}
	if err := b.writeMeta(dir, p); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(dir)
	}
	if err := squash(t.Context(), dir, file, p.Compression(), epoch); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestContents(t *testing.T) {
	need.Programs(t, "mksquashfs", "unsquashfs")
	for _, role := range parsed(t).Roles() {
		file := pack(t, role, 1_000_000_000, nil)
		command := exec.CommandContext(t.Context(), "unsquashfs", "-lls", file)
		command.Env = append(os.Environ(), "TZ=UTC")
		listing, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(listing)) {
			fields := strings.Fields(line)
			if len(fields) < 6 || !strings.HasPrefix(fields[5], "squashfs-root") {
				continue
			}
			if moment := fields[3] + " " + fields[4]; moment != "2001-09-09 01:46" {
				t.Errorf("%s: %s is of %s", role, fields[5], moment)
			}
			got = append(got, fields[0]+" "+fields[1]+" "+strings.Join(fields[5:], " "))
		}
		want := []string{
			"drwxr-xr-x root/root squashfs-root",
			"drwxr-xr-x root/root squashfs-root/bin",
			"-rwxr-xr-x root/root squashfs-root/bin/aspects-poc",
			"lrwxrwxrwx root/root squashfs-root/bin/aspects-poc-" + role + " -> aspects-poc",
			"drwxr-xr-x root/root squashfs-root/meta",
			"drwxr-xr-x root/root squashfs-root/meta/gui",
			"drwxr-xr-x root/root squashfs-root/meta/hooks",
		}
		for _, hook := range slices.Sorted(slices.Values(project(t, role).Hooks())) {
			want = append(want, "lrwxrwxrwx root/root squashfs-root/meta/hooks/"+hook+" -> ../../bin/aspects-poc")
		}
		want = append(want, "-rw-r--r-- root/root squashfs-root/meta/snap.yaml")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", role, diff)
		}
	}
}

func TestPackedTwice(t *testing.T) {
	need.Programs(t, "mksquashfs")
	first := read(t, pack(t, "control", 1_000_000_000, nil))
	t.Setenv("SOURCE_DATE_EPOCH", "1") // which mksquashfs would heed
	if !bytes.Equal(first, read(t, pack(t, "control", 1_000_000_000, nil))) {
		t.Error("packed twice, the snaps differ")
	}
	if bytes.Equal(first, read(t, pack(t, "control", 1_000_000_001, nil))) {
		t.Error("snaps of two moments are the same")
	}
}

func TestCompare(t *testing.T) {
	need.Programs(t, "mksquashfs", "unsquashfs")
	vpn := pack(t, "vpn", 1, nil)
	if err := compare(t.Context(), vpn, pack(t, "vpn", 2, nil)); err != nil {
		t.Errorf("snaps of one role: %v", err)
	}
	hook := func(dir string) string { return filepath.Join(dir, "meta", "hooks", "configure") }
	changes := map[string]func(dir string) error{
		"meta/snap.yaml":       func(dir string) error { return os.WriteFile(filepath.Join(dir, "meta", "snap.yaml"), nil, 0o644) },
		"meta/gui":             func(dir string) error { return os.Remove(filepath.Join(dir, "meta", "gui")) },
		"meta/hooks/configure": func(dir string) error { return os.Remove(hook(dir)) },
		"meta/hooks/new":       func(dir string) error { return os.Symlink("configure", hook(dir)[:len(hook(dir))-9]+"new") },
	}
	for name, change := range changes {
		other := pack(t, "vpn", 1, func(dir string) {
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
		})
		if err := compare(t.Context(), vpn, other); err == nil || !strings.Contains(err.Error(), "\n"+name+":") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The binary is the same wherever it is built, and is what its stamps say. The second time it is built as snapcraft would
// build it: by the step that the rendered recipe has for it, in a copy of the sources.
func TestBuiltTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary twice")
	}
	work := t.TempDir()
	here := build{Build: stamps(), root: root, arch: recipe.Architecture(goarch(t))}
	if err := here.writeProject(t.Context(), project(t, "control"), work); err != nil {
		t.Fatal(err)
	}
	first, second := filepath.Join(work, "first"), filepath.Join(work, "second")
	if err := here.stage(t.Context(), "control", project(t, "control"), first); err != nil {
		t.Fatal(err)
	}
	step := exec.CommandContext(t.Context(), "sh", "-ec", overrideBuild(t, filepath.Join(work, "snap", "snapcraft.yaml")))
	step.Dir = filepath.Join(work, "source")
	step.Env = append(os.Environ(), "CRAFT_ARCH_BUILD_FOR="+here.arch, "CRAFT_PART_INSTALL="+second)
	if err := compile.Execute(step, "override-build"); err != nil {
		t.Fatal(err)
	}
	var trees [2]map[string]string
	for i, dir := range []string{first, second} {
		var err error
		if trees[i], err = describe(filepath.Join(dir, "meta")); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
		t.Errorf("meta (-here +by snapcraft's step):\n%s", diff)
	}
	if !bytes.Equal(read(t, filepath.Join(first, "bin", compile.Program)), read(t, filepath.Join(second, "bin", compile.Program))) {
		t.Error("built in two folders, the binaries differ")
	}
	version, err := exec.CommandContext(t.Context(), filepath.Join(first, "bin", "aspects-poc-control"), "version").Output()
	if want := "aspects-poc 1.2 (commit 0123456789ab, "; err != nil || !strings.HasPrefix(string(version), want) {
		t.Errorf("version: got %q, %v, want %q", version, err, want)
	}
	whole := filepath.Join(work, "whole")
	if err := compile.Binary(t.Context(), root, stamps(), here.arch, compile.Whole, whole); err != nil {
		t.Fatal(err)
	}
	t.Run("hooks", func(t *testing.T) {
		compareHooks(t, map[bool]string{true: filepath.Join(first, "bin", compile.Program), false: whole})
	})
	t.Run("elsewhere", func(t *testing.T) { sayElsewhere(t, whole, filepath.Join(first, "bin", compile.Program)) })
	t.Run("documentation", func(t *testing.T) { showDocumentation(t, whole) })
	t.Run("budgets", func(t *testing.T) { compareSizes(t, filepath.Join(first, "bin", compile.Program), whole) })
}

// sayElsewhere checks that the binary of devices has each command of the whole one or says that it leaves it out, and takes
// configuration for what it leaves out.
func sayElsewhere(t *testing.T, whole, device string) {
	left := 0
	for _, path := range [][]string{nil, {"registry"}} {
		names, err := exec.CommandContext(t.Context(), whole, slices.Concat([]string{"__complete", "--"}, path, []string{""})...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(names)), "\n") {
			name, _, _ := strings.Cut(line, "\t")
			out, err := exec.CommandContext(t.Context(), device, slices.Concat(path, []string{name, "--help"})...).CombinedOutput()
			if err != nil && !strings.Contains(string(out), "the whole program has it") {
				t.Errorf("%s %s: %v\n%s", path, name, err, out)
			} else if err != nil {
				left++
			}
		}
	}
	if left < 3 {
		t.Errorf("%d commands are left out", left)
	}
	for _, words := range []string{"server run --listen x", "demo", "fleet-sim --help", "registry lint --strict file", "registry new"} {
		out, err := exec.CommandContext(t.Context(), device, strings.Fields(words)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "the whole program has it") {
			t.Errorf("%s: %v\n%s", words, err, out)
		}
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("server: {listen: 127.0.0.1:1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	once := exec.CommandContext(t.Context(), device, "vpn", "run", "--once", "--registry", "mem:", "--config", file)
	if out, err := once.CombinedOutput(); err != nil {
		t.Errorf("with a section for the server: %v\n%s", err, out)
	}
}

// showDocumentation checks that the whole binary has the files that Swagger UI's page loads, though it has no others.
func showDocumentation(t *testing.T, whole string) {
	server := exec.CommandContext(t.Context(), whole, "server", "run", "--listen", "127.0.0.1:0", "--state", filepath.Join(t.TempDir(), "s.db"))
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() })
	go func() { _, _ = io.Copy(io.Discard, log) }()
	lines := bufio.NewScanner(out)
	address := ""
	for address == "" && lines.Scan() {
		address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	for _, name := range append(swagger.UIFiles(), "index.html") {
		response, err := http.Get(address + "/docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if closed := response.Body.Close(); err != nil || closed != nil || response.StatusCode != http.StatusOK || len(body) < 500 {
			t.Errorf("%s: %s with %d bytes, %v", name, response.Status, len(body), err)
		}
	}
}

// compareSizes checks that no binary outgrows its budget, which is for amd64: others' sizes are like it.
func compareSizes(t *testing.T, device, whole string) {
	for file, budget := range map[string]int64{device: compile.DeviceBudget, whole: compile.WholeBudget} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f of %d MB", filepath.Base(file), float64(info.Size())/1e6, budget/1e6)
		if info.Size() > budget {
			t.Errorf("%s has %d bytes, and its budget is %d: see what go tool nm -size -sort size says", file, info.Size(), budget)
		}
	}
}

func overrideBuild(t *testing.T, file string) string {
	t.Helper()
	var document struct {
		Parts map[string]map[string]any
	}
	if err := yaml.Unmarshal(read(t, file), &document); err != nil {
		t.Fatal(err)
	}
	step, _ := document.Parts[compile.Program]["override-build"].(string)
	if step == "" {
		t.Fatalf("%s has no override-build", file)
	}
	return step
}

// compareHooks checks that a snap has the hooks that the binary answers to, and no other: a declared hook that the binary
// does not know would fail, one that is not declared would never run. The binaries are that of devices, and the whole one.
func compareHooks(t *testing.T, binaries map[bool]string) {
	for _, role := range parsed(t).Roles() {
		out, err := exec.CommandContext(t.Context(), binaries[project(t, role).Device()], "hooks", role).Output()
		if err != nil {
			t.Errorf("aspects-poc hooks %s: %v", role, err)
			continue
		}
		want, got := strings.Fields(string(out)), project(t, role).Hooks()
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hooks of %s (-binary +snap/snapcraft.yaml):\n%s", role, diff)
		}
	}
}

// A tree that did not come by git is copied, too.
func TestSourcesWithoutGit(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"go.mod", "snap/snapcraft.yaml", "bin/aspects-poc", "build/old", "a.snap"} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := build{root: root}.sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"go.mod", "snap/snapcraft.yaml"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func goarch(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "-json", "GOHOSTARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		t.Fatal(err)
	}
	return env["GOHOSTARCH"]
}

func TestUsage(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "usage: mksnap"},
		{"pack", "usage: mksnap"},
		{"stage vpn", "usage: mksnap"},
		{"file nosuch", `unknown role "nosuch"; the recipe has server, control, vpn, reporting`},
		{"file -version 1/2 vpn", `cannot make the snap of role "vpn": invalid VERSION "1/2"`},
		{"file -account $(id) vpn", `cannot make the snap of role "vpn": invalid ACCOUNT_ID "$(id)"`},
		{"stage -arch sparc vpn " + t.TempDir(), `unknown architecture "sparc"; known are amd64, arm64`},
		{"compare nosuch.snap nosuch.snap", "cannot read nosuch.snap"},
	} {
		err := run(t.Context(), root, &bytes.Buffer{}, strings.Fields(test.args))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("mksnap %s: got %v, want %s", test.args, err, test.want)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), root, &out, strings.Fields("file -version 0.3 -arch armhf control")); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "aspects-poc-control_0.3_armhf.snap\n"; got != want {
		t.Errorf("file: got %q, want %q", got, want)
	}
}
