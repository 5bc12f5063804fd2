package fleetcmd_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/server/fleet"
)

// TestLabelAll: a selector changes the labels of all its devices after a question; what one device refuses stops no other.
func TestLabelAll(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	for i := range 20 {
		w.register(fleet.Active, fleet.Labels{"site": "berlin", "stage": fmt.Sprint("s", i%5), "rack": "1"})
	}
	w.register(fleet.Active, fleet.Labels{"site": "berlin", "stage": "canary"})
	other := w.register(fleet.Active, fleet.Labels{"site": "potsdam", "rack": "1"})

	count := func(selector string) int {
		code, stdout, stderr := w.fleet("devices", "-l", selector, "-o", "name")
		if code != 0 {
			t.Fatal(stderr)
		}
		return strings.Count(stdout, "\n")
	}
	code, _, stderr := w.fleet("label", "-l", "site=berlin", "stage=canary", "rack!")
	const asks = "site=berlin chooses 21 devices, of which 20 change.\n" +
		"  rack is removed from 20 devices (now 20 have rack=1)\n" +
		"  stage=canary: 20 devices (now 4 have stage=s0, 4 have stage=s1, 4 have stage=s2, …)\n" +
		"error: nobody can be asked here: give --yes to go on without\n"
	if code != roles.ExitUsage || !strings.HasPrefix(stderr, asks) || count("stage=canary") != 1 {
		t.Errorf("nobody to ask: exit %d, %s", code, stderr)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-l", "", "a=b", "-y"}, "--selector is empty"},
		{[]string{"-l", "site=nowhere", "a=b", "-y"}, `no device matches "site=nowhere"`},
		{[]string{"-l", "site=berlin", "10", "a=b", "-y"}, `invalid label "10"`},
		{[]string{"10"}, "or --selector SELECTOR"},
	} {
		if code, _, stderr := w.fleet(append([]string{"label"}, test.args...)...); code == 0 || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: exit %d, %s", test.args, code, stderr)
		}
	}

	// The server has the first five requests fail.
	var turn sync.Mutex
	failing := 5
	inner := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		turn.Lock()
		fails := request.Method == http.MethodPatch && failing > 0
		if fails {
			failing--
		}
		turn.Unlock()
		if fails {
			http.Error(answer, "away", http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(answer, request)
	})
	code, stdout, stderr := w.fleet("label", "-l", "site=berlin", "stage=canary", "rack!", "--yes")
	if code != 1 || stdout != "The labels of 15 devices are changed.\n" || count("stage=canary,!rack,site=berlin") != 16 ||
		!strings.Contains(stderr, "error: 5 of 20 devices failed:\n") || strings.Count(stderr, "502") != 1 {
		t.Errorf("some fail: exit %d, %s, %s", code, stdout, stderr)
	}
	code, left, _ := w.fleet("devices", "-l", "site=berlin,rack", "-o", "name")
	for id := range strings.Lines(left) {
		if code != 0 || !strings.Contains(stderr, id[:13]) {
			t.Errorf("device %s is not named: %s", id, stderr)
		}
	}
	w.server.Config.Handler = inner

	// The same command does the rest.
	code, stdout, stderr = w.fleet("label", "-l", "site=berlin", "stage=canary", "rack!", "-y", "-o", "name")
	if code != 0 || strings.Count(stdout, "\n") != 5 || !strings.Contains(stderr, "of which 5 change") || count("stage=canary") != 21 ||
		count("rack") != 1 {
		t.Errorf("the rest: exit %d, %s, %s", code, stdout, stderr)
	}
	if code, stdout, _ := w.fleet("label", "-l", "site=berlin", "stage=canary", "-o", "json"); code != 0 || stdout != "[]\n" {
		t.Errorf("again: exit %d, %s", code, stdout)
	}
	if code, stdout, stderr := w.fleet("audit", "--thing", "devices", "--result", "done", "--limit", "0", "-o", "name"); code != 0 || strings.Count(stdout, "\n") != 20 {
		t.Errorf("the audit log has %s %s, not one record for each device", stdout, stderr)
	}
	if code, stdout, _ := w.fleet("label", other.String(), "rack!", "-o", "name"); code != 0 || stdout != other.String()+"\n" {
		t.Errorf("one device: exit %d, %s", code, stdout)
	}
}
