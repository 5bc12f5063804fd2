package swagger_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
)

// The tools that read the description. They are no part of the product, and fetched where the tests are to run.
const (
	goGenerator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.5.0"
	npmPackages = "openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 @types/node@22 " +
		"@redocly/cli@2.77.0 @seriousme/openapi-schema-validator@2.11.0"
)

// fetchTools is the variable that lets the tests fetch tools over the network.
const fetchTools = "ASPECTS_FETCH_TOOLS"

func mayFetch(t *testing.T) {
	t.Helper()
	if os.Getenv(fetchTools) == "" {
		t.Skipf("%s fetches tools over the network; %s=1 lets it", t.Name(), fetchTools)
	}
}

// run runs a command in a folder, and returns what it prints.
func run(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	process := exec.CommandContext(t.Context(), command[0], command[1:]...)
	process.Dir, process.Env = dir, append(os.Environ(), env...)
	out, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// copyTo copies files into a folder, as name=file.
func copyTo(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, pair := range files {
		name, file, _ := strings.Cut(pair, "=")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serve starts a server without a gate: everybody may do everything.
func serve(t *testing.T) (url string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := fleet.Open(t.Context(), store, fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	started := httptest.NewServer(api.New(rules, api.Options{Audit: audit.New(store, audit.Options{}), Tokens: store.Tokens()}))
	t.Cleanup(func() {
		rules.Release()
		started.Close()
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return started.URL
}

const done = "round trip done\n"

// TestGoClient generates a client in Go and has it do a round trip.
func TestGoClient(t *testing.T) {
	t.Parallel()
	mayFetch(t)
	dir := t.TempDir()
	copyTo(t, dir, "openapi.json=openapi.json", "main.go=testdata/main.go.txt")
	env := []string{"GOFLAGS=-mod=mod", "GOWORK=off"}
	run(t, dir, env, "go", "mod", "init", "roundtrip")
	run(t, dir, env, "go", "run", goGenerator, "-generate", "types,client", "-package", "main", "-o", "client.go", "openapi.json")
	run(t, dir, env, "go", "mod", "tidy")
	if got := run(t, dir, env, "go", "run", ".", serve(t), "TOKEN"); got != done {
		t.Error(got)
	}
}

// TestWithNpm has two validators look at the description, and a client in TypeScript do a round trip.
func TestWithNpm(t *testing.T) {
	t.Parallel()
	mayFetch(t)
	npm, node := need.Program(t, "npm"), need.Program(t, "node")
	dir := t.TempDir()
	copyTo(t, dir, "openapi.json=openapi.json", "main.ts=testdata/main.ts", "redocly.yaml=../../../redocly.yaml")
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, append([]string{npm, "install", "--no-audit", "--no-fund"}, strings.Fields(npmPackages)...)...)
	tool := func(name string) string { return filepath.Join(dir, "node_modules", ".bin", name) }

	if got := run(t, dir, []string{"REDOCLY_TELEMETRY=off"}, tool("redocly"), "lint", "openapi.json"); strings.Contains(got, "warning") &&
		!strings.Contains(got, "Deprecation") {
		t.Error(got)
	}
	if got := run(t, dir, nil, tool("validate-api"), "openapi.json"); !strings.Contains(got, `"valid": true`) {
		t.Error(got)
	}

	run(t, dir, nil, tool("openapi-typescript"), "openapi.json", "-o", "schema.d.ts")
	run(t, dir, nil, tool("tsc"), "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext",
		"--skipLibCheck", "--types", "node", "--outDir", "out", "main.ts")
	if got := run(t, dir, nil, node, filepath.Join("out", "main.js"), serve(t), "TOKEN"); got != done {
		t.Error(got)
	}
}
