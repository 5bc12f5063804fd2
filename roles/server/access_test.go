package server_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// createToken makes a token for the database of a server and returns it.
func createToken(t *testing.T, state string, words ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, nil, append([]string{"token", "create", "--config", "-", "--state", state}, words...)...)
	if code != 0 || !strings.HasPrefix(stdout, "aspects-") || !strings.Contains(stderr, "it is not shown again") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

// ask sends a request with a token and returns the status.
func ask(t *testing.T, client *http.Client, method, url, token, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

// Without a token nobody could tell an operator from anybody else, so the server stays on the loopback.
func TestNoTokenNoNetwork(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	code, stdout, stderr := once(t, "--once", "--listen", "0.0.0.0:0", "--state", state)
	for _, want := range []string{"cannot listen on 0.0.0.0:", "without any operator's token",
		`make one with "aspects-poc server token create NAME" (with --state ` + state + ")", "--listen 127.0.0.1:8000"} {
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, printed %q, want …%s…: %s", code, stdout, want, stderr)
		}
	}
	createToken(t, state, "anna")
	code, stdout, stderr = once(t, "--once", "--listen", "0.0.0.0:0", "--state", state)
	if code != 0 || !strings.Contains(stdout, "The server answers; operators need a token.") ||
		!strings.Contains(stderr, "go over the network in the clear") {
		t.Errorf("with a token: exit %d: %s%s", code, stdout, stderr)
	}
}

// Tokens are made and revoked while the server runs.
func TestTokens(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0")
	target := started.url + "/target-config/"
	check := func(when, method, token string, want int) {
		t.Helper()
		if got := ask(t, http.DefaultClient, method, target, token, `{"config":{}}`); got != want {
			t.Errorf("%s: %s answers %d, want %d", when, method, got, want)
		}
	}
	check("before there is a token", "PUT", "", 200)
	anna := createToken(t, state, "anna")
	reader := createToken(t, state, "wall-screen", "--read-only")
	enrol := createToken(t, state, "line-1", "--enrol", "--uses", "2", "--expires", "1h")
	check("without", "GET", "", 401)
	check("anna", "PUT", anna, 200)
	check("read-only", "GET", reader, 200)
	check("read-only", "PUT", reader, 403)
	check("a device's", "GET", enrol, 401)
	if code, stdout, stderr := command(t, nil, "token", "revoke", "anna", "--config", "-", "--state", state); code != 0 || stdout != "" {
		t.Errorf("revoke: exit %d: %s%s", code, stdout, stderr)
	}
	check("revoked", "GET", anna, 401)
	check("others", "GET", reader, 200)

	code, stdout, stderr := command(t, nil, "token", "list", "--config", "-", "--state", state)
	if code != 0 || strings.Contains(stdout, reader) {
		t.Errorf("list: exit %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"anna         admin      revoked", "wall-screen  viewer     valid",
		"line-1       enrolment  valid", "0 of 2"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("list has no %q:\n%s", want, stdout)
		}
	}
	code, stdout, stderr = command(t, nil, "token", "list", "--json", "--config", "-", "--state", state)
	var listed []struct{ Name, Purpose, State string }
	if err := json.Unmarshal([]byte(stdout), &listed); err != nil || len(listed) != 3 || listed[0].State != "revoked" {
		t.Errorf("list --json: exit %d, %v: %s%s", code, err, stdout, stderr)
	}
}

