package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"

	"github.com/gofrs/flock"
)

// A counters stores the totals of packets between cycles, and supplies them to readers of the views.
type counters interface {
	// advance passes the configuration and the totals so far to count, stores the totals that count returns, and
	// returns the new document of control-interfaces. It may call count again.
	advance(ctx context.Context, hub *attach.Hub, count func(network.ControlInterfaces) []traffic) (
		list []traffic, document map[string]any, err error)
	// document reads the document of control-interfaces.
	document(ctx context.Context, hub *attach.Hub) (map[string]any, error)
	// forget makes the next call read control-interfaces. Call it after a write of that view.
	forget()
}

// inRegistry stores the totals in the registry, with one update per cycle.
type inRegistry struct {
	// ahead are totals from the file, until they are written.
	ahead map[string]network.InterfaceStats
}

func (c *inRegistry) advance(ctx context.Context, hub *attach.Hub, count func(network.ControlInterfaces) []traffic) (
	list []traffic, document map[string]any, err error,
) {
	err = hub.View(network.ControlInterfacesView).Update(ctx, nil,
		func(current map[string]any) (map[string]any, error) {
			var interfaces network.ControlInterfaces
			if err := registry.Decode(current, &interfaces); err != nil {
				return nil, err
			}
			stored := interfaces.Stats
			if len(c.ahead) > 0 {
				interfaces.Stats = maps.Clone(c.ahead)
			}
			list = count(interfaces)
			values, stats := map[string]any{}, map[string]any{}
			for _, traffic := range list {
				if before, known := stored[traffic.name]; known && before == traffic.total {
					continue // unchanged
				}
				total, err := registry.Values(traffic.total)
				if err != nil {
					return nil, err
				}
				values["stats."+traffic.name], stats[traffic.name] = total, total
			}
			document = withStats(current, stats)
			return values, nil
		})
	if err == nil {
		c.ahead = nil
	}
	return list, document, err
}

func (*inRegistry) document(ctx context.Context, hub *attach.Hub) (map[string]any, error) {
	document, err := hub.View(network.ControlInterfacesView).Get(ctx)
	if errors.Is(err, registry.ErrNoData) {
		return nil, nil
	}
	return document, err
}

func (*inRegistry) forget() {}

// withStats returns a copy of control-interfaces' document with these totals added or replaced.
func withStats(document, stats map[string]any) map[string]any {
	all := map[string]any{}
	if found, ok := document["stats"].(map[string]any); ok {
		maps.Copy(all, found)
	}
	maps.Copy(all, stats)
	document = maps.Clone(document)
	if document == nil {
		document = map[string]any{}
	}
	if len(all) > 0 {
		document["stats"] = all
	}
	return document
}

// inFile stores the totals in a file of the snap. The snap's load-view hooks supply them to readers: on a real snapd
// a write in each cycle would cost more than everything else. It reads the registry only after a change.
type inFile struct {
	file countersFile
	view *kept.View // control-interfaces
}

func (c *inFile) advance(ctx context.Context, _ *attach.Hub, count func(network.ControlInterfaces) []traffic) (
	list []traffic, document map[string]any, err error,
) {
	if document, err = c.view.Get(ctx); err != nil && !errors.Is(err, registry.ErrNoData) {
		return nil, nil, err
	}
	var interfaces network.ControlInterfaces
	if err := registry.Decode(document, &interfaces); err != nil {
		return nil, nil, err
	}
	var totals map[string]network.InterfaceStats
	err = c.file.change(ctx, func(known map[string]network.InterfaceStats) map[string]network.InterfaceStats {
		if known != nil {
			interfaces.Stats = known // otherwise continue with the totals that an earlier release has stored
		}
		list, totals = count(interfaces), map[string]network.InterfaceStats{}
		for name, total := range interfaces.Stats {
			if _, configured := interfaces.Config[name]; configured {
				totals[name] = total
			}
		}
		for _, traffic := range list {
			totals[traffic.name] = traffic.total
		}
		return totals
	})
	if err != nil {
		return nil, nil, &fileError{err}
	}
	stats, err := registry.Values(totals)
	return list, withStats(document, stats), err
}

// A fileError is an error of the counters' file.
type fileError struct{ error }

func (e *fileError) Unwrap() error { return e.error }

func (c *inFile) document(ctx context.Context, _ *attach.Hub) (map[string]any, error) {
	c.forget()
	document, err := c.view.Get(ctx)
	if errors.Is(err, registry.ErrNoData) {
		return nil, nil
	}
	return document, err
}

func (c *inFile) forget() { c.view.Forget() }

// countersName is the file of totals in SNAP_COMMON. The file exists only while hooks supply the totals.
const countersName = "counters.json"

// A countersFile is a file of totals by interface. Readers need no lock.
type countersFile struct{ path string }

func newCountersFile(dir string) countersFile { return countersFile{filepath.Join(dir, countersName)} }

// read returns the totals, or nil if there is no file.
func (f countersFile) read() (map[string]network.InterfaceStats, error) {
	text, err := regular.Read(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the counters: %w", err)
	}
	totals := map[string]network.InterfaceStats{}
	if err := json.Unmarshal(text, &totals); err != nil {
		return nil, fmt.Errorf("cannot read the counters in %s: %w (move it away to count from zero)", f.path, err)
	}
	return totals, nil
}

// tidy removes leftovers of the file; see State.Tidy.
func (f countersFile) tidy() error {
	leftovers := func() ([]string, error) { return durable.Leftovers(f.path) }
	if list, err := leftovers(); err != nil || len(list) == 0 {
		return err
	}
	return state.Tidy(f.lockPath(), leftovers)
}

func (f countersFile) lockPath() string { return f.path + ".lock" }

// change changes the totals under the file's lock.
func (f countersFile) change(
	ctx context.Context, change func(map[string]network.InterfaceStats) map[string]network.InterfaceStats,
) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return fmt.Errorf("cannot store the counters: %w", err)
	}
	lock := flock.New(f.lockPath(), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, state.LockRetry); err != nil {
		return fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	defer lock.Close() //nolint:errcheck // closing is all that is needed to unlock
	before, err := f.read()
	if err != nil {
		return err
	}
	known := maps.Clone(before)
	after := change(known)
	if before != nil && reflect.DeepEqual(before, after) {
		return nil
	}
	text, err := json.MarshalIndent(after, "", "  ")
	if err != nil {
		return err
	}
	return durable.Write(f.path, append(text, '\n'), 0o644)
}

// retire removes the file and returns its totals, which then go to the registry.
func (f countersFile) retire() (map[string]network.InterfaceStats, error) {
	totals, err := f.read()
	if err != nil || totals == nil {
		return nil, err
	}
	return totals, durable.Remove(f.path)
}
