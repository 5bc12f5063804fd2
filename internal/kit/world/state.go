package world

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"aspects-poc/internal/durable"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// state is all that lasts, as state.json holds it.
type state struct {
	Format      int                        `json:"format"`
	Schemas     map[string]storedSchema    `json:"confdb-schemas"`
	Assertions  map[string]Assertion       `json:"assertions"` // by name, besides the confdb-schemas
	Databags    map[string]json.RawMessage `json:"databags"`
	Snaps       map[string]*Snap           `json:"snaps"`
	Cookies     map[string]string          `json:"cookies"`
	Connections map[string]bool            `json:"connections"` // SNAP:PLUG
	Config      map[string]map[string]any  `json:"config"`      // by snap; "core" is the system's
	Changes     []*change                  `json:"changes"`     // oldest first
	LastChange  int                        `json:"last-change"`
	LastTask    int                        `json:"last-task"`
	Notices     []*Notice                  `json:"notices"`
	LastNotice  int                        `json:"last-notice"`
}

type storedSchema struct {
	Document  json.RawMessage `json:"document"`
	Assertion string          `json:"assertion,omitempty"`
}

const stateFormat = 1

// core is the name under which the system's options are kept; `snap set system` is another name of it.
const core = "core"

func newState() *state {
	return &state{
		Format: stateFormat, Schemas: map[string]storedSchema{}, Assertions: map[string]Assertion{}, Databags: map[string]json.RawMessage{},
		Snaps: map[string]*Snap{}, Cookies: map[string]string{}, Connections: map[string]bool{},
		Config: map[string]map[string]any{core: {}},
	}
}

func (w *World) path() string { return filepath.Join(w.options.Dir, "state.json") }

// openDir takes the directory and loads what it holds.
func (w *World) openDir() error {
	if err := os.MkdirAll(w.options.Dir, 0o700); err != nil {
		return err
	}
	w.lock = flock.New(filepath.Join(w.options.Dir, "lock"))
	taken, err := w.lock.TryLock()
	if err == nil && !taken {
		err = errors.New("another process runs it: end that one, or choose another directory")
	}
	if err == nil {
		err = w.load()
	}
	if err != nil {
		return errors.Join(err, w.lock.Close())
	}
	left, err := durable.Leftovers(w.path())
	if err != nil {
		return errors.Join(err, w.lock.Close())
	}
	for _, path := range left {
		_ = os.Remove(path) // of a process that was killed; the next start tries again
	}
	return nil
}

