package world_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/registry/registrytest/testschema"
)

// TestRecordedSnapctl replays the exchanges with snapd's snapctl endpoint.
func TestRecordedSnapctl(t *testing.T) {
	file, err := os.Open("../../machine/testdata/snapctl.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		if strings.HasPrefix(r.Version, "2.77.1") {
			t.Run(r.Name, func(t *testing.T) { r.replay(t) })
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

type recording struct {
	Name, Version string
	Given         struct {
		Stored       json.RawMessage
		Disconnected []string
		NoCustodian  []string `json:"no-custodian"`
		Disabled     bool
		UID          int
		Rejects      string
		Held         bool
	}
	Cookie   *string
	Args     []string
	Status   int
	Stdout   *string
	Message  string
	Contains []string
	Answer   *struct {
		Type   string
		Result any
	}
	Stored json.RawMessage
}

func (r *recording) replay(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	var w *world.World
	w = machine(t, changes.Options{Runner: changes.RunnerFunc(func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		if r.Given.Held {
			close(running)
			<-release
		}
		_, err := w.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: []string{"fail", r.Given.Rejects}})
		return nil, err
	})})
	cust, err := w.Snap("cust")
	must(t, err)
	cust.Plugs["network"] = facts.Plug{Interface: "network"}
	cust.Services = map[string]facts.Service{"svc": {Command: "bin/svc", Daemon: "simple"}}
	if r.Given.Held || r.Given.Rejects != "" {
		cust.Hooks = []string{"change-view-control-telemetry"}
	}
	must(t, w.Facts.Install(cust))
	if r.Given.Stored != nil {
		must(t, w.Facts.SetStored(testschema.AccountID, testschema.Name, r.Given.Stored))
	}
	for _, plug := range r.Given.Disconnected {
		must(t, w.Facts.Disconnect("cust", plug))
	}
	must(t, w.Facts.SetSystem(map[string]any{"experimental.confdb": !r.Given.Disabled}))
	if r.Given.NoCustodian != nil {
		for _, view := range r.Given.NoCustodian {
			plug := cust.Plugs[view]
			plug.Role = ""
			cust.Plugs[view] = plug
		}
		must(t, w.Facts.Install(cust))
	}
	if r.Given.Held {
		_, err := w.Changes.Set(t.Context(), view("control-telemetry"), map[string]any{"sample-rate": json.Number("9")}, changes.Access{})
		must(t, err)
		<-running
		defer close(release)
	}
	cookie, err := w.Facts.Now().Cookie("cust")
	must(t, err)
	if r.Cookie != nil {
		cookie = *r.Cookie
	}
	output, err := w.Snapctl.Run(t.Context(), snapctl.Call{Cookie: cookie, UID: r.Given.UID, Args: r.Args})
	status, message, result := 200, "", any(map[string]any{"stdout": output.Stdout, "stderr": output.Stderr})
	if refused := (*facts.Error)(nil); errors.As(err, &refused) {
		status, message = refused.Status, refused.Message
		object := map[string]any{"message": refused.Message, "kind": refused.Kind}
		if refused.Value != nil {
			object["value"] = refused.Value
		}
		text, err := json.Marshal(object)
		must(t, err)
		must(t, json.Unmarshal(text, &result))
	} else if err != nil {
		t.Fatal(err)
	}
	if status != r.Status {
		t.Errorf("status %d, recorded %d", status, r.Status)
	}
	// The recorded version has the packaging's number behind it.
	if r.Stdout != nil && strings.ReplaceAll(*r.Stdout, "2.77.1-2", facts.Version) != output.Stdout {
		t.Errorf("stdout (-recorded +got):\n%s", cmp.Diff(*r.Stdout, output.Stdout))
	}
	if r.Message != "" && r.Message != message {
		t.Errorf("message (-recorded +got):\n%s", cmp.Diff(r.Message, message))
	}
	for _, part := range r.Contains {
		if !strings.Contains(message, part) {
			t.Errorf("message %q, recorded one with %q", message, part)
		}
	}
	if r.Answer != nil {
		if diff := cmp.Diff(r.Answer.Result, result); diff != "" {
			t.Errorf("answer (-recorded +got):\n%s", diff)
		}
	}
	if r.Stored != nil && !bytes.Equal(r.Stored, []byte(w.Facts.Now().Stored(testschema.AccountID, testschema.Name))) {
		t.Errorf("stored %s, recorded %s", w.Facts.Now().Stored(testschema.AccountID, testschema.Name), r.Stored)
	}
}

// TestTurns checks the order of accesses: all others wait for a writer until its hooks have ended.
func TestTurns(t *testing.T) {
	entered, leave := make(chan string), make(chan struct{})
	w := machine(t, changes.Options{Runner: changes.RunnerFunc(func(_ context.Context, hook changes.Hook) ([]byte, error) {
		entered <- hook.Name
		<-leave
		return nil, nil
	})})
	cust, err := w.Snap("cust")
	must(t, err)
	cust.Hooks = []string{"change-view-control-telemetry", "load-view-observe-device"}
	must(t, w.Facts.Install(cust))
	rate := func(n string) map[string]any { return map[string]any{"sample-rate": json.Number(n)} }
	_, err = w.Changes.Set(t.Context(), view("control-telemetry"), rate("1"), changes.Access{})
	must(t, err)
	<-entered
	now := time.Duration(0)
	_, err = w.Changes.Set(t.Context(), view("control-tunnel"), map[string]any{"interface": "eth0"}, changes.Access{Timeout: &now})
	if want := "cannot write " + view("control-tunnel").String() + ": timed out waiting for access"; err == nil || err.Error() != want {
		t.Errorf("a second writer: %v", err)
	}
	_, err = w.Changes.Get(t.Context(), view("control-tunnel"), nil, changes.Access{Timeout: &now})
	if want := "cannot read " + view("control-tunnel").String() + ": timed out waiting for access"; err == nil || err.Error() != want {
		t.Errorf("a reader: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = w.Changes.Get(ctx, view("control-tunnel"), nil, changes.Access{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader that has gone: %v", err)
	}
	second := make(chan error)
	go func() {
		_, err := w.Changes.Set(t.Context(), view("control-telemetry"), rate("2"), changes.Access{})
		second <- err
	}()
	leave <- struct{}{}
	must(t, <-second)
	<-entered
	leave <- struct{}{}
	list := w.Changes.Changes()
	if last, err := w.Changes.Wait(t.Context(), list[len(list)-1].ID); err != nil || last.Status != changes.Done {
		t.Errorf("%+v, %v", last, err)
	}
	if got := w.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != `{"metrics":{"sample-rate":2}}` {
		t.Errorf("stored %s", got)
	}
}

