package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/internal/durable"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// The variable that makes the test program the role, and says when it is to be killed: "STEP before" or "STEP after".
const killedAt = "CONTROL_KILLED_AT"

func TestMain(m *testing.M) {
	if when := os.Getenv(killedAt); when != "" {
		os.Exit(mortal(when))
	}
	os.Exit(m.Run())
}

// mortal runs the role on a registry file until it kills itself.
func mortal(when string) int {
	var left int
	var moment string
	if _, err := fmt.Sscanf(when, "%d %s", &left, &moment); err != nil {
		panic(err)
	}
	step := func(do func() error) error {
		if left--; left != -1 {
			return do()
		}
		if moment == "after" {
			_ = do()
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it takes a moment
	}
	role := control.RoleOn(control.Machine{
		NewKey: key,
		Replace: func(path string, content []byte, mode os.FileMode) error {
			return step(func() error { return durable.Write(path, content, mode) })
		},
	})
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Open: func(ctx context.Context, address string, _ ...registry.Options) (*registry.Registry, error) {
			file, err := openFile(ctx, strings.TrimPrefix(address, "file:"))
			if err != nil {
				return nil, err
			}
			return registry.New(rolestest.Writing(file, step), networkViews), nil
		},
	}
	return roles.Run(context.Background(), env, append([]string{roles.Program}, os.Args[1:]...), role)
}

var networkViews = registry.ViewID{Account: network.AccountID, Schema: network.Name}

func openFile(ctx context.Context, path string) (backend.Backend, error) {
	return embedded.Open(ctx, path, embedded.Options{Documents: []json.RawMessage{network.Document("")}})
}

// TestKilled kills a process of the role with SIGKILL at each of its steps while it applies a target to a registry file:
// the next one finishes what it began.
func TestKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts many processes")
	}
	server := newModel()
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = server.serve(r.Context(), w, r, body)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer listener.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "confdb.json")
	run := func(when string) (killed bool) {
		t.Helper()
		command := exec.Command(os.Args[0], "control", "run", "--once", "--config", "-", "--state", dir, "--registry",
			"file:"+file, "--server-url", listener.URL)
		command.Env = append(os.Environ(), killedAt+"="+when)
		output, err := command.CombinedOutput()
		var failed *exec.ExitError
		if errors.As(err, &failed) && failed.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
			return true
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", when, err, output)
		}
		return false
	}
	run("-1 never")
	rate := 0
	for _, moment := range []string{"before", "after"} {
		steps := 0
		for killed := true; killed && steps < mostSteps; steps++ {
			rate++
			wanted := server.want(telemetry(map[string]any{"sample-rate": 1 + rate%50, "monitor-peers": rate%2 == 0}))
			killed = run(fmt.Sprintf("%d %s", steps, moment))
			run("-1 never")
			if kept := server.backup(); kept.running != wanted || kept.attempted.Outcome != serverapi.Applied {
				t.Errorf("%s step %d: desired %v, the server believes %+v", moment, steps, wanted, kept)
			}
			if shown := shownIn(t, file); !holds(map[string]any(server.targets[wanted]), shown) {
				t.Errorf("%s step %d: shows %v", moment, steps, shown)
			}
		}
		if steps < 5 {
			t.Errorf("there were only %d steps", steps)
		}
	}
}

// shownIn returns what control-telemetry shows in a registry file.
func shownIn(t *testing.T, path string) map[string]any {
	t.Helper()
	file, err := openFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	reg := registry.New(file, networkViews)
	defer reg.Close() //nolint:errcheck // it was only read
	document, err := reg.View(network.ControlTelemetryView).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{network.ControlTelemetryView: normal(document)}
}
