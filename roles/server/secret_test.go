package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/serverapi"
)

// newKeyFile returns a key file as an operator makes it.
func newKeyFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, bytes.Repeat([]byte{7}, seal.KeySize), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func putSecret(t *testing.T, url, secret string) {
	t.Helper()
	if status := ask(t, http.DefaultClient, "PUT", url+"/target-config/", "", tunnel(secret)); status != 200 {
		t.Fatalf("the server answers %d", status)
	}
}

// offers checks that a server offers its devices a secret.
func offers(t *testing.T, url, secret string) {
	t.Helper()
	answer, err := client(t, url).Poll(t.Context(), serverapi.PollRequest{UUID: register(t, url, "PEM").UUID}, 0)
	if err != nil || answer.Offer == nil || !strings.Contains(fmt.Sprint(answer.Offer.Config["control-tunnel"]), secret) {
		t.Errorf("the device gets %+v, %v", answer.Offer, err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKeyFile takes the key file of a database away, and changes it.
func TestKeyFile(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	file := state + ".key"
	flags := append(unsigned, "--state", state, "--listen", "127.0.0.1:0")
	first := run(t, flags...)
	putSecret(t, first.url, canary)
	rotate := []string{"secret", "rotate", "--config", "-", "--state", state}
	if code, _, stderr := command(t, nil, rotate...); code != 1 || !strings.Contains(stderr, "another process is using it") {
		t.Errorf("while the server runs: exit %d: %s", code, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	_, log := first.stop()
	if strings.Contains(log, canary) || !strings.Contains(log, "keep a copy of it") {
		t.Error(log)
	}

	copied := filepath.Join(t.TempDir(), "copy.db")
	if code, _, stderr := command(t, nil, "backup", copied, "--config", "-", "--state", state); code != 0 {
		t.Fatal(stderr)
	}
	for key, want := range map[string]string{
		file: "", newKeyFile(t): "Before the server can start: the secrets in the database are sealed with another key",
	} {
		code, stdout, stderr := command(t, nil, "restore", copied, "--config", "-", "--state", copied+".restored", "--secret-key-file", key)
		if code != 0 || !strings.Contains(stdout, want) || strings.Contains(stdout, "Before") != (want != "") {
			t.Errorf("restore with %s: exit %d: %s%s", key, code, stdout, stderr)
		}
	}

	key := read(t, file)
	for name, test := range map[string]struct{ key, want string }{
		"no key":      {"", "cannot read the key of the secrets in the database (--secret-key-file): open " + file},
		"another key": {string(seal.Random().Text()), file + " is not its key file; put the right one there from your copy"},
		"no such key": {"aspects-secret-key ?", "line 1 is no key"},
	} {
		err := os.Remove(file)
		if test.key != "" {
			err = os.WriteFile(file, []byte(test.key), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{append([]string{"run", "--config", "-"}, flags...), rotate} {
			code, _, stderr := command(t, nil, words...)
			if code != 1 || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s, %s: exit %d: %s", name, words[0], code, stderr)
			}
		}
		if now, err := os.ReadFile(file); test.key != string(now) {
			t.Fatalf("%s: the file has changed: %v", name, err)
		}
		if test.key == "" {
			if err := os.WriteFile(file, key, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}

	code, stdout, stderr := command(t, nil, rotate...)
	if code != 0 || !strings.Contains(stdout, "All secrets are sealed with the key") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(read(t, file))), "\n")
	if !strings.Contains(string(key), lines[len(lines)-1]) {
		t.Error("the former key is gone")
	}
	onlyNew := strings.Join(lines[:len(lines)-1], "")
	if err := os.WriteFile(file, []byte(onlyNew), 0o400); err != nil {
		t.Fatal(err)
	}
	second := run(t, flags...)
	offers(t, second.url, canary)
	if code, stderr := second.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if err := os.WriteFile(file, append(seal.Random().Text(), onlyNew...), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := command(t, nil, append(rotate, "--given")...); code != 0 {
		t.Errorf("with a key of the operator's: exit %d: %s%s", code, stdout, stderr)
	}
	third := run(t, flags...)
	offers(t, third.url, canary)
	third.stop()

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = command(t, nil, append(rotate, "--lost")...)
	if code != 0 || !strings.Contains(stdout, `removed the secret of layer everyone."control-tunnel"."secret-key"`) {
		t.Errorf("without any key: exit %d: %s%s", code, stdout, stderr)
	}
	fourth := run(t, flags...)
	putSecret(t, fourth.url, canary)
	offers(t, fourth.url, canary)
}

// TestKeyFilesOfServers has two servers on one database: the second needs the key file of the first.
func TestKeyFilesOfServers(t *testing.T) {
	address, file := postgrestest.URL(t), newKeyFile(t)
	flags := append(unsigned, "--database", address, "--listen", "127.0.0.1:0")
	first := run(t, append(flags, "--secret-key-file", file)...)
	putSecret(t, first.url, canary)
	other := filepath.Join(t.TempDir(), "server.db")
	code, _, stderr := once(t, append(flags, "--once", "--state", other)...)
	if code != 1 || !strings.Contains(stderr, "copy it from the server that made it") {
		t.Errorf("without the key file: exit %d: %s", code, stderr)
	}
	if _, err := os.Stat(other + ".key"); err == nil {
		t.Error("a second key was made")
	}
	second := run(t, append(flags, "--secret-key-file", file)...)
	offers(t, second.url, canary)
}

// TestSecretCommands changes named secrets beside a server that runs.
func TestSecretCommands(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "server.db")
	value := filepath.Join(dir, "value")
	secret := func(wantCode int, wants string, words ...string) {
		t.Helper()
		code, stdout, stderr := command(t, nil, append(append([]string{"secret"}, words...), "--config", "-", "--state", state)...)
		if code != wantCode || !strings.Contains(stdout+stderr, wants) || strings.Contains(stdout+stderr, canary) {
			t.Errorf("%v: exit %d: %s%s; want %d, %q", words, code, stdout, stderr, wantCode, wants)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(value, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret(1, "name the server's database", "list")
	write(canary + "-1\n")
	secret(0, "The secret vpn has revision 1", "set", "vpn", "--file", value) // before the server's first start
	first := run(t, append(unsigned, "--state", state, "--listen", "127.0.0.1:0")...)
	if status := ask(t, http.DefaultClient, "PUT", first.url+"/target-config/", "", `{"config":{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}}`); status != 200 {
		t.Fatalf("the server answers %d", status)
	}
	offers(t, first.url, canary+"-1")
	device := register(t, first.url, "PEM").UUID
	held := make(chan serverapi.PollAnswer, 1)
	go func() {
		answer, err := client(t, first.url).Poll(t.Context(), serverapi.PollRequest{UUID: device,
			Config: serverapi.Config{"control-tunnel": map[string]any{"secret-key": canary + "-1"}}}, time.Minute)
		if err != nil {
			t.Error(err)
		}
		held <- answer
	}()
	write(canary + "-2\r\n")
	secret(0, "The secret vpn has revision 3", "set", "--file", value, "vpn")
	if answer := <-held; answer.Offer == nil || answer.Offer.Revision != 3 || fmt.Sprint(answer.Offer.Config["control-tunnel"]) != "map[secret-key:"+canary+"-2]" {
		t.Errorf("the held poll is answered with %+v", answer.Offer)
	}
	secret(1, "layer everyone: ", "set", "vpn", "--json", "--file", writeJSON(t, dir, `["`+canary+`"]`))
	secret(1, "it is no JSON value", "set", "vpn", "--json", "--file", value)
	secret(1, "it is empty", "set", "vpn") // standard input is
	secret(2, "takes the name of the secret, and nothing else", "set", "vpn", canary)
	secret(2, "must not be \"unset\"", "set", "unset")
	secret(1, "sealed for another confdb-schema, or with another key; give the same", "set", "vpn", "--file", value, "--target-schema", "none")
	secret(0, "command line  everyone", "list")
	secret(0, `"digest": "`, "list", "--json")
	secret(1, "it is named in everyone", "delete", "vpn")
	if status := ask(t, http.DefaultClient, "DELETE", first.url+"/targets/everyone/", "", ""); status != 204 {
		t.Fatalf("the server answers %d", status)
	}
	secret(0, "The secret vpn is deleted", "delete", "vpn")
	secret(1, "there is no such secret", "delete", "vpn")
	if _, log := first.stop(); strings.Contains(log, canary) {
		t.Error(log)
	}
	secret(0, "There are no named secrets", "list")
}

func writeJSON(t *testing.T, dir, text string) string {
	t.Helper()
	name := filepath.Join(dir, "json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