func TestTokenCommandsRefuse(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	createToken(t, state, "anna")
	for _, test := range []struct {
		words []string
		code  int
		want  string
	}{
		{[]string{"create"}, 2, "create needs the token's name"},
		{[]string{"create", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"create", "anna"}, 1, `cannot make the token "anna": there is a token of this name already, or was one; choose another`},
		{[]string{"create", "loopback"}, 2, "it stands for who has none"},
		{[]string{"create", "x", "--label", "a=b"}, 2, "--label is for enrolment tokens: add --enrol"},
		{[]string{"create", "x", "--enrol", "--label", "a"}, 2, "--label wants KEY=VALUE, each key once"},
		{[]string{"create", "x", "--enrol", "--label", "a=b c"}, 2, "invalid value for --label"},
		{[]string{"create", "x", "--uses", "3"}, 2, "--uses is for enrolment tokens: add --enrol"},
		{[]string{"create", "x", "--enrol", "--read-only"}, 2, "--read-only means --role viewer"},
		{[]string{"create", "x", "--expires", "-1h"}, 2, "--expires cannot be less than nothing"},
		{[]string{"create", "x", "--role", "owner"}, 2, "no role; want viewer, operator, approver or admin"},
		{[]string{"create", "x", "--role", "admin", "--read-only"}, 2, "--read-only means --role viewer"},
		{[]string{"create", "x", "--role", "viewer", "--scope", "site=a"}, 2, "a token of the role viewer has no scope"},
		{[]string{"create", "x", "--scope", "site=a"}, 2, "a token of the role admin has no scope"},
		{[]string{"create", "x", "--role", "operator", "--scope", "device.site=a"}, 2, "invalid value for --scope"},
		{[]string{"create", "x", "--role", "operator", "--scope", "site!=a"}, 2, "invalid value for --scope"},
		{[]string{"create", "x", "--enrol", "--scope", "site=a"}, 2, "an enrolment token has no scope"},
		{[]string{"revoke"}, 2, "revoke needs the token's name"},
		{[]string{"revoke", "bert"}, 1, `cannot revoke "bert": there is no such token; aspects-poc server token list shows which`},
		{[]string{"list", "x"}, 2, `unexpected argument "x"`},
	} {
		code, stdout, stderr := command(t, nil, append(append([]string{"token"}, test.words...), "--config", "-", "--state", state)...)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: exit %d: %s%s; want %d %s", test.words, code, stdout, stderr, test.code, test.want)
		}
	}
}

