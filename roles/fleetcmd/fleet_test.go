package fleetcmd_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var update = flag.Bool("update", false, "rewrite golden files")

// noon is when all happens on the server. The operator looks ten seconds later.
var noon = time.Unix(1732449600, 0)

func TestMain(m *testing.M) {
	fleetcmd.SetNow(func() time.Time { return noon.Add(10 * time.Second) })
	os.Exit(m.Run())
}

// A world is a server with a fleet, and an operator's home.
type world struct {
	t      *testing.T
	rules  *fleet.Fleet
	server *httptest.Server
	url    string
	tokens map[string]string
	env    map[string]string
	made   atomic.Int64 // IDs
	keys   atomic.Int64
}

// newWorld starts a server that asks operators for a token, with the confdb-schema of the roles.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, tokens: map[string]string{}, env: map[string]string{"HOME": t.TempDir()}}
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.rules, err = fleet.Open(t.Context(), store, fleet.Options{
		Now: func() time.Time { return noon }, Schema: network.Document(""),
		Rules: func(current, target map[string]map[string]any) error {
			return custodian.Permitted(slices.Collect(maps.Keys(target)), current, target)
		},
		NewID: func() (uuid.UUID, error) { // 10…, 11…, 20…, 21…, and so on
			n := w.made.Add(1) + 1
			return uuid.Parse(fmt.Sprintf("%d%d000000-0000-4000-8000-%012d", min(n/2, 9), n%2, n-1))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.rules.Close(); err != nil {
			t.Error(err)
		}
	})
	tokens := store.Tokens()
	for _, token := range []access.Token{{Name: "anna", Role: access.RoleAdmin}, {Name: "screen", Role: access.RoleViewer}, {Name: "otto", Role: access.RoleOperator}} {
		w.tokens[token.Name], token.Digest = access.NewToken(access.Operate)
		token.Purpose, token.Created = access.Operate, noon
		if err := tokens.AddToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	gate, err := access.New(access.Options{Devices: nobody{}, Tokens: tokens, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	at := func() time.Time { return noon }
	w.server = httptest.NewServer(api.New(w.rules, api.Options{Gate: gate, Now: at, Audit: audit.New(store, audit.Options{Now: at}), Tokens: tokens}))
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	return w
}

// nobody is the devices of a gate to which no device comes: tests call the fleet itself.
type nobody struct{}

func (nobody) Holder(context.Context, string) (access.Holder, error) {
	return access.Holder{}, access.ErrUnknownDevice
}

func (nobody) HolderByID(context.Context, uuid.UUID) (access.Holder, error) {
	return access.Holder{}, access.ErrUnknownDevice
}

// register adds a device.
func (w *world) register(status fleet.Status, labels fleet.Labels) uuid.UUID {
	w.t.Helper()
	n := w.keys.Add(1)
	device, err := w.rules.Register(w.t.Context(), fleet.Identity{IPAddress: fmt.Sprintf("192.0.2.%d", n), Arch: "arm64",
		PublicKeyRSA: fmt.Sprint("key ", n)}, labels, status)
	if err != nil {
		w.t.Error(err)
	}
	return device.ID
}

// poll has a device report a configuration, and what came of the last revision.
func (w *world) poll(id uuid.UUID, config string, outcome fleet.Outcome, reason string) {
	w.t.Helper()
	parsed, err := fleet.ParseConfig([]byte(config))
	if err != nil {
		w.t.Fatal(err)
	}
	view, err := w.rules.Device(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	poll := fleet.Poll{Config: parsed, Report: true, Sequence: view.Sequence + 1}
	if outcome != fleet.None {
		poll.Attempted = fleet.Attempted{Revision: view.Target.Revision, Outcome: outcome, Reason: reason, At: noon.Unix()}
	}
	if outcome == fleet.Applied {
		poll.Running = fleet.Running{Revision: view.Target.Revision, Hash: view.Target.Hash}
	}
	if _, err := w.rules.Poll(w.t.Context(), id, poll); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(state fleet.State) int {
	w.t.Helper()
	summary, err := w.rules.Summary(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return summary.States[state]
}

// fleet runs the command. The first arguments can set what it reads: "<TEXT".
func (w *world) fleet(args ...string) (code int, stdout, stderr string) {
	in := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "<") {
		in, args = args[0][1:], args[1:]
	}
	var out, errs rolestest.Buffer
	env := &roles.Env{Stdin: strings.NewReader(in), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return w.env[name] }}
	code = roles.Run(w.t.Context(), env, append([]string{"aspects-poc", "fleet"}, args...), fleetcmd.Role)
	return code, out.String(), errs.String()
}

// digest matches the digest of a secret, which differs with the server's key.
var digest = regexp.MustCompile(`digest \S+;`)

// hide replaces what differs from run to run, and fails if a token is shown.
func (w *world) hide(text string) string {
	for name, token := range w.tokens {
		if strings.Contains(text, token) || strings.Contains(text, token[len(token)-12:]) {
			w.t.Errorf("the token of %s is shown: %s", name, text)
		}
	}
	text = digest.ReplaceAllString(text, "digest …;")
	return strings.NewReplacer(w.url, "http://SERVER", strings.TrimPrefix(w.url, "http://"), "SERVER", w.env["HOME"], "HOME").Replace(text)
}

// A session is what is typed, and all that is printed.
type session struct {
	*world
	told strings.Builder
}

// play runs a command.
func (s *session) play(args ...string) {
	s.t.Helper()
	code, stdout, stderr := s.fleet(args...)
	typed := strings.NewReplacer("\n", "\\n", s.tokens["screen"], "TOKEN").Replace(strings.Join(args, " "))
	fmt.Fprintf(&s.told, "$ fleet %s\n%s", s.hide(typed), s.hide(stdout))
	for line := range strings.Lines(s.hide(stderr)) {
		s.told.WriteString("! " + line)
	}
	fmt.Fprintf(&s.told, "exit %d\n\n", code)
}

// TestSession plays an operator's day, and compares all that is printed with testdata/session.txt.
func TestSession(t *testing.T) {
	t.Parallel()
	played := &session{world: newWorld(t)}
	w, play := played.world, played.play
	file := filepath.Join(w.env["HOME"], "token")
	writeFile(t, file, w.tokens["anna"]+"\n")

	play("status")
	play("login", w.url+"/", "--token-file", file, "--context", "lab")
	w.env["ASPECTS_SERVER_URL"] = "http://127.0.0.1:1"
	play("status")
	delete(w.env, "ASPECTS_SERVER_URL")
	play("status")
	play("devices")
	play("devices", "-o", "json")
	play("devices", "-o", "yaml")
	play("targets")
	play("history")
	play("diff")

	ok := w.register(fleet.Active, fleet.Labels{"site": "berlin"})
	refuses := w.register(fleet.Active, fleet.Labels{"site": "berlin", "stage": "test"})
	drifts := w.register(fleet.Active, nil)
	w.register(fleet.Pending, nil)

	play("<config: {control-telemetry: {sample-rate: 4, monitor-peers: true}}", "edit", "everyone", "--file", "-", "--dry-run")
	play("<config: {control-telemetry: {sample-rate: 4, monitor-peers: true}}", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 4, monitor-peers: true}}", "edit", "everyone", "--file", "-")
	play("<{\"selector\": \"site=berlin\", \"priority\": 1, \"config\": {\"control-telemetry\": {\"sample-rate\": 0x8}}}",
		"edit", "labels/berlin", "--file", "-", "-o", "json")
	play("<config: {control-tunnel: {peers: null}}", "edit", "devices/10", "--file", "-", "-o", "yaml")
	const reported = `{"control-telemetry":{"sample-rate":%d,"monitor-peers":true},"control-tunnel":{"interface":"eth0"}}`
	w.poll(ok, fmt.Sprintf(reported, 8), fleet.Applied, "")
	w.poll(refuses, fmt.Sprintf(reported, 2), fleet.Refused, "the disk is \x1b[31mfull\nreally")
	w.poll(drifts, fmt.Sprintf(reported, 5), fleet.Applied, "")

	for w.count(fleet.StateDrifted) == 0 { // the server counts now and then
		time.Sleep(10 * time.Millisecond)
	}
	play("status")
	play("status", "-o", "json")
	play("status", "--wait", "1s")
	play("status", "--wait", "1s", "-l", "stage!=test,site")
	play("status", "-l", "site")
	play("devices")
	play("devices", "--no-headers", "-l", "site=berlin", "--limit", "1")
	play("devices", "--state", "refused", "-o", "wide")
	play("devices", "--state", "pending", "-o", "name")
	play("devices", "--state", "lost")
	play("devices", "-l", "a==b=")
	play("devices", "--state", "refused", "-o", "json")
	play("device", "11")
	play("device", "11", "-o", "json")
	play("why", "10")
	play("why", "11", "control-telemetry.sample-rate", "-o", "yaml")
	play("why", "20")
	play("why", "10", "control-tunnel.interface")
	play("why", "10", "nothing")
	play("why", "1")
	play("why", "9")
	play("why", "x")
	play("label", "11", "site=potsdam", "stage!", "rack=7")
	play("label", "11", "site")
	play("approve", "21")
	play("revoke", "21", "3")
	play("revoke", "21", "-o", "name")
	play("targets")
	play("targets", "labels/berlin")
	play("targets", "devices/10", "-o", "yaml")
	play("targets", "labels/nothing")
	play("targets", "berlin")
	play("edit", "labels/x/y", "--file", "-")
	play("edit", "labels/x%y", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: many}}", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 9}}\n---\nconfig: {}", "edit", "everyone", "--file", "-")
	play("<[]", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 100}}", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 100}}", "edit", "everyone", "--file", "-", "--dry-run", "--allow-refusals", "-o", "name")
	play("<config: {a: 1, a: 2}", "edit", "everyone", "--file", "-")
	play("<config: *x", "edit", "everyone", "--file", "-")
	play("<{}", "edit", "everyone", "--file", "-")
	play("<layer: everyone\nconfig: {}", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 6}}", "edit", "everyone", "--file", "-")
	play("history")
	play("history", "everyone", "-o", "name")
	play("history", "--limit", "1", "-o", "json")
	play("diff")
	play("diff", "1", "0", "-o", "json")
	play("diff", "4")
	play("diff", "99")
	play("restore", "1")
	play("restore", "1")
	play("restore", "one")
	play("why", "20")

	play("secret", "list")
	play("<top\n", "secret", "set", "vpn")
	play("<{no", "secret", "set", "vpn", "--json")
	play("<", "secret", "set", "vpn")
	play("secret", "set", "vpn", "value")
	play("secret", "delete", "vpn")
	play("secret", "delete", "vpn")
	play("history", "secrets/vpn")

	play("<"+w.tokens["screen"], "login", w.url, "--context", "screen")
	play("contexts")
	play("approve", "21")
	play("use", "nowhere")
	play("use", "lab")
	play("status", "--context", "scren")
	play("status", "--context", "screen", "--server-url", w.url)
	play("devices", "-o", "name", "--context", "screen", "--limit", "1")
	play("<aspects-operate-wrong", "status", "--token-file", "-", "--server-url", w.url)
	play("<two words", "status", "--token-file", "-")
	play("<aspects-operate-wrong", "login", w.url)
	play("login", "ftp://x")
	play("logout", "screen")
	play("contexts", "-o", "json")
	play("logout")
	play("status")
	play("status", "-o", "xml")
	play("device")
	play("device", "a", "b")
	// Names, at the end: each draws a revision.
	play("login", w.url, "--token-file", file)
	play("rename", "10", "lobby")
	play("rename", "11", "lobby")
	play("rename", "11", "cafe")
	play("rename", "11")
	play("rename", "11", "hall", "--remove")
	play("devices", "--match", "lob")
	play("device", "lobby")
	play("why", "LOBBY")
	play("history", "devices/lobby", "--limit", "1")
	play("history", "devices/lobby")
	play("history", "--author", "nobody")
	play("history", "--author", "anna", "--since", "1d", "--limit", "2", "-o", "name")
	play("history", "--since", "5s")
	play("history", "--since", "1w")
	play("history", "--limit", "1", "-o", "json")
	play("rename", "lobby", "--remove")
	play("restore", "9")
	play("rename", "lobby", "--remove")
	play("device", "lobby")
	play("device", "..")
	compare(t, filepath.Join("testdata", "session.txt"), played.told.String())
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		writeFile(t, golden, got)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (go test -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs, go test -update rewrites it (-want +got):\n%s", golden, diff)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// loggedIn returns a world whose operator is logged in.
func loggedIn(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if code, _, stderr := w.fleet("<"+w.tokens["anna"], "login", w.url); code != 0 {
		t.Fatal(stderr)
	}
	return w
}

// TestContextsFile: nobody else can read it; what it says wrongly is an error that shows no token; a context's token goes to
// no other server.
func TestContextsFile(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	path := filepath.Join(w.env["HOME"], ".config", "aspects-poc", "fleet.yaml")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	other := newWorld(t)
	if code, _, stderr := w.fleet("status", "--server-url", other.url); code != 1 || !strings.Contains(stderr, "401") {
		t.Errorf("another server: exit %d, %s", code, stderr)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Replace(string(text), "token:", "tokn:", 1))
	code, _, stderr := w.fleet("status")
	if w.hide(stderr); code != 1 || !strings.Contains(stderr, "log in again") {
		t.Errorf("a damaged file: exit %d, %s", code, stderr)
	}
	w.env["SNAP_USER_COMMON"] = t.TempDir()
	if code, _, stderr := w.fleet("<"+w.tokens["anna"], "login", w.url); code != 0 {
		t.Fatal(stderr)
	}
	if _, err := os.Stat(filepath.Join(w.env["SNAP_USER_COMMON"], "fleet.yaml")); err != nil {
		t.Error(err)
	}
}

// TestEditor: the editor sees the layer; what the server refuses stays in a file, also if somebody else was first.
func TestEditor(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	seen := filepath.Join(w.env["HOME"], "seen")
	editor := filepath.Join(w.env["HOME"], "my editor")
	script := func(text string) {
		writeFile(t, editor, "#!/bin/sh\ncp \"$2\" '"+seen+"'\n"+text+"\n")
		if err := os.Chmod(editor, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.env["TMPDIR"] = t.TempDir()
	w.env["EDITOR"] = "'" + editor + "' -w"
	left := func() []string {
		files, err := filepath.Glob(filepath.Join(w.env["TMPDIR"], "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	for _, test := range []struct {
		name, script string
		code         int
		want         string // in its output
		left         int
	}{
		{"no change", "", 0, "nothing is changed", 0},
		{"set", `sed -i 's/config: {}/config: {control-telemetry: {sample-rate: 3}}/; s/selector: ""/selector: site/' "$2"`, 0, "labels/x is now revision 1", 0},
		{"again", `sed -i 's/: 3/: 4/' "$2"`, 0, "labels/x is now revision 2", 0},
		{"refused", `sed -i 's/: 4/: four/' "$2"`, 1, "your text is in ", 1},
		{"failing", `exit 7`, 1, "failed: exit status 7", 1},
	} {
		script(test.script)
		code, stdout, stderr := w.fleet("edit", "labels/x")
		if code != test.code || !strings.Contains(stdout+stderr, test.want) || len(left()) != test.left {
			t.Errorf("%s: exit %d, %q, files %q\n%s", test.name, code, stdout, left(), stderr)
		}
	}
	if text, err := os.ReadFile(left()[0]); err != nil || !strings.Contains(string(text), "sample-rate: four") {
		t.Errorf("%s: %v", text, err)
	}
	want := "# The layer labels/x, revision 2. null unsets a value on the devices.\n" +
		"# selector: devices with all of these labels, such as site=berlin,stage!=test. priority: higher ones override lower ones.\n" +
		"selector: site\npriority: 0\nconfig:\n  control-telemetry:\n    sample-rate: 4\n"
	if text, err := os.ReadFile(seen); err != nil || string(text) != want {
		t.Errorf("the editor sees %q, %v", text, err)
	}
	// Somebody else is first: the editor itself sets the layer.
	script(`sed -i 's/: 4/: 5/' "$2"; touch '` + seen + `.ready'; while [ ! -e '` + seen + `.go' ]; do sleep 0.02; done`)
	done := make(chan string, 1)
	go func() {
		code, _, stderr := w.fleet("edit", "labels/x")
		done <- fmt.Sprint(code, stderr)
	}()
	for {
		if _, err := os.Stat(seen + ".ready"); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if code, _, stderr := w.fleet("<{config: {control-telemetry: {sample-rate: 9}}, selector: site}", "edit", "labels/x", "-f", "-"); code != 0 {
		t.Error(stderr)
	}
	writeFile(t, seen+".go", "")
	if said := <-done; !strings.Contains(said, "somebody else has changed the layer") || !strings.Contains(said, "your text is in") {
		t.Error(said)
	}
}

// TestWatch: events as they come, and lines for what changes of devices.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	id := w.register(fleet.Active, nil)
	type result struct {
		code           int
		stdout, stderr string
	}
	run := func(args ...string) <-chan result {
		done := make(chan result, 1)
		go func() {
			code, stdout, stderr := w.fleet(args...)
			done <- result{code, stdout, stderr}
		}()
		return done
	}
	runs := []<-chan result{run("events", "--format", "json", "--count", "2"), run("watch", "--count", "2", "-o", "json"),
		run("watch", "--count", "2", "-o", "name")}
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() { // until all have seen something; who comes late misses the first ones
		defer close(ended)
		for n := 1; ; n++ {
			if code, _, stderr := w.fleet(fmt.Sprintf("<config: {control-telemetry: {sample-rate: %d}}", n), "edit", "everyone", "-f", "-"); code != 0 {
				t.Error(stderr)
			}
			if code, _, stderr := w.fleet("label", "10", fmt.Sprintf("n=%d", n)); code != 0 {
				t.Error(stderr)
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	for i, done := range runs {
		got := <-done
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if got.code != 0 || len(lines) != 2 || !strings.HasPrefix(got.stderr, "following "+w.url) {
			t.Errorf("%d: exit %d, %s, %s", i, got.code, got.stdout, got.stderr)
		}
		for _, line := range lines {
			var event struct {
				Kind   string
				Device *struct{ UUID uuid.UUID }
				Target *struct{ Layer string }
			}
			switch {
			case i == 2 && line != "everyone" && line != id.String():
				t.Errorf("a name is %q", line)
			case i < 2 && json.Unmarshal([]byte(line), &event) != nil,
				i == 0 && event.Kind != "target" && event.Kind != "device",
				i == 1 && event.Device == nil && event.Target == nil:
				t.Errorf("%d: %q", i, line)
			}
		}
	}
	close(stop)
	<-ended
}

// TestBrokenStream: the command connects again, and says that changes may be missing.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	done := make(chan string, 1)
	go func() {
		code, stdout, stderr := w.fleet("events", "--count", "1")
		done <- fmt.Sprint(code, " ", stdout, stderr)
	}()
	for {
		select {
		case said := <-done:
			if !strings.HasPrefix(said, "0 lost") || strings.Count(said, "following") != 2 || !strings.Contains(said, "interrupted, still trying") {
				t.Error(said)
			}
			return
		case <-time.After(200 * time.Millisecond):
			w.server.CloseClientConnections()
		}
	}
}

// TestWait: what does not come has an exit code of its own.
func TestWait(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	if code, _, stderr := w.fleet("status", "--wait", "1m"); code != 1 || !strings.Contains(stderr, "there is no device") {
		t.Errorf("an empty fleet: exit %d, %s", code, stderr)
	}
	id := w.register(fleet.Active, fleet.Labels{"site": "berlin"})
	code, _, stderr := w.fleet("status", "--wait", "1ms")
	if code != roles.ExitNotYet || !strings.Contains(stderr, "device 10000000-0000 (new) does not run its target after 1ms") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := w.fleet("status", "--wait", "1m", "-l", "site=potsdam"); code != 1 || stdout != "" ||
		!strings.Contains(stderr, `no device matches "site=potsdam"`) {
		t.Errorf("no device: exit %d, %s, %s", code, stdout, stderr)
	}
	w.poll(id, "{}", fleet.Applied, "")
	if code, _, stderr := w.fleet("status", "--wait", "1m"); code != 0 {
		t.Errorf("all devices: exit %d, %s", code, stderr)
	}
}

// TestCompletion: words come from the server and the contexts; without a server there are none, and no error.
func TestCompletion(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	w.register(fleet.Active, fleet.Labels{"site": "berlin"})
	w.register(fleet.Active, fleet.Labels{"site": "potsdam", "rack": "1"})
	w.register(fleet.Active, nil)
	if code, _, stderr := w.fleet("<{config: {}, selector: site}", "edit", "labels/all", "-f", "-"); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := w.fleet("rename", "20", "lobby"); code != 0 {
		t.Fatal(stderr)
	}
	for _, test := range []struct{ typed, want string }{
		{"device lo", "lobby"},
		{"targets devices/lo", "devices/lobby"},
		{"device 1", "10000000-0000-4000-8000-000000000001 11000000-0000-4000-8000-000000000002"},
		{"approve 10 11", "11000000-0000-4000-8000-000000000002"},
		{"why 10 ", ""},
		{"label 10 s", "site=berlin site=potsdam"},
		{"label 10 a=b r", "rack=1"},
		{"label -l site=berlin r", "rack=1"},
		{"devices -l site", "site=berlin site=potsdam"},
		{"devices --selector=a=b,!c,ra", "--selector=a=b,!c,rack=1"},
		{"devices --state re", "refused revoked"},
		{"devices -o ", "table wide json yaml name"},
		{"edit ", "everyone devices/ labels/all"},
		{"targets devices/11", "devices/11000000-0000-4000-8000-000000000002"},
		{"restore ", "2 1"},
		{"audit --who a", "anna"},
		{"audit --thing layers/", "layers/labels/all"},
		{"diff 1 ", "2 1"},
		{"use ", strings.TrimPrefix(w.url, "http://")},
		{"device --server-url http://127.0.0.1:1 ", ""},
	} {
		var out, errs rolestest.Buffer
		env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return w.env[name] }}
		code := roles.Run(t.Context(), env, append([]string{"aspects-poc", "__complete", "--", "fleet"}, strings.Split(test.typed, " ")...), fleetcmd.Role)
		var words []string
		for line := range strings.Lines(out.String()) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); code != 0 || got != test.want || errs.String() != "" {
			t.Errorf("%q: exit %d, %q, %q", test.typed, code, got, errs.String())
		}
	}
}

// TestManyDevices: a list goes over pages, in a table that is laid out in parts.
func TestManyDevices(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	const devices = 603
	var registering sync.WaitGroup
	for range devices { // at once, as such registrations share transactions
		registering.Go(func() { w.register(fleet.Active, nil) })
	}
	registering.Wait()
	for form, lines := range map[string]int{"table": devices + 1, "name": devices, "json": 0} {
		code, stdout, stderr := w.fleet("devices", "-o", form)
		if got := strings.Count(stdout, "\n"); code != 0 || lines > 0 && got != lines {
			t.Errorf("%s: exit %d, %d lines, %s", form, code, got, stderr)
		}
		var list []struct{ UUID uuid.UUID }
		if err := json.Unmarshal([]byte(stdout), &list); form == "json" && (err != nil || len(list) != devices) {
			t.Errorf("%d devices, %v", len(list), err)
		}
	}
}

// TestTerminal: colours and the width are for terminals only.
func TestTerminal(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	w.register(fleet.Active, fleet.Labels{"a-label": strings.Repeat("long", 15)})
	for _, quiet := range []string{"", "1"} {
		w.env["NO_COLOR"] = quiet
		said := rolestest.OnTerminal(t, func(terminal *os.File) {
			var errs rolestest.Buffer
			env := &roles.Env{Stdin: strings.NewReader(""), Stdout: terminal, Stderr: &errs, Getenv: func(name string) string { return w.env[name] }}
			if code := roles.Run(t.Context(), env, []string{"aspects-poc", "fleet", "devices"}, fleetcmd.Role); code != 0 {
				t.Error(errs.String())
			}
		})
		if strings.Contains(said, "\x1b[") != (quiet == "") {
			t.Errorf("NO_COLOR=%s: %q", quiet, said)
		}
	}
}
