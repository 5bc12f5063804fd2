package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/server"
	"aspects-poc/roles/serverapi"
)

// setTarget sets the target and returns its revision.
func setTarget(t *testing.T, url string, config serverapi.Config) int64 {
	t.Helper()
	if _, err := client(t, url).SetTarget(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(url + "/targets/")
	if err != nil {
		t.Fatal(err)
	}
	var targets serverapi.Targets
	err = errors.Join(json.NewDecoder(response.Body).Decode(&targets), response.Body.Close())
	if err != nil || response.StatusCode != http.StatusOK || targets.Revision == 0 {
		t.Fatalf("%s: %+v, %v", response.Status, targets, err)
	}
	return targets.Revision
}

// TestBackupAndRestore goes back to a copy that was made while the server ran. What a server is using is not replaced.
func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	state, copied := filepath.Join(dir, server.StateFile), filepath.Join(dir, "monday.db")
	flags := append(unsigned, "--state", state, "--listen", "127.0.0.1:0", "--target-schema", "none")
	first := run(t, flags...)
	kept := register(t, first.url, "PEM")
	setTarget(t, first.url, serverapi.Config{"a": 1})
	code, stdout, stderr := command(t, nil, "backup", copied, "--state", state)
	if code != 0 || stdout != copied+" is a copy of "+state+".\n" {
		t.Fatalf("backup: exit %d: %s%s", code, stdout, stderr)
	}
	lost := register(t, first.url, "another PEM")
	last := setTarget(t, first.url, serverapi.Config{"a": 2})

	code, _, stderr = command(t, nil, "backup", "--state", state, copied)
	if code != 1 || !strings.Contains(stderr, "there is a file of this name already; name another") {
		t.Errorf("a second backup of one name: exit %d: %s", code, stderr)
	}
	code, stdout, stderr = command(t, nil, "restore", copied, "--state", state)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "another process is using it") {
		t.Errorf("restore while the server runs: exit %d: %s%s", code, stdout, stderr)
	}
	if target, err := client(t, first.url).Target(t.Context()); err != nil || target["a"] != json.Number("2") {
		t.Errorf("the server that runs has %v, %v", target, err)
	}
	if code, stderr := first.stop(); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}

	code, stdout, stderr = command(t, nil, "restore", copied, "--state", dir+"/")
	if code != 0 || !strings.Contains(stdout, state+" is what "+copied+" was; what was there is in "+state+".previous") {
		t.Fatalf("restore: exit %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"Tokens valid now: 0.", "What was revoked since the backup is good again",
		"There is no operator's token: the server makes one when it starts"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in %s", want, stdout)
		}
	}
	second := run(t, flags...)
	if target, err := client(t, second.url).Target(t.Context()); err != nil || target["a"] != json.Number("1") {
		t.Errorf("after the restore the target is %v, %v", target, err)
	}
	if _, err := client(t, second.url).State(t.Context(), kept.UUID); err != nil {
		t.Errorf("a device of the backup: %v", err)
	}
	var refused *serverapi.Error
	if _, err := client(t, second.url).State(t.Context(), lost.UUID); !errors.As(err, &refused) ||
		refused.Status != http.StatusBadRequest {
		t.Errorf("a device that came after the backup: %v", err)
	}
	if revision := setTarget(t, second.url, serverapi.Config{"a": 3}); revision <= last {
		t.Errorf("revision %d comes again: %d was drawn before the restore", revision, last)
	}
	if _, err := os.Stat(state + ".previous"); err != nil {
		t.Error(err)
	}
}

func TestBackupUsage(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "none.db")
	for _, test := range []struct {
		words []string
		code  int
		want  string
	}{
		{[]string{"backup"}, 2, "backup needs the name of a file"},
		{[]string{"restore"}, 2, "restore needs the name of a file"},
		{[]string{"token", "list"}, 1, "cannot read the tokens: stat " + state + ": no such file"},
		{[]string{"token", "revoke", "anna"}, 1, "no such file"},
		{[]string{"restore", "backup.go"}, 1, "it does not begin like one; name a file that aspects-poc server backup has made"},
		{[]string{"backup", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"restore", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"backup", filepath.Join(dir, "copy.db")}, 1, "no such file"},
		{[]string{"restore", filepath.Join(dir, "copy.db")}, 1, "no such file"},
	} {
		code, stdout, stderr := command(t, nil, append(test.words, "--state", state)...)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: exit %d, want %d and …%s…: %s%s", test.words, code, test.code, test.want, stdout, stderr)
		}
	}
	// What failed made no files, but for the lock that a restore takes.
	if left, err := filepath.Glob(filepath.Join(dir, "*.db")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
