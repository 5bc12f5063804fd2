package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameStore has the commands beside run find the server's store where run finds it: in the environment, or in the
// configuration file, at its top or in the role's section.
func TestSameStore(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	state := func(name string) string { return filepath.Join(dir, name, "fleet.db") }
	for name, environment := range map[string]map[string]string{
		"environment": {"ASPECTS_STATE": state("environment")},
		"file":        {"ASPECTS_CONFIG": file("top.yaml", "state: "+state("file")+"\n")},
		"section":     {"ASPECTS_CONFIG": file("section.yaml", "server: {state: "+state("section")+"}\n")},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			home := t.TempDir() // where the store would be that nobody configured
			environment["XDG_STATE_HOME"] = home
			ran := func(words ...string) string {
				t.Helper()
				code, stdout, stderr := command(t, environment, words...)
				if code != 0 {
					t.Fatalf("%s: exit %d: %s", strings.Join(words, " "), code, stderr)
				}
				return stdout
			}
			server := run(t, "--state", state(name), "--listen", "127.0.0.1:0")
			token := strings.TrimSpace(ran("token", "create", "ann"))
			if got := ask(t, http.DefaultClient, "GET", server.url+"/target-config/", token, ""); got != http.StatusOK {
				t.Errorf("the server answers the new token with %d", got)
			}
			if list := ran("token", "list"); !strings.Contains(list, "ann") {
				t.Errorf("the list is %q", list)
			}
			copied := filepath.Join(home, "copy.db")
			if said := ran("backup", copied); said != copied+" is a copy of "+state(name)+".\n" {
				t.Errorf("backup says %q", said)
			}
			if code, stderr := server.stop(); code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			ran("token", "revoke", "ann")
			ran("restore", copied)
			if list := ran("token", "list"); !strings.Contains(list, "valid") {
				t.Errorf("restore was for another store: the list is %q", list)
			}
			if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
				t.Errorf("beside the copy: %v, %v", left, err)
			}
		})
	}
}

// TestSourcesAreBlamed has a bad address named by where it came from, without the password, and the embedded store's
// commands refuse to copy what the server does not use.
func TestSourcesAreBlamed(t *testing.T) {
	for _, words := range [][]string{{"token", "list"}, {"migrate"}, {"backup", "copy.db"}, {"restore", "copy.db"}} {
		name := strings.Join(words, " ")
		code, _, stderr := command(t, map[string]string{"ASPECTS_DATABASE": "mysql://u:topsecret@h/fleet"}, words...)
		if code != 2 || !strings.Contains(stderr, "in $ASPECTS_DATABASE: want postgres://USER") || strings.Contains(stderr, password) {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
	environment := map[string]string{"ASPECTS_DATABASE": "postgres://u:topsecret@h/fleet", "XDG_STATE_HOME": t.TempDir()}
	code, _, stderr := command(t, environment, "backup", filepath.Join(t.TempDir(), "copy.db"))
	if code != 1 || !strings.Contains(stderr, "pg_dump") || strings.Contains(stderr, password) {
		t.Errorf("backup where there is a database: exit %d: %s", code, stderr)
	}
}
