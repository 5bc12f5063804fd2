package snapctl_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/kit/hookrun/snapctl"
	"aspects-poc/internal/program"
)

// command returns the command that runs a program of the repository under the name snapctl, with the socket of a server.
func command(t *testing.T, program, socket string, args ...string) *exec.Cmd {
	t.Helper()
	link := filepath.Join(t.TempDir(), snapctl.Name)
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(link, args...)
	command.Env = append(os.Environ(), snapctl.SocketVariable+"="+socket, "SNAP_COOKIE=c00k1e")
	return command
}

// serve answers each request on a socket with a text.
func serve(t *testing.T, answer func(asked map[string]any) string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked map[string]any
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/v2/snapctl" || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		_, _ = io.WriteString(w, answer(asked)) // the client would tell
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

func TestAnswers(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("long ", 100_000) // an argument of the kernel has 128 KiB at most
	for name, test := range map[string]struct {
		args                   []string
		answer, stdout, stderr string
		exit                   int
	}{
		"done":     {[]string{"get", "a b", "ü\n\"", ""}, `{"type":"sync","result":{"stdout":"x\n","stderr":"y\n"}}`, "x\n", "y\n", 0},
		"long":     {[]string{"get", long[:100_000]}, `{"type":"sync","result":{"stdout":"` + long + `"}}`, long, "", 0},
		"none":     {nil, `{"type":"sync","result":{}}`, "", "", 0},
		"failed":   {[]string{"x"}, `{"type":"error","result":{"message":"m","kind":"unsuccessful","value":{"stdout":"o","stderr":"e","exit-code":10}}}`, "o", "e", 10},
		"no code":  {[]string{"x"}, `{"type":"error","result":{"kind":"unsuccessful","value":{"stderr":"e"}}}`, "", "e", 1},
		"refused":  {[]string{"x"}, `{"type":"error","result":{"message":"no such plug","kind":"other","value":"text"}}`, "", "error: no such plug\n", 1},
		"not JSON": {[]string{"x"}, `<html>`, "", "error: cannot communicate with server: cannot read the answer: invalid character '<' looking for beginning of value\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.args
			if want == nil {
				want = []string{"--help"}
			}
			socket := serve(t, func(asked map[string]any) string {
				text, err := json.Marshal(asked)
				if expected, _ := json.Marshal(map[string]any{"context-id": "c00k1e", "args": want}); err != nil || string(text) != string(expected) {
					t.Errorf("asked %.200s, want %.200s", text, expected)
				}
				return test.answer
			})
			command := command(t, own, socket, test.args...)
			var stderr strings.Builder
			command.Stderr = &stderr
			stdout, _ := command.Output() // the exit code is compared
			if string(stdout) != test.stdout || stderr.String() != test.stderr || command.ProcessState.ExitCode() != test.exit {
				t.Errorf("%.200q, %.200q and code %d; want %.200q, %.200q and %d", stdout, stderr.String(), command.ProcessState.ExitCode(),
					test.stdout, test.stderr, test.exit)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "nosuch")
	said, err := command(t, own, socket, "get", "x").CombinedOutput()
	want := "error: cannot communicate with server: cannot reach snapd on " + socket + ": connect: no such file or directory\n"
	if err == nil || string(said) != want {
		t.Errorf("%v, %q; want %q", err, said, want)
	}
	dumb := filepath.Join(t.TempDir(), "dumb")
	listener, err := net.Listen("unix", dumb)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // a test's
	go func() {
		if connection, err := listener.Accept(); err == nil {
			_, _ = connection.Read(make([]byte, 1<<16)) // else the end resets what was not read
			_ = connection.Close()
		}
	}()
	said, err = command(t, own, dumb, "get", "x").CombinedOutput()
	if err == nil || string(said) != "error: cannot communicate with server: lost snapd's answer on "+dumb+"\n" {
		t.Errorf("%v, %q", err, said)
	}
}

// TestFirst runs the whole program as snapctl: packages that take long to initialise must come later.
func TestFirst(t *testing.T) {
	socket := serve(t, func(map[string]any) string { return `{"type":"sync","result":{"stdout":"x\n"}}` })
	command := command(t, filepath.Join(program.Dir(t), "aspects-poc"), socket, "get", "x")
	command.Env = append(command.Env, "GODEBUG=inittrace=1")
	said, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "x\n") {
		t.Fatalf("%v: %s", err, said)
	}
	for _, late := range []string{"net/http", "regexp", "modernc.org/libc", "aspects-poc/internal/kit/keep", "aspects-poc/roles/server/page"} {
		if strings.Contains(string(said), "init "+late+" @") {
			t.Errorf("%s is initialised before", late)
		}
	}
}
