package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server"
	"aspects-poc/roles/server/clock"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/serverapi"
)

// TestMain lets tests start this program as a server of its own.
func TestMain(m *testing.M) {
	if os.Getenv("ASPECTS_TEST_SERVER") != "" {
		if file := os.Getenv(shiftFile); file != "" {
			server.ShiftClock(func() clock.Reading { return shifted(file) })
		}
		os.Exit(roles.Main(os.Args, server.Role))
	}
	os.Exit(postgrestest.Main(m))
}

// running is a server that was started from the command line, in this process.
type running struct {
	url    string
	stop   func() (code int, stderr string) // and waits
	stderr *rolestest.Buffer
	more   string // what it printed with the line that says where it listens
}

// run starts the role with flags. It fails the test when the server does not say where it listens.
func run(t *testing.T, flags ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var stderr rolestest.Buffer
	env := &roles.Env{Stdin: strings.NewReader(""), Stdout: writer, Stderr: &stderr, Getenv: func(string) string { return "" }}
	ended := make(chan int, 1)
	go func() {
		code := roles.Run(ctx, env, append([]string{"aspects-poc-server", "run", "--config", "-", "--operators", "loopback"}, flags...), server.Role)
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
		ended <- code
	}()
	stopped := false
	stop := func() (int, string) {
		if stopped {
			return 0, ""
		}
		stopped = true
		cancel()
		return <-ended, stderr.String()
	}
	t.Cleanup(func() { stop() })
	stdout := bufio.NewReader(reader)
	line, err := stdout.ReadString('\n')
	if err != nil {
		code, stderr := stop()
		t.Fatalf("exit %d: %s", code, stderr)
	}
	more, err := stdout.Peek(stdout.Buffered())
	if err != nil {
		t.Fatal(err)
	}
	return running{listeningOn(t, line), stop, &stderr, string(more)}
}

func listeningOn(t *testing.T, line string) string {
	t.Helper()
	var url, docs string
	_, err := fmt.Sscanf(strings.ReplaceAll(line, ",", " ,"), "Listening on %s , where the fleet page is; documentation at %s\n", &url, &docs)
	if err != nil || docs != url+"/docs" {
		t.Fatalf("%q: %v", line, err)
	}
	return url
}

