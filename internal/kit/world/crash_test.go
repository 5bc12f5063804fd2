package world_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/registry/registrytest/testschema"
)

// A faultyDisk fails at one of its writes.
type faultyDisk struct {
	at    int    // which one; 0 for none
	fault string // one of faults

	mu    sync.Mutex // guards what follows
	count int
	dead  bool
}

// The faults. After a death no write has an effect, as if the process had ended.
const (
	diesBefore = "dies before"     // nothing is written
	diesAmid   = "dies amid"       // half of it is, under another name
	diesAfter  = "dies after"      // all of it is, and nobody learns that
	diskFull   = "has a full disk" // nothing is written, but later there is room
)

var errDead = errors.New("dead")

func (d *faultyDisk) write(path string, content []byte, mode os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if d.dead {
		return errDead
	}
	if d.count != d.at {
		return replace(path, content, mode)
	}
	d.dead = d.fault != diskFull
	switch d.fault {
	case diskFull:
		return syscall.ENOSPC
	case diesAmid:
		half := filepath.Join(filepath.Dir(path), ".state.json.123")
		return errors.Join(errDead, os.WriteFile(half, content[:len(content)/2], mode))
	case diesAfter:
		return errors.Join(errDead, replace(path, content, mode))
	}
	return errDead
}

// replace is durable.Write without waiting for the disk: there is no power cut in here.
func replace(path string, content []byte, mode os.FileMode) error {
	return errors.Join(os.WriteFile(path+".new", content, mode), os.Rename(path+".new", path))
}

func (d *faultyDisk) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (d *faultyDisk) writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// A visible has the state of a machine that lasts.
type visible struct {
	Schemas     []string
	Stored      string
	Snaps       []facts.Snap
	Connections []facts.Connection
	Config      map[string]map[string]any
}

func see(w *world.World) visible {
	v := visible{Stored: w.Facts.Now().Stored(testschema.AccountID, testschema.Name), Snaps: w.Snaps(), Connections: w.Facts.Now().Connections(),
		Config: map[string]map[string]any{"system": w.Facts.Now().Config("system")}}
	for _, schema := range w.Facts.Now().Schemas() {
		v.Schemas = append(v.Schemas, fmt.Sprintf("%s %d", schema.ID(), schema.Parsed.Revision))
	}
	for _, snap := range v.Snaps {
		v.Config[snap.Name] = w.Facts.Now().Config(snap.Name)
	}
	return v
}

// hooks run in the place of those of cust and obs. Every configure hook sets an option of its own; that of a connection
// fails as soon as the snap has the option "refuse".
func hooks(w **world.World) changes.RunnerFunc {
	return func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		call := func(args ...string) error {
			_, err := (*w).Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: args})
			return err
		}
		switch hook.Name {
		case "configure":
			return nil, call("set", "configured=true")
		case "change-view-control-telemetry":
			return nil, call("set", "--view", ":control-telemetry", "monitor-packets-received=true")
		case "connect-plug-control-device":
			return []byte("refused"), errors.New("exit status 1")
		}
		return nil, nil
	}
}

// An act is one act on a machine. It has ended when it returns; fails means that it must fail.
type act struct {
	name  string
	do    func(ctx context.Context, w *world.World) error
	fails bool
}

// aLife returns one act of each kind that changes a machine.
func aLife(t *testing.T) []act {
	t.Helper()
	schema, err := facts.ParseSchema(testschema.Document())
	must(t, err)
	other := schema.Parsed.Account + "/other"
	document := strings.Replace(string(schema.Document), `"name": "network"`, `"name": "other"`, 1)
	second, err := facts.ParseSchema([]byte(document))
	if err != nil || second.ID() != other {
		t.Fatalf("%v, %s", err, second.ID())
	}
	cust := snapOf("cust", facts.Custodian, "control-telemetry", "control-device")
	cust.Hooks = []string{"install", "configure", "change-view-control-telemetry", "connect-plug-control-telemetry",
		"connect-plug-control-device", "disconnect-plug-control-telemetry"}
	obs := snapOf("obs", "", "control-telemetry")
	obs.Hooks = []string{"install", "observe-view-control-telemetry"}
	refreshed := snapOf("cust", facts.Custodian, "control-device")
	refreshed.Hooks = []string{"pre-refresh", "post-refresh", "configure"}
	refreshed.Version = "2"
	set := func(rate int) func(context.Context, *world.World) error {
		return func(ctx context.Context, w *world.World) error {
			id, err := w.Changes.Set(ctx, view("control-telemetry"), map[string]any{"sample-rate": json.Number(fmt.Sprint(rate))}, changes.Access{})
			if err != nil {
				return err
			}
			change, err := w.Changes.Wait(ctx, id)
			if err == nil && change.Status != changes.Done {
				err = errors.New(change.Err)
			}
			return err
		}
	}
	on := func(do func(w *world.World, ctx context.Context) error) func(context.Context, *world.World) error {
		return func(ctx context.Context, w *world.World) error { return do(w, ctx) }
	}
	return []act{
		{name: "acknowledge", do: func(_ context.Context, w *world.World) error { return w.Facts.Acknowledge(schema, second) }},
		{name: "feature", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Configure("system", map[string]any{"experimental.confdb": true}))
		})},
		{name: "install custodian", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Install(cust))
		})},
		{name: "connect custodian", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Connect("cust", "control-telemetry"))
		})},
		{name: "set", do: set(3)},
		{name: "install observer", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Install(obs))
		})},
		{name: "connect observer", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Connect("obs", "control-telemetry"))
		})},
		{name: "set again", do: set(4)},
		{name: "configure", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Configure("cust", map[string]any{"a.b": "c", "configured": nil}))
		})},
		{name: "connect in vain", fails: true, do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Connect("cust", "control-device"))
		})},
		{name: "disconnect", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Disconnect("obs", "control-telemetry", ""))
		})},
		{name: "refresh", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Install(refreshed))
		})},
		{name: "remove", do: on(func(w *world.World, ctx context.Context) error {
			return w.Changes.Complete(ctx)(w.Changes.Remove(false, "obs"))
		})},
		{name: "forget", do: func(_ context.Context, w *world.World) error { return w.Facts.Forget(testschema.AccountID, "other") }},
	}
}

