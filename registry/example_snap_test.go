package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"testing"

	"aspects-poc/internal/machine"
	"aspects-poc/registry"
)

// lampSnap is a snap on an imitated snapd with the confdb-schema lamp. The snap is the custodian of its views.
type lampSnap struct {
	testing.TB // for the methods that package machine needs
	*machine.Machine
	dir  string
	ends []func()
}

func (s *lampSnap) Helper()                       {}
func (s *lampSnap) TempDir() string               { return s.dir }
func (s *lampSnap) Cleanup(end func())            { s.ends = append(s.ends, end) }
func (s *lampSnap) Fatalf(text string, of ...any) { log.Fatalf(text, of...) }

// installLamp starts the imitated snapd with the snap.
func installLamp() *lampSnap {
	dir, err := os.MkdirTemp("", "lamp")
	if err != nil {
		log.Fatal(err)
	}
	snap := &lampSnap{dir: dir}
	snap.Machine = machine.Start(snap, machine.Options{Snap: "lamp-snap", Documents: []json.RawMessage{json.RawMessage(lampForSnapSign)}})
	return snap
}

func (s *lampSnap) remove() {
	for _, end := range s.ends {
		end()
	}
	_ = os.RemoveAll(s.dir) // a temporary folder
}

// options direct a program to the imitated snapd. Programs in a real snap need none: snapd sets the variables.
func (s *lampSnap) options(cookie string) registry.Options {
	return registry.Options{SnapSocket: s.SnapSocket(), Getenv: func(name string) string {
		return map[string]string{"SNAP_COOKIE": cookie, "SNAP_INSTANCE_NAME": "lamp-snap", "SNAP_COMMON": s.dir}[name]
	}}
}

const lampForSnapSign = `{"type": "confdb-schema", "account-id": "acme", "name": "lamp",
	"views": {"control": {"rules": [{"request": "brightness", "storage": "lamp.brightness"},
		{"request": "color", "storage": "lamp.color"}]}},
	"body": "{\"storage\": {\"schema\": {\"lamp\": {\"schema\": {\"brightness\": \"int\", \"color\": \"string\"}}}}}"}`

// This change-view hook of the view's custodian refuses invalid combinations. The name for OpenHook is the base name
// of the program.
func ExampleOpenHook() {
	snap := installLamp()
	defer snap.remove()
	changeViewControl := func(ctx context.Context, options registry.Options) error {
		hook, err := registry.OpenHook(ctx, "change-view-control", options) // real hooks need no options
		if err != nil {
			return err
		}
		defer func() { _ = hook.Close() }()
		var lamp struct {
			Brightness int    `json:"brightness"`
			Color      string `json:"color"`
		}
		if err := hook.View("control").Read(ctx, &lamp); err != nil { // what is about to be stored
			return err
		}
		if lamp.Color == "red" && lamp.Brightness > 50 {
			return hook.Refuse(ctx, "red is never brighter than 50")
		}
		return nil
	}
	snap.Handle("change-view-control", func(call machine.HookCall) error {
		return changeViewControl(context.Background(), snap.options(call.Cookie))
	})
	fmt.Println(snap.Write("control", map[string]any{"color": "red", "brightness": 40}))
	fmt.Println(snap.Write("control", map[string]any{"brightness": 60}))
	// Output:
	// <nil>
	// cannot change confdb acme/lamp: lamp-snap rejected changes: red is never brighter than 50
}

// snapd announces no changes to the services of a snap. The snap's observe-view hooks announce them with Announce,
// and the service reads after each hint.
func ExampleView_Hints() {
	snap := installLamp()
	defer snap.remove()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	service, err := registry.Open(ctx, "auto", snap.options(snap.Cookie()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	hints, err := service.View("control").Hints(ctx)
	if err != nil {
		log.Fatal(err)
	}

	snap.Handle("observe-view-control", func(call machine.HookCall) error {
		hook, err := registry.OpenHook(ctx, "observe-view-control", snap.options(call.Cookie))
		if err != nil {
			return err
		}
		defer func() { _ = hook.Close() }()
		return hook.Announce("control")
	})
	if err := snap.Write("control", map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	<-hints
	values, err := service.View("control").Get(ctx)
	fmt.Println(values, err)
	// Output: map[brightness:40] <nil>
}
