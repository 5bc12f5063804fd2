package machine_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/registry/registrytest/testschema"
)

// recorded is the snapd of these recordings. They are replayed on a machine that imitates it. The recordings of 2.77.1 are replayed
// without the layers of a machine: by internal/kit/rest (REST) and internal/kit/world (snapctl).
const recorded = "2.68.3-3+deb13u1+b7"

type exchange struct {
	Name  string
	Given map[string]map[string]any // what the views hold before
	State struct {
		FlagOff     bool   `json:"flag-off"`
		NoCustodian bool   `json:"no-custodian"`
		Writing     string // view through which a write is under way
	}
	Request string
	Body    any
	Status  int
	Answer  map[string]any
	Change  map[string]any // of an asynchronous answer
}

func TestRecordings(t *testing.T) {
	text, err := os.ReadFile("testdata/snapd-2.68.3.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Origin, Version string
		Exchanges       []exchange
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(text, []byte("ACC"), []byte(testschema.AccountID))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&recording); err != nil {
		t.Fatal(err)
	}
	if recording.Origin == "" || recording.Version != recorded || len(recording.Exchanges) == 0 {
		t.Errorf("no recording of %s: %+v", recorded, recording)
	}
	for _, e := range recording.Exchanges {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			replay(t, e)
		})
	}
}

func replay(t *testing.T, e exchange) {
	m := machine.Start(t, machine.Options{Version: recorded})
	for view, values := range e.Given {
		m.Put(m.View(view), values)
	}
	if e.State.Writing != "" {
		t.Cleanup(m.Occupy(e.State.Writing, map[string]any{"sample-rate": 7}))
	}
	if e.State.NoCustodian {
		for _, view := range m.Views() {
			m.Disconnect(view)
		}
	}
	m.SetEnabled(!e.State.FlagOff)
	client := testclient.New(m.Socket())
	status, answer := testclient.Send(t, client, e.Request, e.Body)
	if status != e.Status {
		t.Errorf("status %d, recorded %d", status, e.Status)
	}
	if code := answer["status-code"]; code != float64(status) {
		t.Errorf("status-code is %v in an answer of status %d", code, status)
	}
	id, _ := answer["change"].(string)
	for _, member := range []string{"change", "status", "status-code"} {
		delete(answer, member)
	}
	if diff := cmp.Diff(normal(e.Answer), normal(answer)); diff != "" {
		t.Errorf("answer differs (-recorded +ours):\n%s", diff)
	}
	if (id != "") != (e.Change != nil) {
		t.Fatalf("change is %q, recorded %v", id, e.Change)
	}
	if e.Change == nil {
		return
	}
	if _, err := m.World.Changes.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	_, answer = testclient.Send(t, client, "GET /v2/changes/"+id, nil)
	change := answer["result"].(map[string]any)
	for _, member := range []string{"id", "spawn-time", "ready-time"} {
		if _, found := change[member]; !found {
			t.Errorf("the change has no %s", member)
		}
		delete(change, member)
	}
	delete(change, "tasks") // were not noted down
	if diff := cmp.Diff(e.Change, change); diff != "" {
		t.Errorf("change differs (-recorded +ours):\n%s", diff)
	}
}

var taskID = regexp.MustCompile(`task "\d+" (.*): already have "\d+"`)

// normal replaces IDs of tasks, which differ from run to run.
func normal(value any) any {
	switch value := value.(type) {
	case string:
		return taskID.ReplaceAllString(value, `task "N" $1: already have "N"`)
	case map[string]any:
		for key, entry := range value {
			value[key] = normal(entry)
		}
	}
	return value
}

// A run is an exchange with snapctl's endpoint. Missing fields are not compared.
type run struct {
	Name, Version string
	Given         struct {
		Stored       json.RawMessage
		Disconnected []string
	}
	Args     []string
	Status   int
	Stdout   *string
	Contains []string // parts of the message
}

func TestRecordedSnapctl(t *testing.T) {
	file, err := os.Open("testdata/snapctl.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r run
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		if r.Version != recorded {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: recorded})
			if r.Given.Stored != nil {
				m.Load(string(r.Given.Stored))
			}
			for _, plug := range r.Given.Disconnected {
				m.Disconnect(plug)
			}
			status, answer := testclient.Send(t, testclient.New(m.SnapSocket()), "POST /v2/snapctl", map[string]any{"context-id": m.Cookie(), "args": r.Args})
			result, _ := answer["result"].(map[string]any)
			if status != r.Status {
				t.Errorf("status %d, recorded %d: %v", status, r.Status, answer)
			}
			if r.Stdout != nil && result["stdout"] != *r.Stdout {
				t.Errorf("stdout (-recorded +ours):\n%s", cmp.Diff(*r.Stdout, result["stdout"]))
			}
			message, _ := result["message"].(string)
			for _, part := range r.Contains {
				if !strings.Contains(message, part) {
					t.Errorf("message %q, recorded one with %q", message, part)
				}
			}
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestFaults: a held access continues when it is released, and a failed commit is reported.
func TestFaults(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	write := func(rate int) error {
		return m.Write(testschema.ControlTelemetryView, map[string]any{"sample-rate": rate})
	}
	stored := func(want string) {
		t.Helper()
		if got := m.Stored(); got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	release := m.Hold()
	done := make(chan error)
	go func() { done <- write(2) }()
	select {
	case err := <-done:
		t.Errorf("a write that is held has ended: %v", err)
	default:
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	stored(`{"metrics":{"sample-rate":2}}`)

	release = m.Occupy(testschema.ControlTunnelView, map[string]any{"interface": "eth0"})
	go func() { done <- write(3) }()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	stored(`{"metrics":{"sample-rate":3}}`)

	m.FailCommits(true)
	if err := write(4); err == nil || !strings.Contains(err.Error(), "no matching rule") {
		t.Errorf("a commit that fails: %v", err)
	}
	m.FailCommits(false)
	m.Handle("change-view-control-telemetry", m.Rejecting("too high"))
	if err := write(5); err == nil || !strings.HasSuffix(err.Error(), "cust rejected changes: too high") {
		t.Errorf("a write that is rejected: %v", err)
	}
	m.Handle("change-view-control-telemetry", func(machine.HookCall) error { return errors.New("broken") })
	if err := write(6); err == nil || err.Error() != `run hook "change-view-control-telemetry": broken` {
		t.Errorf("a hook that fails: %v", err)
	}
	stored(`{"metrics":{"sample-rate":3}}`)
}

// TestSocketForSnaps: the socket for snaps has no other endpoint than snapctl.
func TestSocketForSnaps(t *testing.T) {
	for _, version := range []string{"2.68.3", "2.77.1"} {
		client := testclient.New(machine.Start(t, machine.Options{Version: version}).SnapSocket())
		status, answer := testclient.Send(t, client, "GET /v2/system-info", nil)
		if result := answer["result"].(map[string]any); status != 403 || result["kind"] != "login-required" {
			t.Errorf("%s: system-info: %d %v", version, status, answer)
		}
		_, answer = testclient.Send(t, client, "POST /v2/snapctl", `"no object"`)
		if message, _ := answer["result"].(map[string]any)["message"].(string); !strings.HasPrefix(message, "cannot decode snapctl request: ") {
			t.Errorf("%s: a body that is no object: %v", version, answer)
		}
	}
}