func snapOf(name, role string, views ...string) facts.Snap {
	snap := facts.Snap{Name: name, Plugs: map[string]facts.Plug{}}
	for _, view := range views {
		snap.Plugs[view] = facts.Plug{Interface: "confdb", Account: testschema.AccountID, View: testschema.Name + "/" + view, Role: role}
	}
	return snap
}

func on(t *testing.T, dir string, disk *faultyDisk) *world.World {
	t.Helper()
	var w *world.World
	w, err := world.OpenOn(dir, disk.write, changes.Options{Runner: hooks(&w)})
	must(t, err)
	return w
}

// reopened opens the machine in a directory as the next process does.
func reopened(t *testing.T, dir string) (visible, []changes.Change) {
	t.Helper()
	w, err := world.Open(dir, changes.Options{})
	must(t, err)
	defer func() { must(t, w.Close()) }()
	return see(w), w.Changes.Changes()
}

// TestDeathAtEachWrite lets a machine's process die at each write to the disk of a whole life. The next one finds all of
// what was there before the act during which it died, or all of what that was to bring about, never a part, and nothing
// that was acknowledged is lost.
func TestDeathAtEachWrite(t *testing.T) {
	life := aLife(t)
	states, writes := lived(t, life)
	for at := 1; at <= writes; at++ {
		for _, fault := range []string{diesBefore, diesAmid, diesAfter} {
			dir := t.TempDir()
			disk := &faultyDisk{at: at, fault: fault}
			w := on(t, dir, disk)
			done := 0 // acts that were acknowledged
			for done < len(life) && (life[done].do(t.Context(), w) == nil) != life[done].fails {
				if life[done].fails && disk.isDead() {
					break // for another reason
				}
				done++
			}
			must(t, w.Close())
			got, changes := reopened(t, dir)
			if before := cmp.Diff(states[done], got, cmpopts.EquateEmpty()); before != "" {
				if done == len(life) || cmp.Diff(states[done+1], got, cmpopts.EquateEmpty()) != "" {
					t.Fatalf("%s write %d, after %d acts: neither what was there before nor after (-before +got):\n%s", fault, at, done, before)
				}
			}
			for _, change := range changes {
				if !change.Ready {
					t.Errorf("%s write %d: %s is under way", fault, at, change.Summary)
				}
			}
			entries, err := os.ReadDir(dir)
			must(t, err)
			for _, entry := range entries {
				if !slices.Contains([]string{"state.json", "lock"}, entry.Name()) {
					t.Errorf("%s write %d: left: %s", fault, at, entry.Name())
				}
			}
		}
	}
}

// TestFullDiskAtEachWrite lets each write to the disk of a whole life fail once. What somebody asked for then has not
// happened or has wholly, as the answer says, the disk has the same as the memory, and the second attempt succeeds.
func TestFullDiskAtEachWrite(t *testing.T) {
	life := aLife(t)
	states, writes := lived(t, life)
	for at := 1; at <= writes; at++ {
		dir := t.TempDir()
		disk := &faultyDisk{at: at, fault: diskFull}
		w := on(t, dir, disk)
		for i, act := range life {
			before := disk.writes()
			err := act.do(t.Context(), w)
			want := states[i+1]
			if err != nil && !act.fails {
				want = states[i]
				if !strings.Contains(err.Error(), "no space left on device") {
					t.Errorf("write %d: %s: %v", at, act.name, err)
				}
			}
			if diff := cmp.Diff(want, see(w), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("write %d: %s returned %v (-want +got):\n%s", at, act.name, err, diff)
			}
			if faulty := before < at && disk.writes() >= at; !faulty && i < len(life)-1 {
				continue
			}
			copied := t.TempDir()
			if text, err := os.ReadFile(filepath.Join(dir, "state.json")); err == nil {
				must(t, os.WriteFile(filepath.Join(copied, "state.json"), text, 0o600))
			}
			onDisk, _ := reopened(t, copied)
			if diff := cmp.Diff(want, onDisk, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("write %d: %s returned %v (-want +on disk):\n%s", at, act.name, err, diff)
			}
			if err != nil && !act.fails {
				must(t, act.do(t.Context(), w))
			}
		}
		must(t, w.Close())
	}
}

// lived returns the states of a machine before each act of a life and after the last one, and the number of its writes.
func lived(t *testing.T, life []act) (states []visible, writes int) {
	t.Helper()
	disk := &faultyDisk{}
	w := on(t, t.TempDir(), disk)
	defer func() { must(t, w.Close()) }()
	states = append(states, see(w))
	for _, act := range life {
		if err := act.do(t.Context(), w); (err != nil) != act.fails {
			t.Fatalf("%s: %v", act.name, err)
		}
		states = append(states, see(w))
		before := states[len(states)-2]
		if same := cmp.Diff(before, see(w)) == ""; same != act.fails {
			t.Fatalf("%s: changed nothing: %v", act.name, same)
		}
	}
	return states, disk.count
}
