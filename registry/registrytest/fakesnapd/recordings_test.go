package fakesnapd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/fakesnapd"
	"aspects-poc/registry/registrytest/testschema"
)

// A recording is a list of exchanges with a real snapd.
type recording struct {
	Origin, Version string
	Exchanges       []exchange
}

type exchange struct {
	Name  string
	Given map[string]map[string]any // what the views hold before
	State struct {
		FlagOff      bool `json:"flag-off"`
		NoCustodian  bool `json:"no-custodian"`
		Unauthorized bool
		Reject       string
		HookOutput   string `json:"hook-output"`
		Writing      string // view through which a write is under way
	}
	Request string
	Body    any
	Status  int
	Answer  map[string]any
	Change  map[string]any // of an asynchronous answer; tasks as kind=status, log as the failed task's last words
}

func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("ACC"), []byte(testschema.AccountID)), &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if r.Origin == "" || len(r.Exchanges) == 0 {
			t.Errorf("%s is without origin or exchanges", file)
		}
		for _, e := range r.Exchanges {
			t.Run(r.Version+"/"+e.Name, func(t *testing.T) { replay(t, r.Version, e) })
		}
	}
}

func replay(t *testing.T, version string, e exchange) {
	config := fakesnapd.Config{Version: version, FlagOff: e.State.FlagOff, Unauthorized: e.State.Unauthorized}
	if e.State.NoCustodian {
		config.NoCustodian = func(string) bool { return true }
	}
	if e.State.Reject != "" {
		config.Reject = func(fakesnapd.Write) string { return e.State.Reject }
	}
	if e.State.HookOutput != "" {
		config.HookFails = func(fakesnapd.Write) (string, bool) { return e.State.HookOutput, true }
	}
	fake := fakesnapd.Start(t, config)
	for view, values := range e.Given {
		if err := fake.Data.Put(viewID(view), numbers(t, values)); err != nil {
			t.Fatalf("given %s: %v", view, err)
		}
	}
	if e.State.Writing != "" {
		t.Cleanup(fake.Hold())
		var body any = map[string]any{"sample-rate": 7}
		if strings.HasPrefix(version, "2.77") {
			body = map[string]any{"values": body}
		}
		status, _ := send(t, fake, "PUT /v2/confdb/"+viewID(e.State.Writing).String(), body)
		if status != http.StatusAccepted {
			t.Fatalf("the write that is to be under way got status %d", status)
		}
	}

	status, answer := send(t, fake, e.Request, e.Body)
	if status != e.Status {
		t.Errorf("status %d, recorded %d", status, e.Status)
	}
	id, _ := answer["change"].(string)
	delete(answer, "change")
	delete(answer, "status")
	if code := answer["status-code"]; code != float64(status) {
		t.Errorf("status-code is %v in an answer of status %d", code, status)
	}
	delete(answer, "status-code")
	if diff := cmp.Diff(normal(e.Answer), normal(answer)); diff != "" {
		t.Errorf("answer differs (-recorded +fake):\n%s", diff)
	}
	if (id != "") != (e.Change != nil) {
		t.Fatalf("change is %q, recorded %v", id, e.Change)
	}
	if e.Change == nil {
		return
	}
	_, answer = send(t, fake, "GET /v2/changes/"+id, nil)
	got := answer["result"].(map[string]any)
	tasks, _ := got["tasks"].([]any)
	var states []any
	for _, task := range tasks {
		task := task.(map[string]any)
		states = append(states, task["kind"].(string)+"="+task["status"].(string))
		if log, found := task["log"].([]any); found && e.Change["log"] != nil {
			words := strings.SplitN(log[len(log)-1].(string), " ", 3)
			got["log"] = words[2]
		}
	}
	delete(got, "tasks")
	if e.Change["tasks"] != nil {
		got["tasks"] = states
	}
	for _, member := range []string{"id", "spawn-time", "ready-time"} {
		if _, found := got[member]; !found {
			t.Errorf("the change has no %s", member)
		}
		delete(got, member)
	}
	if diff := cmp.Diff(normal(e.Change), normal(got)); diff != "" {
		t.Errorf("change differs (-recorded +fake):\n%s", diff)
	}
}

func viewID(view string) backend.ViewID {
	return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: view}
}

// numbers gives values the shapes that cross a backend.
func numbers(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var shaped map[string]any
	if err := decoder.Decode(&shaped); err != nil {
		t.Fatal(err)
	}
	return shaped
}

var taskID = regexp.MustCompile(`task "\d+" (.*): already have "\d+"`)

// normal makes IDs of tasks equal, the only ones in messages that differ from run to run.
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

// send makes a request as recorded and decodes the answer.
func send(t *testing.T, fake *fakesnapd.Fake, request string, body any) (int, map[string]any) {
	t.Helper()
	method, uri, _ := strings.Cut(request, " ")
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+uri, reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", fake.Socket)
		},
	}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	return response.StatusCode, answer
}
