package fakesnapctl_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/registrytest/fakesnapctl"
	"aspects-poc/registry/snapctl"
)

// A recording is one exchange with a real snapd; the fields that are not there are not compared.
type recording struct {
	Origin  string // of all that follow
	Name    string
	Version string
	Given   struct {
		Stored       json.RawMessage
		Disconnected []string
		NoCustodian  []string `json:"no-custodian"`
		Disabled     bool
		UID          int
		Rejects      string // a change-view hook refuses with this reason
		Held         bool   // by another transaction
	}
	Cookie *string // nil: the snap's own
	Args   []string

	Status   int
	Stdout   *string
	Message  string
	Contains []string // parts of the message
	Answer   json.RawMessage
	Stored   json.RawMessage // afterwards
}

func TestRecorded(t *testing.T) {
	file, err := os.Open("../machine/testdata/snapctl.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r recording
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		if r.Origin == "" {
			t.Run(r.Version+" "+r.Name, func(t *testing.T) { replay(t, r) })
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func replay(t *testing.T, r recording) {
	server := fakesnapctl.Start(t, fakesnapctl.Options{Version: r.Version})
	if r.Given.Stored != nil {
		server.Load(t, string(r.Given.Stored))
	}
	for _, plug := range r.Given.Disconnected {
		server.Disconnect(plug)
	}
	for _, view := range r.Given.NoCustodian {
		server.SetCustodian(view, false)
	}
	server.SetEnabled(!r.Given.Disabled)
	server.SetUID(r.Given.UID)
	if r.Given.Held {
		t.Cleanup(server.Hold())
	}
	if r.Given.Rejects != "" {
		server.Handle("change-view-control-telemetry", func(call fakesnapctl.HookCall) error {
			b, err := snapctl.Open(t.Context(), snapctl.Options{Socket: server.Socket(), Cookie: call.Cookie, Hook: call.Name})
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			return b.Fail(t.Context(), r.Given.Rejects)
		})
	}
	cookie := server.Cookie()
	if r.Cookie != nil {
		cookie = *r.Cookie
	}
	response := post(t, server, map[string]any{"context-id": cookie, "args": r.Args})
	if response.Status != r.Status {
		t.Errorf("HTTP status %d, recorded %d", response.Status, r.Status)
	}
	if r.Answer != nil {
		compareAnswer(t, r.Answer, response)
	}
	if r.Stdout != nil {
		var result struct{ Stdout string }
		if err := json.Unmarshal(response.Result, &result); err != nil || response.Type != snapdhttp.TypeSync {
			t.Fatalf("answer of type %s, %s: %v", response.Type, response.Result, err)
		}
		if diff := cmp.Diff(*r.Stdout, result.Stdout); diff != "" {
			t.Errorf("stdout (-recorded +got):\n%s", diff)
		}
	}
	if r.Message != "" || r.Contains != nil {
		refusal := response.Refusal()
		if refusal == nil {
			t.Fatalf("answer of type %s: %s", response.Type, response.Result)
		}
		if r.Message != "" && refusal.Message != r.Message {
			t.Errorf("message (-recorded +got):\n%s", cmp.Diff(r.Message, refusal.Message))
		}
		for _, part := range r.Contains {
			if !strings.Contains(refusal.Message, part) {
				t.Errorf("message %q, recorded one with %q", refusal.Message, part)
			}
		}
	}
	if r.Stored != nil && server.Stored() != string(r.Stored) {
		t.Errorf("stored %s, recorded %s", server.Stored(), r.Stored)
	}
}

func post(t *testing.T, server *fakesnapctl.Server, body any) *snapdhttp.Response {
	t.Helper()
	client := snapdhttp.New(server.Socket())
	response, err := client.Do(t.Context(), http.MethodPost, "/v2/snapctl", nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func compareAnswer(t *testing.T, recorded json.RawMessage, response *snapdhttp.Response) {
	t.Helper()
	var want struct {
		Type   string
		Result any
	}
	var got any
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(response.Result, &got); err != nil {
		t.Fatal(err)
	}
	if want.Type != response.Type {
		t.Errorf("answer of type %s, recorded %s", response.Type, want.Type)
	}
	if diff := cmp.Diff(want.Result, got); diff != "" {
		t.Errorf("answer (-recorded +got):\n%s", diff)
	}
}

func TestOtherRequests(t *testing.T) {
	server := fakesnapctl.Start(t, fakesnapctl.Options{})
	client := snapdhttp.New(server.Socket())
	response, err := client.Do(t.Context(), http.MethodGet, "/v2/system-info", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if refusal := response.Refusal(); response.Status != 403 || refusal.Kind != "login-required" {
		t.Errorf("system-info on the snap socket: %d %+v", response.Status, refusal)
	}
	refusal := post(t, server, "no object").Refusal()
	if refusal == nil || !strings.HasPrefix(refusal.Message, "cannot decode snapctl request: ") {
		t.Errorf("body that is no object: %+v", refusal)
	}
}