// load reads state.json. Changes that were under way when their process ended are failures from now on, and what they
// had done is put back: snapd would carry on with them, but the snaps' processes that they ran are gone here.
func (w *World) load() error {
	text, err := os.ReadFile(w.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	loaded := newState()
	if err := decodeState(text, loaded); err != nil {
		return fmt.Errorf("%s is damaged: %w: remove it to begin without data", w.path(), err)
	}
	if loaded.Format != stateFormat {
		return fmt.Errorf("%s has format %d, and this program knows format %d", w.path(), loaded.Format, stateFormat)
	}
	w.state, w.saved = loaded, text
	for id, schema := range loaded.Schemas {
		parsed, err := confdb.ParseDocument(schema.Document)
		if err != nil {
			return fmt.Errorf("%s: confdb-schema %s: %w", w.path(), id, err)
		}
		w.parsed[id] = &Schema{Parsed: parsed, Document: schema.Document, Assertion: schema.Assertion}
	}
	for id, values := range loaded.Databags {
		bag, err := databag.Parse(values)
		if err != nil {
			return fmt.Errorf("%s: values of %s: %w", w.path(), id, err)
		}
		w.bags[id] = bag
	}
	for _, c := range slices.Backward(loaded.Changes) {
		w.takeBack(c)
		c.interrupt(w.options.Now())
	}
	for _, notice := range loaded.Notices {
		if notice.LastOccurred.After(w.clock) {
			w.clock = notice.LastOccurred
		}
	}
	for _, snap := range loaded.Snaps {
		for name, service := range snap.Services {
			service.Running = false
			snap.Services[name] = service
		}
	}
	return nil
}

func decodeState(text []byte, into *state) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// save stores the state. The caller has the lock.
func (w *World) save() error {
	if w.options.Dir == "" {
		return nil
	}
	text, err := json.Marshal(w.state)
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	if err := w.options.write(w.path(), text, 0o600); err != nil {
		return err
	}
	w.saved = text
	return nil
}

// restore takes back what was changed since the state was saved last: confdb-schemas, snaps, connections and options.
// Values are saved before they are there, and changes stay, as those that run go on. The caller has the lock.
func (w *World) restore() {
	before := newState()
	if w.saved != nil && decodeState(w.saved, before) != nil {
		return // it was written by us
	}
	s := w.state
	for name, snap := range before.Snaps { // of services it is only noted whether they run
		if now := s.Snaps[name]; now != nil {
			for service := range snap.Services {
				if running, found := now.Services[service]; found {
					snap.Services[service] = running
				}
			}
		}
	}
	s.Schemas, s.Assertions, s.Snaps, s.Cookies, s.Connections, s.Config =
		before.Schemas, before.Assertions, before.Snaps, before.Cookies, before.Connections, before.Config
	w.parsed = map[string]*Schema{}
	for id, stored := range s.Schemas {
		if schema, err := ParseSchema(stored.Document); err == nil {
			schema.Assertion = stored.Assertion
			w.parsed[id] = &schema
		}
	}
	for _, was := range slices.Backward(before.Changes) { // failed since, and the disk does not know it yet
		if now, err := w.find(was.ID); err == nil && now.Status == Failed && !was.Ready {
			w.takeBack(was)
		}
	}
}

// store replaces what is stored for a confdb-schema, on disk before anybody sees it. The caller has the lock.
func (w *World) store(id string, bag databag.Bag) error {
	before, had := w.state.Databags[id]
	w.state.Databags[id] = bag.AppendJSON(nil)
	if err := w.save(); err != nil {
		w.state.Databags[id] = before
		if !had {
			delete(w.state.Databags, id)
		}
		return err
	}
	w.bags[id] = bag
	return nil
}

func newCookie() string { return strings.ToLower(rand.Text()) }

// systemOptions are those that can be set, all of them without effect but the first: of the many that snapd has, those
// that people set on their way to confdb. Not among them are the flags of earlier generations, which snapd refuses.
var systemOptions = map[string]bool{
	"experimental.confdb": true, "experimental.confdb-control": true, "experimental.parallel-instances": true,
	"experimental.user-daemons": true, "experimental.hotplug": true, "store.access": true, "refresh.retain": true,
	"refresh.timer": true, "refresh.hold": true,
}

// SetSystem sets options of the system, as `snap set system` does, by paths with dots; nil unsets.
func (w *World) SetSystem(values map[string]any) error {
	return w.change(func() error {
		for _, key := range sortedKeys(values) {
			if !systemOptions[key] {
				return badRequest(fmt.Sprintf("cannot set %q: unsupported system option", core+"."+key))
			}
			if strings.HasPrefix(key, "experimental.") && !isFlag(values[key]) {
				return badRequest(fmt.Sprintf("%s can only be set to 'true' or 'false'", key))
			}
		}
		return w.configure(core, values)
	})
}

// isFlag tells whether snapd takes a value for a flag: a string will do, and an empty one is no value.
func isFlag(value any) bool {
	switch value := value.(type) {
	case nil, bool:
		return true
	case string:
		return value == "" || value == "true" || value == "false"
	}
	return false
}

// System returns an option of the system, nil where it is not set.
func (w *World) System(key string) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	value, _ := Option(w.state.Config[core], key)
	return value
}

// enabled tells whether the experimental flag is on. As on snapd a string will do.
func (w *World) enabled() bool {
	value, _ := Option(w.state.Config[core], "experimental.confdb")
	return value == true || value == "true"
}

// configure sets options of a snap. The caller has the lock.
func (w *World) configure(snap string, values map[string]any) error {
	config, err := patched(w.state.Config[snap], values)
	if err != nil {
		return err
	}
	w.state.Config[snap] = config
	return nil
}

// Config returns a snap's configuration. "system" and "core" name that of the system.
func (w *World) Config(snap string) map[string]any {
	if snap == "system" {
		snap = core
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.state.Config[snap])
}

// keepFor is how long a ready change is kept.
const keepFor = 24 * time.Hour