// TestOwnHook has a custodian's hook that writes to its own view: it waits for itself until the time limit, and the write is
// performed nevertheless.
func TestOwnHook(t *testing.T) {
	var w *world.World
	var message string
	w = machine(t, changes.Options{WriteLimit: time.Millisecond, Runner: changes.RunnerFunc(
		func(ctx context.Context, hook changes.Hook) ([]byte, error) {
			if hook.Name != "connect-plug-control-device" {
				return nil, nil
			}
			_, err := w.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie,
				Args: []string{"set", "--view", ":control-device", "server-url=http://x"}})
			if err != nil {
				message = err.Error()
			}
			return nil, nil
		})})
	cust, err := w.Snap("cust")
	must(t, err)
	cust.Hooks = []string{"change-view-control-device", "connect-plug-control-device"}
	must(t, w.Facts.Install(cust))
	must(t, w.Facts.Disconnect("cust", "control-device"))
	must(t, w.Changes.Complete(t.Context())(w.Changes.Connect("cust", "control-device")))
	want := "snapctl: cannot write confdb view " + view("control-device").String() + ": timed out (1ms) waiting for change "
	if !strings.HasPrefix(message, want) {
		t.Errorf("%q", message)
	}
	if got := w.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != `{"device":{"server-url":"http://x"}}` {
		t.Errorf("stored %s", got)
	}
}

// TestDurable checks that a reopened world has the committed values, and that changes that were running have ended.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	w := machineIn(t, dir, changes.Options{})
	_, err := world.Open(dir, changes.Options{})
	if err == nil || !strings.Contains(err.Error(), "another process runs it") {
		t.Errorf("opened twice: %v", err)
	}
	id, err := w.Changes.Set(t.Context(), view("control-telemetry"), map[string]any{"sample-rate": json.Number("3")}, changes.Access{})
	must(t, err)
	before, err := w.Changes.Wait(t.Context(), id)
	must(t, err)
	notices := w.Changes.Notices(changes.NoticeFilter{Keys: []string{id}})
	must(t, w.Close())
	again, err := world.Open(dir, changes.Options{})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	if got := again.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != `{"metrics":{"sample-rate":3}}` {
		t.Errorf("stored %s", got)
	}
	after, err := again.Changes.Change(id)
	must(t, err)
	if after.Status != before.Status || after.ID != before.ID || len(after.Tasks) != len(before.Tasks) {
		t.Errorf("%+v, was %+v", after, before)
	}
	if diff := cmp.Diff(notices, again.Changes.Notices(changes.NoticeFilter{Keys: []string{id}})); diff != "" {
		t.Errorf("notices (-before +after):\n%s", diff)
	}
	if len(again.Facts.Now().Connections()) != 7 || len(again.Facts.Now().Schemas()) != 1 {
		t.Errorf("%d connections, %d confdb-schemas", len(again.Facts.Now().Connections()), len(again.Facts.Now().Schemas()))
	}
}

// TestNoDisk checks that an act that cannot be stored has no effect.
func TestNoDisk(t *testing.T) {
	dir := t.TempDir()
	w := machineIn(t, dir, changes.Options{})
	set := func(rate string) (changes.Change, error) {
		id, err := w.Changes.Set(t.Context(), view("control-telemetry"), map[string]any{"sample-rate": json.Number(rate)}, changes.Access{})
		if err != nil {
			return changes.Change{}, err
		}
		return w.Changes.Wait(t.Context(), id)
	}
	if change, err := set("3"); err != nil || change.Status != changes.Done {
		t.Fatalf("%+v, %v", change, err)
	}
	away := dir + ".away"
	must(t, os.Rename(dir, away))
	if change, err := set("4"); err == nil || !strings.Contains(err.Error(), "cannot write "+dir) {
		t.Errorf("%+v, %v", change, err)
	}
	if err := w.Facts.Disconnect("cust", "control-telemetry"); err == nil {
		t.Error("a plug was disconnected, and nobody will know")
	}
	if err := w.Facts.Install(facts.Snap{Name: "other"}); err == nil {
		t.Error("a snap was installed, and nobody will know")
	}
	must(t, os.Rename(away, dir))
	if got := w.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != `{"metrics":{"sample-rate":3}}` {
		t.Errorf("stored %s", got)
	}
	if len(w.Facts.Now().Connections()) != 7 || len(w.Snaps()) != 1 || len(w.Facts.Now().Schemas()) != 1 {
		t.Errorf("%d connections, %d snaps, %d confdb-schemas", len(w.Facts.Now().Connections()), len(w.Snaps()), len(w.Facts.Now().Schemas()))
	}
	if change, err := set("5"); err != nil || change.Status != changes.Done {
		t.Errorf("%+v, %v", change, err)
	}
}
