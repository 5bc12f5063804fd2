package world_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/registry/registrytest/testschema"
)

// selfish is a custodian whose configure hook writes through its own view, which its change-view hook guards: each waits for
// the other one. before is done in the configure hook after the write has come to its limit.
func selfish(t *testing.T, options changes.Options, before func(ctx context.Context, call func(args ...string) error) error) (
	w *world.World, ran func() []string) {
	var mu sync.Mutex
	var list []string
	options.Runner = changes.RunnerFunc(func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		mu.Lock()
		list = append(list, hook.Name)
		mu.Unlock()
		if hook.Name != "configure" {
			return nil, nil
		}
		return nil, before(ctx, func(args ...string) error {
			_, err := w.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: args})
			return err
		})
	})
	w = machine(t, options)
	cust, err := w.Snap("cust")
	must(t, err)
	cust.Hooks = []string{"change-view-control-telemetry", "configure"}
	must(t, w.Facts.Install(cust))
	return w, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

func statuses(c changes.Change) string {
	var list []string
	for _, task := range c.Tasks {
		list = append(list, task.Kind+"="+task.Status)
	}
	return strings.Join(list, " ")
}

// TestHeldBack checks that the write of a hook that fails, or is aborted, while its own change-view hook waits for it is
// never made: snapd was seen to do so.
func TestHeldBack(t *testing.T) {
	set := []string{"set", "--view", ":control-telemetry", "sample-rate=7"}
	const held = " clear-confdb-tx-on-error=Undone run-hook=Hold commit-confdb-tx=Hold clear-confdb-tx=Hold"
	waiting := make(chan struct{}, 1)
	for _, test := range []struct {
		name   string
		limit  time.Duration
		hook   func(ctx context.Context, call func(...string) error) error
		during func(w *world.World, id string)
		status string
		want   string
		stored string
	}{
		{"it goes on", time.Millisecond, func(_ context.Context, call func(...string) error) error {
			if err := call(set...); err == nil || !strings.Contains(err.Error(), "timed out (1ms) waiting for change") {
				return errors.Join(errors.New("not this"), err)
			}
			return nil
		}, nil, changes.Done, "run-hook=Done clear-confdb-tx-on-error=Done run-hook=Done commit-confdb-tx=Done clear-confdb-tx=Done",
			`{"metrics":{"sample-rate":7}}`},
		{"it fails", time.Millisecond, func(_ context.Context, call func(...string) error) error { return call(set...) },
			nil, changes.Failed, "run-hook=Error" + held, "{}"},
		{"it is aborted", time.Hour, func(ctx context.Context, call func(...string) error) error {
			waiting <- struct{}{}
			err := call(set...)
			<-ctx.Done()
			return err
		}, func(w *world.World, id string) {
			<-waiting
			for c := (changes.Change{}); len(c.Tasks) < 5 || c.Tasks[1].Status != changes.Done; c, _ = w.Changes.Change(id) { // it has joined
				time.Sleep(time.Millisecond)
			}
			_, err := w.Changes.Abort(id)
			must(t, err)
		}, changes.Failed, "run-hook=Error" + held, "{}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, ran := selfish(t, changes.Options{WriteLimit: test.limit}, test.hook)
			id, err := w.Changes.Configure("cust", map[string]any{"option": "x"})
			must(t, err)
			if test.during != nil {
				test.during(w, id)
			}
			change, err := w.Changes.Wait(t.Context(), id)
			must(t, err)
			if got := statuses(change); change.Status != test.status || got != test.want {
				t.Errorf("%s: %s\nwant %s: %s", change.Status, got, test.status, test.want)
			}
			if got := w.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != test.stored {
				t.Errorf("stored %s, want %s", got, test.stored)
			}
			if _, there := w.Facts.Now().Config("cust")["option"]; there != (test.status == changes.Done) {
				t.Errorf("options %v", w.Facts.Now().Config("cust"))
			}
			if test.status != changes.Done && slices.Contains(ran(), "change-view-control-telemetry") {
				t.Error("change-view ran")
			}
			// Nobody holds the confdb any more.
			now := time.Duration(0)
			if _, err := w.Changes.Get(t.Context(), view("control-tunnel"), nil, changes.Access{Timeout: &now}); err != nil &&
				strings.Contains(err.Error(), "timed out") {
				t.Error(err)
			}
		})
	}
}

