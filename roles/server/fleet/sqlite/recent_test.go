package sqlite_test

import (
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/storetest"

	"github.com/google/uuid"
)

// TestRecent writes all that can be written of a device and of a layer while both are read all the time: whoever wrote
// reads what he wrote, which is what a look-up finds that remembers nothing.
func TestRecent(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "server.db"))
	ctx := t.Context()
	id, key, at := uuid.New(), "key", time.Unix(1_700_000_000, 0).UTC()
	if _, err := store.Add(ctx, fleet.Device{ID: id, Registered: at, KeyID: key}, 0); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					_, _ = store.Device(ctx, id) // what it says is compared below
					_, _ = store.Layer(ctx, fleet.Everyone)
				}
			}
		})
	}
	defer readers.Wait()
	defer close(ended)
	labels := fleet.Labels{}
	for n := range 4 {
		config := storetest.Config(t, `{"n":`+string(rune('0'+n%10))+`}`)
		at := at.Add(time.Duration(n+1) * time.Minute)
		after := fleet.Labels{"n": string(rune('a' + n%10))}
		for what, write := range map[string]func() error{
			"report": func() error { _, err := store.Report(ctx, id, fleet.Report{Config: config, At: at}); return err },
			"observe": func() error {
				return store.Observe(ctx, []fleet.Observation{{ID: uuid.New(), Seen: at}, {ID: id, Seen: at, Twins: at}})
			},
			"labels": func() error {
				_, err := store.SetLabels(ctx, id, labels, after, fleet.Authorship{})
				labels = after
				return err
			},
			"status": func() error { return store.SetStatus(ctx, id, fleet.Status((n+1)%3), nil) },
			"alone":  func() error { return store.SetAlone(ctx, id, at, nil) },
			"key": func() error {
				before := key
				key += "'"
				return store.SetKey(ctx, id, before, "key "+key, key)
			},
			"own layer": func() error {
				_, err := storetest.Change(ctx, store, fleet.Change{Layer: fleet.Layer{Name: fleet.DeviceLayer(id), Config: config}})
				return err
			},
		} {
			before, err := store.Device(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if err := write(); err != nil {
				t.Fatal(what, err)
			}
			got, err := store.Device(ctx, id)
			want, found := store.DeviceByKey(ctx, key)
			if err != nil || found != nil || !reflect.DeepEqual(got, want) || reflect.DeepEqual(got, before) {
				t.Fatalf("after %s: %+v, %v; want %+v, %v", what, got, err, want, found)
			}
		}
		layer := everyone(t, store, config.String())
		if got, err := store.Layer(ctx, fleet.Everyone); err != nil || got.Revision != layer.Revision {
			t.Fatal(got, err)
		}
		change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone}, Remove: true}
		if _, err := storetest.Change(ctx, store, change); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Layer(ctx, fleet.Everyone); err != fleet.ErrUnknownLayer {
			t.Fatal(got, err)
		}
	}
	if err := store.Remove(ctx, id, fleet.Authorship{}); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Device(ctx, id); err != fleet.ErrUnknownDevice {
		t.Fatal(got, err)
	}
}
