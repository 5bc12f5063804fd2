package rest_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/internal/stocksnap"
)

// TestRemove checks that a snap can be removed, and the refusals of actions that need a store.
func TestRemove(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	if err := m.Facts.Install(facts.Snap{Name: "app"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		request, body string
		status        int
		want          string
	}{
		{"POST /v2/snaps/app", `{"action":"refresh"}`, http.StatusNotImplemented, "cannot refresh app: there is no store here: aspects-poc registry dev"},
		{"POST /v2/snaps/app", `{"action":"xyz"}`, http.StatusBadRequest, "unknown action xyz"},
		{"POST /v2/snaps/app", `[`, http.StatusBadRequest, "cannot decode request body into snap instruction"},
		{"POST /v2/snaps/none", `{"action":"remove"}`, http.StatusBadRequest, `snap "none" is not installed`},
		{"POST /v2/snaps", `{"action":"refresh"}`, http.StatusNotImplemented, "cannot refresh: there is no store here"},
		{"POST /v2/snaps", `{"action":"install","snaps":["a","b"]}`, http.StatusNotImplemented, "cannot install a b: there is no store here: " +
			"aspects-poc registry dev runs snaps from their source, and `snap try DIR` adds one to it"},
		{"POST /v2/snaps", `{"action":"remove"}`, http.StatusBadRequest, "cannot remove snaps: none is named"},
		{"GET /v2/find?q=x", "", http.StatusNotImplemented, "there is no store here"},
		{"POST /v2/aliases", `{"action":"alias"}`, http.StatusNotImplemented, "aliases are not imitated: call an app by its full name"},
		{"POST /v2/quotas", `{"action":"ensure"}`, http.StatusNotImplemented, "quota groups are not imitated"},
		{"POST /v2/snapshots", `{}`, http.StatusNotImplemented, "snapshots are not imitated"},
		{"GET /v2/model", "", http.StatusNotImplemented, "the machine's model"},
		{"POST /v2/changes", "", http.StatusMethodNotAllowed, `method "POST" not allowed`},
		{"GET /v2/nosuch", "", http.StatusNotFound, "not found"},
		{"GET /v2/validation-sets/acc/name", "", http.StatusNotFound, "validation set not found"},
	} {
		status, answer := testclient.Send(t, m.client, test.request, test.body)
		message, _ := answer["result"].(map[string]any)["message"].(string)
		if status != test.status || !strings.HasPrefix(message, test.want) {
			t.Errorf("%s %s: %d %q, want %d %q", test.request, test.body, status, message, test.status, test.want)
		}
	}
	status, answer := testclient.Send(t, m.client, "POST /v2/snaps/app", `{"action":"remove"}`)
	if status != http.StatusAccepted {
		t.Fatalf("%d %v", status, answer)
	}
	change := m.ready(t, answer)
	if change["status"] != changes.Done || change["kind"] != "remove-snap" {
		t.Errorf("%v", change)
	}
	if diff := cmp.Diff(map[string]any{"snap-names": []any{"app"}}, change["data"]); diff != "" {
		t.Errorf("data of the change (-want +got):\n%s", diff)
	}
	if _, err := m.Snap("app"); err == nil {
		t.Error("it is still there")
	}
}

// TestNotImitated requests every endpoint that is not imitated: each answer says what is missing.
func TestNotImitated(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	for path, methods := range rest.NotImitated {
		for method, want := range methods {
			request := method + " " + strings.NewReplacer("{", "", "}", "").Replace(path)
			status, answer := testclient.Send(t, m.client, request, "{}")
			if message, _ := answer["result"].(map[string]any)["message"].(string); status != http.StatusNotImplemented || message != want {
				t.Errorf("%s: %d %q, want %q", request, status, message, want)
			}
		}
	}
}

// TestDocumented checks that the endpoints in the documentation exist.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/devkit/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("ACCOUNT/SCHEMA/VIEW", "{account}/{schema}/{view}", "/snaps/system", "/snaps/{name}", "/NAME", "/{name}", "/ID", "/{id}", "/TYPE", "/{type}")
	found := 0
	for line := range strings.Lines(string(text)) {
		cell, isRow := strings.CutPrefix(line, "| `/v2/")
		if !isRow {
			continue
		}
		cell, _, _ = strings.Cut("`/v2/"+cell, " |")
		for _, path := range regexp.MustCompile("`(/v2/[^`]*)`").FindAllStringSubmatch(cell, -1) {
			if found++; !rest.Imitated(names.Replace(path[1])) {
				t.Errorf("%s is no endpoint", path[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("the table has %d endpoints", found)
	}
}

// TestStockAbsent checks the output of the stock snap command for lists that are empty on the machine.
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
