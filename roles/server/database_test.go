package server_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/serverapi"
)

const password = "topsecret"

// withPassword adds one to an address, which the tests' database does not ask for.
func withPassword(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.UserPassword(parsed.User.Username(), password)
	return parsed.String()
}

// command runs the role's command line to its end.
func command(t *testing.T, environment map[string]string, words ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs rolestest.Buffer
	env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return environment[name] }}
	code = roles.Run(t.Context(), env, append([]string{"aspects-poc-server"}, words...), server.Role)
	return code, out.String(), errs.String()
}

func register(t *testing.T, url, key string) serverapi.RegisterResponse {
	t.Helper()
	device, err := client(t, url).Register(t.Context(),
		serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: key, Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	return device
}

// TestDatabase has two servers on one database, of which each knows what the other was told. The password is nowhere.
func TestDatabase(t *testing.T) {
	address := withPassword(t, postgrestest.URL(t))
	flags := append(unsigned, "--database", address, "--listen", "127.0.0.1:0", "--secret-key-file", newKeyFile(t))
	first, second := run(t, flags...), run(t, flags...)
	device := register(t, first.url, "PEM")
	if _, err := client(t, second.url).State(t.Context(), device.UUID); err != nil {
		t.Error(err)
	}
	value := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(value, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, nil, "secret", "set", "vpn", "--config", "-", "--database", address, "--secret-key-file",
		flags[len(flags)-1], "--file", value)
	if code != 0 || strings.Contains(stdout+stderr, canary) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, server := range []running{first, second} {
		if status := ask(t, http.DefaultClient, "PUT", server.url+"/target-config/", "", `{"config":{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}}`); status != 200 {
			t.Errorf("the server answers %d", status)
		}
	}
	offers(t, second.url, canary)
	for _, running := range []running{first, second} {
		code, stderr := running.stop()
		if code != 0 || !strings.Contains(stderr, "the state is stored in a database") || strings.Contains(stderr, password) {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
	code, stdout, stderr = command(t, map[string]string{"ASPECTS_DATABASE": address, "XDG_STATE_HOME": t.TempDir()}, "run", "--config", "-", "--once",
		"--listen", "127.0.0.1:0", "--secret-key-file", flags[len(flags)-1])
	if code != 0 || !strings.Contains(stdout, "The server answers") || strings.Contains(stdout+stderr, password) {
		t.Errorf("from the environment: exit %d: %s%s", code, stdout, stderr)
	}
}

func TestWrongDatabase(t *testing.T) {
	for _, address := range []string{"fleet", "mysql://u:topsecret@h/fleet", "postgres://u:topsecret@h/fleet?sslmode=maybe"} {
		for _, words := range [][]string{{"run", "--config", "-", "--once"}, {"migrate"}, {"token", "list"}} {
			code, _, stderr := command(t, nil, append(words, "--database", address)...)
			if code != 2 || !strings.Contains(stderr, "--database: want postgres://USER") || strings.Contains(stderr, password) {
				t.Errorf("%s %s: exit %d: %s", words[0], address, code, stderr)
			}
		}
	}
	for _, words := range [][]string{{"migrate"}, {"token", "list"}} {
		code, _, stderr := command(t, map[string]string{"ASPECTS_DATABASE": "mysql://u:topsecret@h/fleet"}, words...)
		if code != 2 || !strings.Contains(stderr, "in $ASPECTS_DATABASE: want postgres://USER") || strings.Contains(stderr, password) {
			t.Errorf("%s, from the environment: exit %d: %s", words[0], code, stderr)
		}
	}
	nobody := "postgres://u:topsecret@/fleet?host=" + url.QueryEscape(t.TempDir())
	code, _, stderr := command(t, nil, "run", "--config", "-", "--once", "--database", nobody)
	if code != 1 || !strings.Contains(stderr, "cannot use the database at u@") || strings.Contains(stderr, password) {
		t.Errorf("nobody there: exit %d: %s", code, stderr)
	}
}

// TestDatabaseTokens makes, lists and revokes tokens in a database, which a server on it knows at once.
func TestDatabaseTokens(t *testing.T) {
	address := withPassword(t, postgrestest.URL(t))
	environment := map[string]string{"ASPECTS_DATABASE": address, "XDG_STATE_HOME": t.TempDir()}
	file := newKeyFile(t)
	code, _, stderr := command(t, nil, "run", "--config", "-", "--once", "--database", address, "--listen", "0.0.0.0:0",
		"--operators", "loopback", "--secret-key-file", file)
	if code != 1 || !strings.Contains(stderr, "$ASPECTS_DATABASE") || strings.Contains(stderr, "--state") ||
		strings.Contains(stderr, password) {
		t.Errorf("without a token: exit %d: %s", code, stderr)
	}
	target := run(t, "--database", address, "--listen", "127.0.0.1:0", "--secret-key-file", file).url + "/target-config/"
	code, stdout, stderr := command(t, environment, "token", "create", "ann")
	ann := strings.TrimSpace(stdout)
	if code != 0 || !strings.HasPrefix(ann, "aspects-") {
		t.Fatalf("create: exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, nil, "token", "create", "ann", "--database", address); code != 1 ||
		!strings.Contains(stderr, "choose another name") || strings.Contains(stderr, password) {
		t.Errorf("create again: exit %d: %s", code, stderr)
	}
	if got := ask(t, http.DefaultClient, "GET", target, "", ""); got != 401 {
		t.Errorf("without the token: %d", got)
	}
	if got := ask(t, http.DefaultClient, "GET", target, ann, ""); got != 200 {
		t.Errorf("with the token: %d", got)
	}
	// The command line and the environment name the same store.
	if code, stdout, stderr := command(t, nil, "token", "list", "--database", address); code != 0 ||
		!strings.Contains(stdout, "ann   admin  valid") {
		t.Errorf("list: exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, environment, "token", "revoke", "ann"); code != 0 {
		t.Errorf("revoke: exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, environment, "token", "revoke", "bob"); code != 1 || !strings.Contains(stderr, `cannot revoke "bob"`) {
		t.Errorf("revoke nobody's: exit %d: %s", code, stderr)
	}
	if got := ask(t, http.DefaultClient, "GET", target, ann, ""); got != 401 {
		t.Errorf("with the revoked token: %d", got)
	}
	if left, err := os.ReadDir(environment["XDG_STATE_HOME"]); err != nil || len(left) > 0 {
		t.Errorf("a file was made beside the database: %v, %v", left, err)
	}
}

// TestMigrate moves a fleet into a database, and serves it from there.
func TestMigrate(t *testing.T) {
	address := withPassword(t, postgrestest.URL(t))
	state := filepath.Join(t.TempDir(), server.StateFile)
	migrate := []string{"migrate", "--database", address, "--state", state}
	if code, _, stderr := command(t, nil, migrate...); code != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("without a file: exit %d: %s", code, stderr)
	}
	embedded := run(t, append(unsigned, "--state", state, "--listen", "127.0.0.1:0", "--target-schema", "none")...)
	device := register(t, embedded.url, "PEM")
	if _, err := client(t, embedded.url).SetTarget(t.Context(), serverapi.Config{"a": 7}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, nil, migrate...); code != 1 || !strings.Contains(stderr, "another process is using it") {
		t.Errorf("while the server runs: exit %d: %s", code, stderr)
	}
	if code, stderr := embedded.stop(); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, nil, "token", "create", "ann", "--state", state); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, stdout, stderr := command(t, nil, migrate...)
	if code != 0 || !strings.Contains(stdout, "1 devices, 1 layers, 0 named secrets, 1 entries of history, 0 points of statistics, 1 tokens, 2 records of the audit log.") || strings.Contains(stdout+stderr, password) {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, nil, migrate...); code != 1 || !strings.Contains(stderr, "the database is not empty") ||
		!strings.Contains(stderr, "nothing was written") {
		t.Errorf("again: exit %d: %s", code, stderr)
	}
	// The token came along: without it nobody is an operator there, and not everybody is.
	moved := client(t, run(t, "--database", address, "--listen", "127.0.0.1:0", "--target-schema", "none").url)
	var refused *serverapi.Error
	if _, err := moved.State(t.Context(), device.UUID); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", err)
	}
	if code, stdout, stderr := command(t, nil, "token", "list", "--database", address); code != 0 || !strings.Contains(stdout, "ann") {
		t.Errorf("the tokens: exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, nil, "token", "revoke", "ann", "--database", address); code != 0 {
		t.Errorf("revoke: exit %d: %s", code, stderr)
	}
}
