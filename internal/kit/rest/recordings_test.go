package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/registry/registrytest/testschema"
)

// An exchange is a request and its answer, recorded with a real snapd 2.77.1.
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
	text, err := os.ReadFile(filepath.Join("..", "..", "machine", "testdata", "snapd-2.77.1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recording struct{ Exchanges []exchange }
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("ACC"), []byte(testschema.AccountID)), &recording); err != nil {
		t.Fatal(err)
	}
	if len(recording.Exchanges) == 0 {
		t.Fatal("nothing was recorded")
	}
	for _, e := range recording.Exchanges {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			replay(t, e)
		})
	}
}

func replay(t *testing.T, e exchange) {
	release := make(chan struct{})
	armed := false // hooks let pass what is given
	var m *machine
	hook := changes.RunnerFunc(func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		switch {
		case !armed || !strings.HasPrefix(hook.Name, "change-view-"):
			return nil, nil
		case e.State.Writing != "":
			<-release
		case e.State.HookOutput != "":
			return []byte(e.State.HookOutput), errors.New("exit status 1")
		case e.State.Reject != "":
			_, err := m.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: []string{"fail", e.State.Reject}})
			return nil, err
		}
		return nil, nil
	})
	with := setup{runner: hook, hooks: []string{"change-view-control-telemetry"}, off: e.State.FlagOff, noCustodian: e.State.NoCustodian,
		options: rest.Options{Root: func(int) bool { return !e.State.Unauthorized }}}
	if e.State.FlagOff {
		e.Given = nil // cannot be written, and makes no difference
	}
	m = serve(t, with)
	for view, values := range e.Given {
		m.put(t, view, values)
	}
	armed = true
	if e.State.Writing != "" {
		defer close(release)
		body := map[string]any{"values": map[string]any{"sample-rate": 7}}
		if status, answer := testclient.Send(t, m.client, "PUT /v2/confdb/"+viewID(e.State.Writing).String(), body); status != http.StatusAccepted {
			t.Fatalf("the write that is to be under way: %d %v", status, answer)
		}
	}
	status, answer := testclient.Send(t, m.client, e.Request, e.Body)
	if status != e.Status {
		t.Errorf("status %d, recorded %d", status, e.Status)
	}
	if code := answer["status-code"]; code != float64(status) {
		t.Errorf("status-code is %v in an answer of status %d", code, status)
	}
	var got map[string]any
	if answer["type"] == "async" {
		got = m.ready(t, answer)
	}
	for _, member := range []string{"change", "status", "status-code"} {
		delete(answer, member)
	}
	if result, ok := answer["result"].(map[string]any); ok {
		delete(result, "value") // was not noted down
	}
	if diff := cmp.Diff(e.Answer, answer); diff != "" {
		t.Errorf("answer differs (-recorded +ours):\n%s", diff)
	}
	if e.Change == nil {
		return
	}
	tasks, _ := got["tasks"].([]any)
	var states []any
	for _, task := range tasks {
		task := task.(map[string]any)
		states = append(states, task["kind"].(string)+"="+task["status"].(string))
		if log, found := task["log"].([]any); found && e.Change["log"] != nil {
			got["log"] = strings.SplitN(log[len(log)-1].(string), " ", 3)[2]
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
	if diff := cmp.Diff(e.Change, got); diff != "" {
		t.Errorf("change differs (-recorded +ours):\n%s", diff)
	}
}
