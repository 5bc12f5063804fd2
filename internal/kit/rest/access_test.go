package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/machine/testclient"
)

// TestAccess checks which callers may use which endpoints, on which socket. The refusals are those captured on snapd 2.77.1.
func TestAccess(t *testing.T) {
	t.Parallel()
	root := serve(t, setup{})
	user := serve(t, setup{options: rest.Options{Root: func(int) bool { return false }}})
	view := "/v2/confdb/" + viewID("control-telemetry").String()
	for _, test := range []struct {
		name    string
		client  *http.Client
		request string
		status  int
	}{
		{"root on the socket for snaps", root.snaps, "GET " + view, 403},
		{"root on the socket for snaps, of what is open", root.snaps, "GET /v2/system-info", 403},
		{"snapctl on the main socket", root.client, "POST /v2/snapctl", 403},
		{"a user reads a view", user.client, "GET " + view, 401},
		{"a user writes a view", user.client, "PUT " + view, 401},
		{"a user acknowledges", user.client, "POST /v2/assertions", 401},
		{"a user connects", user.client, "POST /v2/interfaces", 401},
		{"a user reads options", user.client, "GET /v2/snaps/system/conf", 401},
		{"a user aborts", user.client, "POST /v2/changes/1", 401},
		{"a user starts services", user.client, "POST /v2/apps", 401},
		{"a user delegates", user.client, "POST /v2/confdb", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, answer := testclient.Send(t, test.client, test.request, `{}`)
			want := map[string]any{"type": "error", "status-code": float64(test.status), "status": http.StatusText(test.status),
				"result": map[string]any{"message": "access denied", "kind": "login-required"}}
			if diff := cmp.Diff(want, answer); status != test.status || diff != "" {
				t.Errorf("status %d, want %d (-want +got):\n%s", status, test.status, diff)
			}
		})
	}
	for _, open := range []string{"/v2/system-info", "/v2/changes", "/v2/notices", "/v2/assertions", "/v2/assertions/confdb-schema",
		"/v2/snaps", "/v2/snaps/cust", "/v2/connections", "/v2/interfaces", "/v2/apps", "/v2/warnings"} {
		if status, text := testclient.SendRaw(t, user.client, "GET "+open, nil); status != http.StatusOK {
			t.Errorf("a user gets %d from %s: %s", status, open, text)
		}
	}
}

// A user other than root may not write through snapctl.
func TestSnapctlOfUsers(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{options: rest.Options{Root: func(int) bool { return false }}})
	cookie, err := m.Facts.Now().Cookie("cust")
	if err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) (int, map[string]any) {
		return testclient.Send(t, m.snaps, "POST /v2/snapctl", map[string]any{"context-id": cookie, "args": args})
	}
	if status, answer := call("is-connected", "control-tunnel"); status != http.StatusOK || answer["type"] != "sync" {
		t.Errorf("is-connected: %d %v", status, answer)
	}
	status, answer := call("set", "--view", ":control-tunnel", "interface=eth0")
	result, _ := answer["result"].(map[string]any)
	if message, _ := result["message"].(string); status != http.StatusForbidden || result["kind"] != "login-required" ||
		!strings.HasPrefix(message, `cannot use "set" with uid `) {
		t.Errorf("set: %d %v", status, answer)
	}
}
