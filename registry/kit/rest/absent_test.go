package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"aspects-poc/registry/kit/world"
	"aspects-poc/registry/registrytest/stocksnap"
)

// TestRemove checks that a loaded snap can be removed, and what is said to those who want more.
func TestRemove(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	if err := m.Put(world.Snap{Name: "app"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		request, body string
		status        int
		want          string
	}{
		{"POST /v2/snaps/app", `{"action":"refresh"}`, http.StatusBadRequest, `cannot refresh "app": there is no store here: aspects-poc registry dev`},
		{"POST /v2/snaps/app", `{"action":"\u001b[2J"}`, http.StatusBadRequest, `cannot do that to "app": there is no store here`},
		{"POST /v2/snaps/app", `[`, http.StatusBadRequest, "cannot decode request body into snap instruction"},
		{"POST /v2/snaps/none", `{"action":"remove"}`, http.StatusNotFound, `snap "none" is not installed`},
		{"POST /v2/snaps", `{"action":"refresh"}`, http.StatusBadRequest, "cannot install, refresh or remove several snaps"},
		{"GET /v2/find?q=x", "", http.StatusInternalServerError, "there is no store here"},
		{"GET /v2/validation-sets/acc/name", "", http.StatusNotFound, "validation set not found"},
	} {
		status, answer := send(t, m.client, test.request, test.body)
		message, _ := answer["result"].(map[string]any)["message"].(string)
		if status != test.status || !strings.HasPrefix(message, test.want) {
			t.Errorf("%s %s: %d %q, want %d %q", test.request, test.body, status, message, test.status, test.want)
		}
	}
	status, answer := send(t, m.client, "POST /v2/snaps/app", `{"action":"remove"}`)
	if status != http.StatusAccepted {
		t.Fatalf("%d %v", status, answer)
	}
	if change := m.ready(t, answer); change["status"] != world.Done || change["kind"] != "remove-snap" {
		t.Errorf("%v", change)
	}
	if _, err := m.Snap("app"); err == nil {
		t.Error("it is still there")
	}
}

// TestStockAbsent checks what the stock snap command makes of a machine that has nothing of what it lists.
func TestStockAbsent(t *testing.T) {
	t.Parallel()
	command := stocksnap.Find(t)
	m := serve(t, setup{})
	for line, want := range map[string]string{
		"validate": "No validations are available", "aliases": "No aliases are currently defined.",
		"saved": "No snapshots found.", "quotas": "No quota groups defined.", "known account": "",
		"known validation-set": "", "warnings": "No warnings.",
	} {
		result := command.Run(t, m.dir, strings.Fields(line)...)
		if got := strings.TrimSpace(result.Stdout + result.Stderr); !strings.HasPrefix(got, want) || result.Code != 0 {
			t.Errorf("snap %s: %q, exit code %d; want %q", line, got, result.Code, want)
		}
	}
}