// signing returns a client that signs with one of the keys, its transport, and the public half.
func signing(t *testing.T, url string, i int) (*serverapi.Client, *sign.Transport, string) {
	t.Helper()
	key := rolestest.Keys()[i]
	signer, err := sign.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	transport := sign.NewTransport(signer, sign.Options{})
	client, err := serverapi.NewClient(url, serverapi.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return client, transport, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func refusedAs(t *testing.T, what string, err error, kind string) {
	t.Helper()
	if !serverapi.IsProblem(err, kind) {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

// TestFirstToken starts servers on a new database, and on one that has had a token.
func TestFirstToken(t *testing.T) {
	state := filepath.Join(t.TempDir(), "fleet.db")
	start := func(flags ...string) (said string, started running) {
		t.Helper()
		started = run(t, append([]string{"--state", state, "--listen", "127.0.0.1:0", "--operators", "token"}, flags...)...)
		return started.more, started
	}
	said, first := start()
	text, err := os.ReadFile(state + ".token")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(state + ".token"); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if want := "Operators need a token. The first one is in " + state + ".token.\n"; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	token := strings.TrimSpace(string(text))
	statuses := func(server running) [2]int {
		return [2]int{ask(t, http.DefaultClient, "GET", server.url+"/devices/", "", ""),
			ask(t, http.DefaultClient, "PUT", server.url+"/target-config/", token, `{"config":{}}`)}
	}
	if got := statuses(first); got != [2]int{401, 200} {
		t.Errorf("without and with the token: %v", got)
	}
	first.stop()
	said, second := start()
	if again, err := os.ReadFile(state + ".token"); err != nil || string(again) != string(text) || !strings.Contains(said, ".token") {
		t.Errorf("the second start: %s, %v; %q", again, err, said)
	}
	if got := statuses(second); got != [2]int{401, 200} {
		t.Errorf("without and with the token, at the second start: %v", got)
	}
	if code, _, stderr := command(t, nil, "token", "revoke", "--config", "-", "--state", state, "first"); code != 0 {
		t.Fatal(stderr)
	}
	if got := statuses(second); got != [2]int{401, 401} {
		t.Errorf("without and with the revoked token: %v", got)
	}
	second.stop()
	said, _ = start()
	if strings.Contains(said, "token") {
		t.Errorf("after the token was revoked it says %q", said)
	}
	if left, err := filepath.Glob(state + ".token*"); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}

// TestFirstTokenAgain makes the first token where a killed server has written only its file, and where there is none to write.
func TestFirstTokenAgain(t *testing.T) {
	state := filepath.Join(t.TempDir(), "fleet.db")
	if err := os.Mkdir(state+".token", 0o700); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--config", "-", "--once", "--state", state, "--listen", "127.0.0.1:0"}
	code, _, stderr := command(t, nil, append([]string{"run"}, flags...)...)
	if want := state + ".token: it is a folder, and not a file"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s; want %s", code, stderr, want)
	}
	if err := os.Remove(state + ".token"); err != nil {
		t.Fatal(err)
	}
	half, _ := access.NewToken(access.Operate)
	leftover := filepath.Join(filepath.Dir(state), ".fleet.db.token.123")
	for _, path := range []string{state + ".token", leftover} {
		if err := os.WriteFile(path, []byte(half), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	started := run(t, append(flags[3:], "--operators", "token")...)
	text, err := os.ReadFile(state + ".token")
	if err != nil || string(text) == half || !strings.Contains(started.more, state+".token") {
		t.Errorf("the token is %q as before, %v; it says %q", text, err, started.more)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a killed write is still there: %v", err)
	}
	if got := ask(t, http.DefaultClient, "GET", started.url+"/devices/", strings.TrimSpace(string(text)), ""); got != 200 {
		t.Errorf("with the token: %d", got)
	}
}

// TestFirstTokenOfTwo starts several servers on one new database at once: one token is made.
func TestFirstTokenOfTwo(t *testing.T) {
	dir := t.TempDir()
	store, release, err := sqlite.OpenTokens(t.Context(), filepath.Join(dir, "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(dir, "made", "server.db.token")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := server.MakeFirstToken(t.Context(), store, file); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	list, err := store.Tokens(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || list[0].Digest != access.TokenDigest(strings.TrimSpace(string(text))) {
		t.Errorf("the file has another token than the store: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}

// TestLabelsOfToken registers a device that says it has the label of another line than its enrolment token.
func TestLabelsOfToken(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--enrolment", "token", "--allow-unsigned")
	token := createToken(t, state, "line-1", "--enrol", "--label", "site=line-1", "--label", "stage=")
	device, _, publicKey := signing(t, started.url, 0)
	request := serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64", EnrolmentToken: token,
		Labels: map[string]string{"site": "hq", "rack": "4"}}
	want := map[string]string{"site": "line-1", "stage": "", "device.site": "hq", "device.rack": "4"}
	for range 2 { // again, it gets what it has
		known, err := device.Register(t.Context(), request)
		if err != nil || !maps.Equal(known.Labels, want) {
			t.Errorf("labels %v, %v; want %v", known.Labels, err, want)
		}
	}
	// Where an operator has changed the labels of a device that did not sign, its token does not bring them back.
	for i, patch := range []string{`{"site":"ops"}`, `{"site":null}`} {
		device, _, publicKey := signing(t, started.url, i+1)
		request.PublicKeyRSA = publicKey
		known, err := client(t, started.url).Register(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, http.DefaultClient, "PATCH", started.url+"/devices/"+known.UUID.String()+"/labels/", "", patch); got != 200 {
			t.Fatalf("the patch answers %d", got)
		}
		want := map[string]string{"stage": "", "device.site": "hq", "device.rack": "4"}
		if i == 0 {
			want["site"] = "ops"
		}
		again, err := device.Register(t.Context(), request)
		if err != nil || again.UUID != known.UUID || !maps.Equal(again.Labels, want) {
			t.Errorf("%s: labels %v, %v; want %v", patch, again.Labels, err, want)
		}
	}
	_, stdout, _ := command(t, nil, "token", "list", "--json", "--config", "-", "--state", state)
	if !strings.Contains(stdout, `"site": "line-1"`) {
		t.Error(stdout)
	}
}

// TestSignedLife follows a device that needs a token to register and changes its key, and another that attacks it.
func TestSignedLife(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--enrolment", "token")
	device, transport, publicKey := signing(t, started.url, 0)
	request := serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64"}
	_, err := device.Register(t.Context(), request)
	refusedAs(t, "without an enrolment token", err, serverapi.ProblemEnrolment)
	request.EnrolmentToken = createToken(t, state, "line-1", "--enrol", "--uses", "1")
	known, err := device.Register(t.Context(), request)
	if err != nil || known.EnrolmentToken != "" || known.Status != serverapi.Active {
		t.Fatalf("%+v, %v", known, err)
	}
	if again, err := device.Register(t.Context(), request); err != nil || again.UUID != known.UUID { // takes no use
		t.Errorf("registered again: %+v, %v", again, err)
	}
	poll := serverapi.PollRequest{UUID: known.UUID, Config: serverapi.Config{}}
	if _, err := device.Poll(t.Context(), poll, 0); err != nil {
		t.Error(err)
	}

	attacker, _, attackersKey := signing(t, started.url, 1)
	_, err = attacker.Poll(t.Context(), poll, 0)
	refusedAs(t, "a key that is not registered", err, serverapi.ProblemUnknownKey)
	_, err = attacker.Register(t.Context(), request)
	refusedAs(t, "the public key of another", err, serverapi.ProblemSignature)
	stolen := request
	stolen.PublicKeyRSA = attackersKey
	_, err = attacker.Register(t.Context(), stolen)
	refusedAs(t, "a token that is used up", err, serverapi.ProblemEnrolment)
	_, err = client(t, started.url).Register(t.Context(), request)
	refusedAs(t, "unsigned", err, serverapi.ProblemUnsigned)

	_, _, newKey := signing(t, started.url, 2)
	successor, err := sign.NewSigner(rolestest.Keys()[2])
	if err != nil {
		t.Fatal(err)
	}
	old := transport.Signer()
	change := serverapi.KeyRequest{UUID: known.UUID, PublicKeyRSA: newKey, Proof: "AAAA"}
	if err := device.ReplaceKey(t.Context(), change); err == nil || !strings.Contains(err.Error(), "proof") {
		t.Errorf("a key without proof: %v", err)
	}
	if change.Proof, err = successor.Succeed(known.UUID, old.KeyID()); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "a change by another", attacker.ReplaceKey(t.Context(), change), serverapi.ProblemUnknownKey)
	if err := device.ReplaceKey(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	_, err = device.Poll(t.Context(), poll, 0)
	refusedAs(t, "the old key", err, serverapi.ProblemUnknownKey)
	transport.SetSigner(successor)
	if _, err := device.Poll(t.Context(), poll, 0); err != nil {
		t.Error(err)
	}
	if err := device.ReplaceKey(t.Context(), change); err != nil {
		t.Errorf("asked again, as after a lost answer: %v", err)
	}
	if got := ask(t, http.DefaultClient, "POST", started.url+"/devices/"+known.UUID.String()+"/revoke/", "", ""); got != 200 {
		t.Fatalf("revoke answers %d", got)
	}
	_, err = device.Poll(t.Context(), poll, 0)
	refusedAs(t, "revoked", err, serverapi.ProblemRevoked)
	request.PublicKeyRSA = newKey
	_, err = device.Register(t.Context(), request)
	refusedAs(t, "registered again, revoked", err, serverapi.ProblemRevoked)

	// The key stays revoked when the device is gone, until an operator allows it.
	if got := ask(t, http.DefaultClient, "DELETE", started.url+"/devices/"+known.UUID.String()+"/", "", ""); got != 204 {
		t.Fatalf("delete answers %d", got)
	}
	_, err = device.Register(t.Context(), request)
	refusedAs(t, "registered again, deleted", err, serverapi.ProblemRevoked)
	_, err = device.Poll(t.Context(), poll, 0)
	refusedAs(t, "polls, deleted", err, serverapi.ProblemRevoked)
	key := started.url + "/revoked-keys/" + successor.KeyID() + "/"
	for _, want := range []int{204, 404} {
		if got := ask(t, http.DefaultClient, "DELETE", key, "", ""); got != want {
			t.Fatalf("to allow the key answers %d, want %d", got, want)
		}
	}
	request.EnrolmentToken = createToken(t, state, "line-2", "--enrol", "--uses", "1") // the refusals took no use of it
	if again, err := device.Register(t.Context(), request); err != nil || again.UUID == known.UUID {
		t.Errorf("registered with the allowed key: %+v, %v", again, err)
	}
}

func TestApproval(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--enrolment", "approve")
	device, _, publicKey := signing(t, started.url, 0)
	known, err := device.Register(t.Context(), serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64"})
	if err != nil || known.Status != serverapi.Pending {
		t.Fatalf("%+v, %v", known, err)
	}
	poll := serverapi.PollRequest{UUID: known.UUID, Config: serverapi.Config{}}
	_, err = device.Poll(t.Context(), poll, 0)
	refusedAs(t, "before approval", err, serverapi.ProblemPending)
	var refused *serverapi.Error
	if !errors.As(err, &refused) || refused.RetryAfter == 0 {
		t.Errorf("no Retry-After: %v", err)
	}
	if got := ask(t, http.DefaultClient, "POST", started.url+"/devices/"+known.UUID.String()+"/approve/", "", ""); got != 200 {
		t.Fatalf("approve answers %d", got)
	}
	if _, err := device.Poll(t.Context(), poll, 0); err != nil {
		t.Error(err)
	}
}

// TestMostPending fills the waiting room: one more is not kept and told when to come back, and a token goes past it.
func TestMostPending(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--enrolment", "approve", "--max-pending", "1")
	registers := func(n int, token string) (serverapi.RegisterResponse, error) {
		device, _, publicKey := signing(t, started.url, n)
		return device.Register(t.Context(), serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64",
			EnrolmentToken: token})
	}
	first, err := registers(0, "")
	if err != nil || first.Status != serverapi.Pending {
		t.Fatalf("%+v, %v", first, err)
	}
	_, err = registers(1, "")
	var refused *serverapi.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.RetryAfter == 0 ||
		!strings.Contains(refused.Error(), "--max-pending") {
		t.Errorf("the second: %v", err)
	}
	if again, err := registers(0, ""); err != nil || again.UUID != first.UUID {
		t.Errorf("the first asks again: %+v, %v", again, err)
	}
	code, token, stderr := command(t, nil, "token", "create", "line-1", "--enrol", "--state", state)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if device, err := registers(1, strings.TrimSpace(token)); err != nil || device.Status != serverapi.Active {
		t.Errorf("with a token: %+v, %v", device, err)
	}
	if got := ask(t, http.DefaultClient, "POST", started.url+"/devices/"+first.UUID.String()+"/approve/", "", ""); got != 200 {
		t.Fatalf("approve answers %d", got)
	}
	if device, err := registers(2, ""); err != nil || device.Status != serverapi.Pending {
		t.Errorf("once there is room: %+v, %v", device, err)
	}
}

// A device that did not sign begins to, under its UUID, and cannot be impersonated without a signature from then on.
func TestBeginsToSign(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--allow-unsigned")
	plain := client(t, started.url)
	signed, _, publicKey := signing(t, started.url, 0)
	request := serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64"}
	request.Labels = map[string]string{"site": "chosen-by-another", "odd": "1"}
	known, err := plain.Register(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	poll := serverapi.PollRequest{UUID: known.UUID, Config: serverapi.Config{}}
	if _, err := plain.Poll(t.Context(), poll, 0); err != nil {
		t.Error(err)
	}
	_, err = signed.Poll(t.Context(), poll, 0)
	refusedAs(t, "signed, before it is known to sign", err, serverapi.ProblemUnknownKey)
	request.Labels = map[string]string{"site": "hq"}
	for range 2 {
		again, err := signed.Register(t.Context(), request)
		if err != nil || again.UUID != known.UUID || !maps.Equal(again.Labels, map[string]string{"device.site": "hq"}) {
			t.Fatalf("%+v, %v", again, err)
		}
	}
	if _, err := signed.Poll(t.Context(), poll, 0); err != nil {
		t.Error(err)
	}
	_, err = plain.Poll(t.Context(), poll, 0)
	refusedAs(t, "unsigned, from then on", err, serverapi.ProblemUnsigned)
	_, err = plain.Register(t.Context(), request)
	refusedAs(t, "registered unsigned, from then on", err, serverapi.ProblemUnsigned)

	// A revoked key does not come back without a signature, either.
	of := started.url + "/devices/" + known.UUID.String() + "/"
	if got := ask(t, http.DefaultClient, "POST", of+"revoke/", "", ""); got != 200 {
		t.Fatalf("revoke answers %d", got)
	}
	if got := ask(t, http.DefaultClient, "DELETE", of, "", ""); got != 204 {
		t.Fatalf("delete answers %d", got)
	}
	for _, device := range []*serverapi.Client{plain, signed} {
		_, err = device.Register(t.Context(), request)
		refusedAs(t, "revoked and deleted", err, serverapi.ProblemRevoked)
	}
}

// A page of another site whose name has been made to lead here gets nothing.
func TestRebinding(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")
	for host, want := range map[string]int{"evil.example": 403, strings.TrimPrefix(started.url, "http://"): 200} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", started.url+"/devices/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("as %s: %s, %v, want %d", host, response.Status, err, want)
		}
	}
}

// writeCertificate makes a self-signed certificate for the loopback, in two files, and returns it.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key := rolestest.Keys()[0]
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("certificate ", serial)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestHTTPS(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	flags := []string{"--listen", "127.0.0.1:0", "--state", filepath.Join(t.TempDir(), "server.db"), "--tls-cert", certFile,
		"--tls-key", keyFile}
	code, stdout, stderr := once(t, append(flags, "--once")...)
	if code != 0 || !strings.Contains(stdout, "https://127.0.0.1:") || !strings.Contains(stdout, "The server answers") {
		t.Errorf("--once: exit %d: %s%s", code, stdout, stderr)
	}
	started := run(t, flags...)
	transport, err := serverapi.NewTransport(certFile)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	if got := ask(t, &http.Client{Transport: transport}, "GET", started.url+"/devices/", "", ""); got != 200 {
		t.Errorf("over HTTPS: %d", got)
	}
	if _, err := http.Get(started.url); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the system's CAs: %v", err)
	}
	// HTTP/2 would have many held polls on a connection, which cannot be parked.
	config := transport.TLSClientConfig.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(started.url, "https://"), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // all was read
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if got := conn.ConnectionState().NegotiatedProtocol; got == "h2" || err != nil || !strings.HasPrefix(answer, "HTTP/1.1 4") {
		t.Errorf("HTTP/2: negotiated %q, answered %q, %v", got, answer, err)
	}
	for _, test := range []struct {
		flags []string
		code  int
		want  string
	}{
		{[]string{"--tls-cert", certFile}, 2, "--tls-cert and --tls-key go together"},
		{[]string{"--tls-cert", keyFile, "--tls-key", keyFile}, 1, "cannot use the certificate in " + keyFile},
		{[]string{"--enrolment", "closed"}, 2, `invalid value "closed" for --enrolment: want open, token or approve`},
		{[]string{"--public-url", "fleet"}, 2, `invalid value "fleet" for --public-url`},
	} {
		code, _, stderr := once(t, append([]string{"--once", "--listen", "127.0.0.1:0", "--state",
			filepath.Join(t.TempDir(), "server.db")}, test.flags...)...)
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: exit %d: %s", test.flags, code, stderr)
		}
	}
}

// A renewed certificate is in use some seconds later; one that cannot be used leaves the old one in place.
func TestCertificateIsReplaced(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1732480000, 0)
	var log bytes.Buffer
	certFile, keyFile := writeCertificate(t, dir, 1)
	get, err := server.LoadCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)),
		func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		parsed, err := x509.ParseCertificate(get().Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Subject.CommonName
	}
	step := func(when, want string) {
		t.Helper()
		if got := serial(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	step("at first", "certificate 1")
	writeCertificate(t, dir, 2)
	step("just replaced", "certificate 1")
	now = now.Add(5 * time.Second)
	step("later", "certificate 2")
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5 * time.Second)
	step("spoiled", "certificate 2")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5 * time.Second)
	step("gone", "certificate 2")
	writeCertificate(t, dir, 3)
	now = now.Add(5 * time.Second)
	step("back", "certificate 3")
	for _, want := range []string{"certificate replaced", "keeping the old one"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
	}
}
