package facts

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/confdb/databag"
)

// A Store owns the facts of a machine and the file state.json. It writes every update to the file before readers see it.
// It is safe for concurrent use.
type Store struct {
	dir   string       // "" keeps everything in memory
	lock  *flock.Flock // on the directory
	write WriteFunc
	now   atomic.Pointer[Facts]

	mu      sync.Mutex // guards what follows, and the journal
	closed  bool
	journal any // marshals to a JSON object whose members are in state.json, too; nil: none
}

// A WriteFunc replaces a file, as durable.Write does.
type WriteFunc func(path string, content []byte, mode os.FileMode) error

// ErrClosed is the error of a machine that was closed.
var ErrClosed = errors.New("the machine was closed")

// Core is the name under which the options of the system are stored. "system" is its alias.
const Core = "core"

// Open opens the facts in a directory, which one process uses at a time; "" keeps everything in memory. A nil write is
// durable.Write. It returns an error if another process uses the directory, or state.json is damaged.
func Open(dir string, write WriteFunc) (*Store, error) {
	if write == nil {
		write = durable.Write
	}
	s := &Store{dir: dir, write: write}
	loaded, err := document{}.facts()
	if dir != "" && err == nil {
		loaded, err = s.load()
	}
	if err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	s.now.Store(loaded)
	return s, nil
}

// Now returns the present facts.
func (s *Store) Now() *Facts { return s.now.Load() }

// Update changes the facts by act and writes them to disk. If act or the disk refuses, the facts are as before.
func (s *Store) Update(act func(*Draft) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	draft := s.draft()
	if err := act(draft); err != nil {
		return err
	}
	err := s.save(&draft.Facts)
	if err == nil {
		s.now.Store(&draft.Facts)
	} else if draft.refused != nil {
		draft.refused(s.draft(), err)
	}
	return err
}

// Apply changes the facts by act and writes them to disk. If the disk refuses, the facts have changed nevertheless, and are on
// disk after the next write; Draft.IfRefused can change them further.
func (s *Store) Apply(act func(*Draft)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := s.amend(act)
	err := s.save(s.Now())
	if err != nil && refused != nil {
		s.amend(func(d *Draft) { refused(d, err) })
		_ = s.save(s.Now()) // the next write tries again
	}
	return err
}

// Amend changes the facts in memory. They are on disk after the next write.
func (s *Store) Amend(act func(*Draft)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.amend(act)
}

func (s *Store) amend(act func(*Draft)) (refused func(*Draft, error)) {
	draft := s.draft()
	act(draft)
	s.now.Store(&draft.Facts)
	return draft.refused
}

func (s *Store) draft() *Draft {
	draft := s.Now().draft()
	draft.Journal = s.journal
	return draft
}

// Lock returns the journal. Nobody changes facts or journal until unlock is called.
func (s *Store) Lock() (journal any, unlock func()) {
	s.mu.Lock()
	return s.journal, s.mu.Unlock
}

// Close releases the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.unlock()
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// SetJournal decodes into journal the members of state.json that are no facts. From then on each write stores journal, too. Call
// it once, before the first update.
func (s *Store) SetJournal(journal any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = journal
	if s.dir == "" {
		return nil
	}
	text, err := os.ReadFile(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.decode(text, journal)
	}
	return err
}

func (s *Store) path() string { return filepath.Join(s.dir, "state.json") }

func (s *Store) decode(text []byte, into any) error {
	if err := jsonvalue.DecodeFirst(text, into); err != nil {
		return fmt.Errorf("%s is damaged: %w: remove it to begin without data", s.path(), err)
	}
	return nil
}

// load locks the directory and reads state.json, if there is one.
func (s *Store) load() (*Facts, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.lock = flock.New(filepath.Join(s.dir, "lock"))
	free, err := s.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, errors.New("another process runs it: end that one, or choose another directory")
	}
	loaded := document{Format: stateFormat}
	text, err := os.ReadFile(s.path())
	if err == nil {
		loaded.Format = 0
		err = s.decode(text, &loaded)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if loaded.Format != stateFormat {
		return nil, fmt.Errorf("%s has format %d, and this program knows format %d", s.path(), loaded.Format, stateFormat)
	}
	found, err := loaded.facts()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(), err)
	}
	left, err := durable.Leftovers(s.path())
	for _, path := range left {
		_ = os.Remove(path) // of a process that was killed; the next start tries again
	}
	return found, err
}

// save writes facts and journal as one JSON object.
func (s *Store) save(f *Facts) error {
	if s.dir == "" {
		return nil
	}
	members := map[string]json.RawMessage{}
	text, err := json.Marshal(documentOf(f))
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err == nil && s.journal != nil {
		if text, err = json.Marshal(s.journal); err == nil {
			err = json.Unmarshal(text, &members)
		}
	}
	if err == nil {
		text, err = json.Marshal(members)
	}
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	return s.write(s.path(), text, 0o600)
}

const stateFormat = 1

// A document is the facts as state.json has them.
type document struct {
	Format      int                        `json:"format"`
	Schemas     map[string]storedSchema    `json:"confdb-schemas"`
	Assertions  map[string]Assertion       `json:"assertions"` // by name, besides the confdb-schemas
	Databags    map[string]json.RawMessage `json:"databags"`
	Snaps       map[string]*Snap           `json:"snaps"`
	Cookies     map[string]string          `json:"cookies"`
	Connections map[string]bool            `json:"connections"` // SNAP:PLUG
	Config      map[string]map[string]any  `json:"config"`      // by snap; "core" is the system's
}

type storedSchema struct {
	Document  json.RawMessage `json:"document"`
	Assertion string          `json:"assertion,omitempty"`
}

func documentOf(f *Facts) document {
	d := document{Format: stateFormat, Schemas: map[string]storedSchema{}, Assertions: f.assertions,
		Databags: map[string]json.RawMessage{}, Snaps: f.snaps, Cookies: f.cookies, Connections: f.connections, Config: f.config}
	for id, schema := range f.schemas {
		d.Schemas[id] = storedSchema{Document: schema.Document, Assertion: schema.Assertion}
	}
	for id, bag := range f.bags {
		d.Databags[id] = bag.AppendJSON(nil)
	}
	return d
}

// facts returns the facts of a document. No service runs after a start.
func (d document) facts() (*Facts, error) {
	f := &Facts{schemas: map[string]*Schema{}, assertions: made(d.Assertions), bags: map[string]databag.Bag{}, snaps: made(d.Snaps),
		cookies: made(d.Cookies), connections: made(d.Connections), config: made(d.Config)}
	if f.config[Core] == nil {
		f.config[Core] = map[string]any{}
	}
	for id, stored := range d.Schemas {
		schema, err := ParseSchema(stored.Document)
		if err != nil {
			return nil, fmt.Errorf("confdb-schema %s: %w", id, err)
		}
		schema.Assertion = stored.Assertion
		f.schemas[id] = &schema
	}
	for id, values := range d.Databags {
		bag, err := databag.Parse(values)
		if err != nil {
			return nil, fmt.Errorf("values of %s: %w", id, err)
		}
		f.bags[id] = bag
	}
	for _, snap := range f.snaps {
		for name, service := range snap.Services {
			service.Running = false
			snap.Services[name] = service
		}
	}
	return f, nil
}

func made[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// NewCookie returns a cookie for snapctl that nobody can guess.
func NewCookie() string { return strings.ToLower(rand.Text()) }
