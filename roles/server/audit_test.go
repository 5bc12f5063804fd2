package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/serverapi"
)

// records returns the audit log of a server, the oldest record first.
func records(t *testing.T, url, token string) []serverapi.AuditRecord {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/audit/?after=0&limit=1000", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	var page serverapi.AuditPage
	if err != nil || response.StatusCode != 200 || json.Unmarshal(text, &page) != nil {
		t.Fatalf("%s %v %s", response.Status, err, text)
	}
	return page.Records
}

// TestAuditOfCommands has commands change the database beside a server and without one. The log has them, and so has its file, also
// after a backup is restored.
func TestAuditOfCommands(t *testing.T) {
	dir := t.TempDir()
	state, file, backup := filepath.Join(dir, "server.db"), filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "backup.db")
	anna := createToken(t, state, "anna")
	do := func(words ...string) {
		t.Helper()
		if code, stdout, stderr := command(t, nil, words...); code != 0 {
			t.Fatalf("%q: exit %d: %s%s", words, code, stdout, stderr)
		}
	}
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--audit-file", file)
	do("backup", backup, "--config", "-", "--state", state)
	createToken(t, state, "line-1", "--enrol", "--label", "site=a")
	do("token", "revoke", "line-1", "--config", "-", "--state", state)
	secret := filepath.Join(dir, "vpn.key")
	if err := os.WriteFile(secret, []byte("top secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	do("secret", "set", "vpn", "--file", secret, "--config", "-", "--state", state)
	check := func(url string, want ...string) {
		t.Helper()
		var got, numbers []string
		for _, r := range records(t, url, anna) {
			got = append(got, strings.TrimSpace(r.Who.Kind+" "+r.Verb+" "+r.Thing+" "+r.Details))
			if r.Result != "done" || r.Who.Name == "" || r.Number == 0 {
				t.Errorf("%+v", r)
			}
			number, err := json.Marshal(r.Number)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, `{"number":`+string(number)+",")
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		var text []byte
		var err error
		for range 100 { // the file follows within a second
			if text, err = os.ReadFile(file); err == nil && strings.Contains(string(text), numbers[len(numbers)-1]) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		for _, number := range numbers {
			if strings.Count(string(text), number) != 1 {
				t.Errorf("the file does not have %s once: %v\n%s", number, err, text)
			}
		}
		if strings.Contains(string(text), "top secret") || strings.Contains(string(text), anna) {
			t.Errorf("the file has a secret:\n%s", text)
		}
	}
	check(started.url, "command create tokens/anna role admin", "command create tokens/line-1 enrolment, labels site=a", "command revoke tokens/line-1",
		"command set secrets/vpn")
	if code, stderr := started.stop(); code != 0 {
		t.Fatal(stderr)
	}
	do("restore", backup, "--config", "-", "--state", state)
	again := run(t, "--state", state, "--listen", "127.0.0.1:0", "--audit-file", file)
	check(again.url, "command create tokens/anna role admin", "command restore database from "+backup)
}