func client(t *testing.T, url string) *serverapi.Client {
	t.Helper()
	client, err := serverapi.NewClient(url, serverapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// once runs the role to its end.
func once(t *testing.T, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs rolestest.Buffer
	env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	code = roles.Run(t.Context(), env,
		append([]string{"aspects-poc-server", "run", "--config", "-", "--operators", "loopback"}, flags...), server.Role)
	return code, out.String(), errs.String()
}

// TestTargetSchema: targets are checked against a confdb-schema in the form in which people write it. One that cannot be
// used is refused with its place, before there is a database.
func TestTargetSchema(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const lamp = "account-id: acme\nname: lamp\nviews: {control: {rules: [{request: brightness, storage: v1.brightness}]}}\n" +
		"storage: {schema: {v1: {schema: {brightness: {type: int, max: 100}}}}}\n"
	state := filepath.Join(dir, "server.db")
	for name, text := range map[string]string{
		"bad.yaml:2:":                            "name: lamp\n\tviews: {}\n",
		"it holds 2 confdb-schemas":              lamp + "---\n" + lamp,
		"no such file":                           "",
		`view rules must have a "storage" field`: strings.Replace(lamp, ", storage: v1.brightness", "", 1),
	} {
		path := filepath.Join(dir, "nowhere.yaml")
		if text != "" {
			path = file("bad.yaml", text)
		}
		code, _, stderr := once(t, append(unsigned, "--once", "--state", state, "--target-schema", path)...)
		if code == 0 || !strings.Contains(stderr, "--target-schema FILE") || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		if _, err := os.Stat(state); err == nil {
			t.Fatalf("%s: there is a database", name)
		}
	}
	started := run(t, append(unsigned, "--listen", "127.0.0.1:0", "--state", state, "--target-schema", file("lamp.yaml", lamp))...)
	for brightness, want := range map[string]int{"40": http.StatusOK, "400": http.StatusUnprocessableEntity} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, started.url+"/targets/everyone/",
			strings.NewReader(`{"config":{"control":{"brightness":`+brightness+`}}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if closed := response.Body.Close(); closed != nil || response.StatusCode != want {
			t.Errorf("brightness %s: %s, %v", brightness, response.Status, closed)
		}
	}
}

func TestOnce(t *testing.T) {
	state := filepath.Join(t.TempDir(), "sub") + "/"
	for range 2 {
		code, stdout, stderr := once(t, "--once", "--listen", "127.0.0.1:0", "--state", state)
		lines := strings.Split(stdout, "\n")
		if code != 0 || len(lines) != 3 || lines[1] != "The server answers; its target has 0 views." {
			t.Fatalf("exit %d, printed %q, logged %s", code, stdout, stderr)
		}
		listeningOn(t, lines[0]+"\n")
	}
	if _, err := os.Stat(filepath.Join(state, server.StateFile)); err != nil {
		t.Error(err)
	}
}

func TestWrongUsage(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	for _, test := range []struct{ flag, value, want string }{
		{"--listen", "8000", `invalid value "8000" for --listen: want HOST:PORT such as 127.0.0.1:8000`},
		{"--listen", "127.0.0.1:http", `invalid value "127.0.0.1:http" for --listen: "http" is no port: want a number from`},
		{"--listen", "127.0.0.1:65536", `"65536" is no port`},
		{"--max-body", "5", `invalid value "5" for --max-body: want 1024 bytes or more`},
		{"--poll-interval", "10ms", `invalid value "10ms" for --poll-interval: want a second or more`},
		{"--stats-step", "0s", `invalid value "0s" for --stats-step: want a second or more`},
		{"--max-pending", "0", `invalid value "0" for --max-pending: want 1 or more`},
		{"--max-waiting", "0", `invalid value "0" for --max-waiting: want 1 or more`},
		{"--drain", "-1s", `invalid value "-1s" for --drain: want a duration such as 10s`},
	} {
		code, stdout, stderr := once(t, "--state", state, test.flag, test.value)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s %s: exit %d: %s%s", test.flag, test.value, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Error("wrong usage left a database", err)
	}
}

func TestCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }() // nothing is lost
	state := filepath.Join(t.TempDir(), "server.db")
	code, _, stderr := once(t, "--state", state, "--listen", taken.Addr().String())
	want := "cannot listen on " + taken.Addr().String() + ": another process does already; stop that one, or choose " +
		"another address with --listen"
	if code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("port taken: exit %d: %s", code, stderr)
	}
	code, _, stderr = once(t, "--state", state, "--listen", "192.0.2.1:0")
	if code != 1 || !strings.Contains(stderr, "this machine does not have that address") {
		t.Errorf("foreign address: exit %d: %s", code, stderr)
	}
	if left, err := os.ReadDir(filepath.Dir(state)); err != nil || len(left) > 0 {
		t.Errorf("a server that cannot listen has left %v, %v", left, err)
	}
	run(t, "--state", state, "--listen", "127.0.0.1:0")
	code, _, stderr = once(t, "--state", state, "--listen", "127.0.0.1:0")
	want = fmt.Sprintf("process %d; stop that one, or give this one a file of its own (--state FILE)", os.Getpid())
	if code != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, state) {
		t.Errorf("state in use: exit %d: %s", code, stderr)
	}
}

func TestRestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	first := run(t, "--state", state, "--listen", "127.0.0.1:0", "--allow-unsigned")
	device, err := client(t, first.url).Register(t.Context(),
		serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: "PEM", Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if code, stderr := first.stop(); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if log, err := os.Stat(state + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database was not put in order: %v %v", log, err)
	}
	second := run(t, "--state", state, "--listen", "127.0.0.1:0")
	if _, err := client(t, second.url).State(t.Context(), device.UUID); err != nil {
		t.Error(err)
	}
}

// TestGracefulStop has a request under way whose body is still to come when the server is told to stop.
func TestGracefulStop(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0")
	body, more := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), "PUT", started.url+"/target-config/", body)
	if err != nil {
		t.Fatal(err)
	}
	// The server asks for the body when the handler reads it: from then on the request is under way.
	request.Header.Set("Expect", "100-continue")
	transport := &http.Transport{ExpectContinueTimeout: time.Hour}
	defer transport.CloseIdleConnections()
	answered := make(chan error, 1)
	go func() {
		response, err := transport.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
			if response.StatusCode != 200 {
				err = errors.Join(err, errors.New(response.Status))
			}
		}
		answered <- err
	}()
	if _, err := io.WriteString(more, `{"config":{"control-telemetry":{"sample-rate":`); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan string, 1)
	go func() {
		code, stderr := started.stop()
		stopped <- fmt.Sprint(code, " ", stderr)
	}()
	address := strings.TrimPrefix(started.url, "http://")
	for { // until it does not take new connections any more
		connection, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		if err := connection.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(more, `7}}}`); err != nil {
		t.Fatal(err)
	}
	if err := more.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if got := <-stopped; !strings.HasPrefix(got, "0 ") {
		t.Error(got)
	}
	again := run(t, "--state", state, "--listen", "127.0.0.1:0")
	if target, err := client(t, again.url).Target(t.Context()); err != nil || fmt.Sprint(target) != "map[control-telemetry:map[sample-rate:7]]" {
		t.Error(target, err)
	}
}

// TestStopGivesUp has a request that never ends: the server stops all the same, and says so.
func TestStopGivesUp(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0", "--drain", "1ms")
	connection, err := net.Dial("tcp", strings.TrimPrefix(started.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }() // closed by the server
	_, err = io.WriteString(connection,
		"PUT /target-config/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil { // 100 Continue: it is under way
		t.Fatal(err)
	}
	code, stderr := started.stop()
	if code != 1 || !strings.Contains(stderr, "requests were still under way after 1ms (--drain)") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestStopLeavesUnknownCallers has requests that never end from callers that are not known: the server stops in order.
func TestStopLeavesUnknownCallers(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0", "--drain", "4s", "--allow-unsigned")
	for _, request := range []string{
		"POST /register/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
		"POST /poll/ HTTP/1.1\r\nHost: loc",
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(started.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }() // closed by the server
		if _, err := io.WriteString(connection, request); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(request, "Expect") {
			continue
		}
		if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil { // 100 Continue: it is under way
			t.Fatal(err)
		}
	}
	if code, stderr := started.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// telemetry is a target that the confdb-schema takes.
func telemetry(rate int) serverapi.Config {
	return serverapi.Config{"control-telemetry": map[string]any{"sample-rate": rate}}
}

// TestKill kills a server process with SIGKILL as soon as it has acknowledged, again and again.
func TestKill(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	var known []serverapi.RegisterResponse
	for round := range 4 {
		child := exec.CommandContext(t.Context(), os.Args[0], "server", "run", "--config", "-", "--listen", "127.0.0.1:0",
			"--state", state, "--allow-unsigned", "--operators", "loopback")
		child.Args[0] = "aspects-poc"
		child.Env = append(os.Environ(), "ASPECTS_TEST_SERVER=1")
		var stderr rolestest.Buffer
		child.Stderr = &stderr
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s", errors.Join(err, child.Wait()), stderr.String())
		}
		api := client(t, listeningOn(t, line))
		for _, device := range known {
			state, err := api.State(t.Context(), device.UUID)
			if err != nil || fmt.Sprint(state.Config) != "map[v:map[n:1]]" || state.Registered != device.Registered {
				t.Errorf("round %d: %+v %v", round, state, err)
			}
		}
		if target, err := api.Target(t.Context()); err != nil || round > 0 &&
			fmt.Sprint(target) != fmt.Sprintf("map[control-telemetry:map[sample-rate:%d]]", round) {
			t.Errorf("round %d: %v %v", round, target, err)
		}
		if _, err := api.SetTarget(t.Context(), telemetry(round+1)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			device, err := api.Register(t.Context(),
				serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: "PEM " + strconv.Itoa(len(known)), Arch: "amd64"})
			if err != nil {
				t.Fatal(err)
			}
			config := serverapi.Config{"v": map[string]any{"n": 1}}
			if _, err := api.Poll(t.Context(), serverapi.PollRequest{UUID: device.UUID, Config: config}, 0); err != nil {
				t.Fatal(err)
			}
			known = append(known, device)
		}
		if err := child.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
	}
}

// TestHousekeeping sees a summary after an interval.
func TestHousekeeping(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0", "--interval", "10ms")
	for !strings.Contains(started.stderr.String(), "msg=fleet") {
		if _, err := client(t, started.url).Target(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	code, stderr := started.stop()
	if code != 0 || strings.Count(stderr, "msg=fleet") != 1 || !strings.Contains(stderr, "devices=0") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