// TestCallsOutlive checks that a hook is not over before the calls of snapctl that it has begun are, also when the program
// that called has gone: its change goes on, and what it waits for ends it.
func TestCallsOutlive(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration
		end     func(w *world.World, id string) error
		status  string
		read    string
		stored  string
	}{
		{"by its limit", 100 * time.Millisecond, func(*world.World, string) error { return nil }, changes.Done,
			"timed out waiting for access", `{"metrics":{"sample-rate":7}}`},
		{"by whoever aborts it", time.Hour, func(w *world.World, id string) error {
			_, err := w.Changes.Abort(id) // an error if it is over
			return err
		}, changes.Undone, "context canceled|no data", "{}"}, // it ends, or has its turn in the moment in which all is undone
	} {
		t.Run(test.name, func(t *testing.T) {
			pending, gone, read := make(chan bool, 10), make(chan bool, 1), make(chan error, 1)
			w, _ := selfish(t, changes.Options{WriteLimit: time.Millisecond, AccessTimeout: test.timeout, NoticeWaits: time.Millisecond,
				Observe: func(e changes.Event) {
					if e.Kind == changes.WaitsTurn {
						pending <- true
					}
				}}, func(_ context.Context, call func(...string) error) error {
				_ = call("set", "--view", ":control-telemetry", "sample-rate=7") // it has come to its limit
				go func() { read <- call("get", "--view", ":control-telemetry") }()
				<-pending
				gone <- true
				return nil
			})
			id, err := w.Changes.Configure("cust", map[string]any{"option": true})
			must(t, err)
			<-gone
			must(t, test.end(w, id))
			change, err := w.Changes.Wait(t.Context(), id)
			must(t, err)
			if change.Status != test.status {
				t.Errorf("%s: %s, want %s", change.Status, statuses(change), test.status)
			}
			if _, there := w.Facts.Now().Config("cust")["option"]; there != (test.status == changes.Done) {
				t.Errorf("options %v", w.Facts.Now().Config("cust"))
			}
			if err := <-read; err == nil || !regexp.MustCompile(test.read).MatchString(err.Error()) {
				t.Errorf("the read: %v, want %s", err, test.read)
			}
			if got := w.Facts.Now().Stored(testschema.AccountID, testschema.Name); got != test.stored {
				t.Errorf("stored %s, want %s", got, test.stored)
			}
		})
	}
}

// TestWaitsAreTold checks the events about a hook that waits for itself, and an access that waits for another.
func TestWaitsAreTold(t *testing.T) {
	events := make(chan changes.Event, 10)
	w, _ := selfish(t, changes.Options{NoticeWaits: time.Millisecond, WriteLimit: time.Hour, Observe: func(e changes.Event) {
		if e.Kind == changes.Waits || e.Kind == changes.WaitsTurn {
			events <- e
		}
	}}, func(_ context.Context, call func(...string) error) error {
		return call("set", "--view", ":control-telemetry", "sample-rate=7")
	})
	id, err := w.Changes.Configure("cust", map[string]any{"option": true})
	must(t, err)
	e := <-events
	if e.Kind != changes.Waits || e.Snap != "cust" || e.Hook != "change-view-control-telemetry" || e.For != "configure" || !e.Forever {
		t.Errorf("%+v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := w.Changes.Get(ctx, view("control-tunnel"), nil, changes.Access{})
		gone <- err
	}()
	if e := <-events; e.Kind != changes.WaitsTurn || !e.Read || e.For != "cust sets network/control-telemetry" {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err = w.Changes.Abort(id)
	must(t, err)
}

// TestConnectsItself installs a snap of the account that publishes its confdb-schema: its plug is connected before the install
// hook, which then can deadlock.
func TestConnectsItself(t *testing.T) {
	var mu sync.Mutex
	var order []string
	var w *world.World
	w = machine(t, changes.Options{Runner: changes.RunnerFunc(func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		_, err := w.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: []string{"is-connected", "tele"}})
		mu.Lock()
		defer mu.Unlock()
		if order = append(order, hook.Name); err == nil {
			order[len(order)-1] += "+"
		}
		return nil, nil
	})})
	snap := facts.Snap{Name: "auto", Publisher: testschema.AccountID, Hooks: []string{"prepare-plug-tele", "connect-plug-tele", "install",
		"default-configure", "configure"}, Plugs: map[string]facts.Plug{"tele": {Interface: "confdb", Account: testschema.AccountID,
		View: testschema.Name + "/control-telemetry", Role: facts.Custodian}}}
	must(t, w.Changes.Complete(t.Context())(w.Changes.Install(snap)))
	if got := strings.Join(order, " "); got != "prepare-plug-tele connect-plug-tele+ install+ default-configure+ configure+" {
		t.Errorf("hooks, with + when it is connected: %s", got)
	}
	must(t, w.Changes.Complete(t.Context())(w.Changes.Disconnect("auto", "tele", "")))
	must(t, w.Changes.Complete(t.Context())(w.Changes.Install(snap))) // a refresh leaves it as somebody wanted it
	if slices.ContainsFunc(w.Facts.Now().Connections(), func(c facts.Connection) bool { return c.Snap == "auto" }) {
		t.Error("connected again")
	}
}
