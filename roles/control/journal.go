package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/gofrs/flock"
)

// The files of a state directory that are about targets.
const (
	journalFile = "target.json" // a Journal, mode 0600
	journalLock = "target.lock" // held by the process that applies targets
)

// A Target names what a server asked for. Revisions are that server's; one that was restored from a backup may give a
// number twice, so the hash is part of the name.
type Target struct {
	Revision int64  `json:"revision,omitempty"` // 0 from a server without revisions
	Hash     string `json:"hash"`
}

// A Journal is what the device must know about targets after a crash. Values are never changed in place.
type Journal struct {
	// Sequence is that of the last report, and Said the digest of what it said.
	Sequence int64  `json:"sequence,omitempty"`
	Said     string `json:"said,omitempty"`
	// Running is the target that was applied and confirmed last; nil if there is none, or nobody can tell.
	Running *Target `json:"running,omitempty"`
	// Attempted is what became of the last attempt that has ended.
	Attempted *Outcome `json:"attempted,omitempty"`
	// Tries counts how often in a row Attempted's target has failed.
	Tries int `json:"tries,omitempty"`
	// Attempt is under way; nil: none is.
	Attempt *Attempt `json:"attempt,omitempty"`
	// PollInterval is the server's wish, in seconds; 0: it has none.
	PollInterval int64 `json:"poll-interval,omitempty"`
}

// An Outcome is how an attempt has ended.
type Outcome struct {
	Target
	Outcome string `json:"outcome"` // serverapi.Applied, Refused or Failed
	Path    string `json:"path,omitempty"`
	Reason  string `json:"reason,omitempty"` // without the path, where there is one
	Text    string `json:"text,omitempty"`   // all of it
	At      int64  `json:"at"`               // seconds since 1970, by the device's clock
}

// A phase is where an attempt is.
type phase string

const (
	writing     phase = "writing"     // about to commit; what the views show tells whether it has been done
	unconfirmed phase = "unconfirmed" // committed; the server is to be reached with it
	undoing     phase = "undoing"     // being put back
)

// An Attempt is a target that is being applied.
type Attempt struct {
	Target
	Phase phase `json:"phase"`
	// Changes are the writes, and Before what the views showed in their place: view -> request path -> value, null for
	// nothing.
	Changes map[string]map[string]any `json:"changes"`
	Before  map[string]map[string]any `json:"before"`
	// At is when it was committed; seconds since 1970.
	At int64 `json:"at,omitempty"`
	// Starts counts the processes that have waited for a confirmation.
	Starts int `json:"starts,omitempty"`
	// End is what an undoing ends in.
	End *Outcome `json:"end,omitempty"`
}

// Report is what the server is told.
func (j Journal) Report() *serverapi.Report {
	report := &serverapi.Report{Sequence: j.Sequence}
	running := j.Running
	if ended := j.Attempted; ended != nil && ended.Revision > 0 {
		report.Attempted = &serverapi.Attempted{
			Revision: ended.Revision, Outcome: ended.Outcome, Path: ended.Path, Reason: ended.Reason, At: ended.At,
		}
	}
	if attempt := j.Attempt; attempt != nil && attempt.Phase == unconfirmed {
		// It runs; whether it goes on to depends on whether the server gets to hear this.
		running = &attempt.Target
		if attempt.Revision > 0 {
			report.Attempted = &serverapi.Attempted{
				Revision: attempt.Revision, Outcome: serverapi.Applied, At: attempt.At,
			}
		}
	}
	if running != nil && running.Revision > 0 {
		report.Running = &serverapi.Running{Revision: running.Revision, Hash: running.Hash}
	}
	return report
}

// Journal reads target.json. A directory without one has the zero Journal.
func (s *State) Journal() (Journal, error) {
	path := filepath.Join(s.dir, journalFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Journal{}, nil
	}
	var journal Journal
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&journal)
	}
	if err != nil {
		return Journal{}, fmt.Errorf("cannot read the journal of targets %s: %w (move it away to forget what runs)", path, err)
	}
	return journal, nil
}

// saveJournal writes target.json; its lock is held.
func (s *State) saveJournal(journal Journal) error {
	text, err := json.MarshalIndent(journal, "", "  ")
	if err != nil {
		return err
	}
	return s.write(journalFile, append(text, '\n'))
}

// A ledger is the journal in the hands of an agent.
type ledger struct {
	Journal
	state   *State
	lock    *flock.Flock // nil while another process applies targets
	unsaved bool         // the disk would not take what memory has
}

// open reads the journal, and takes the right to change it if no other process has it.
func (l *ledger) open() error {
	if l.lock != nil {
		return nil
	}
	if err := os.MkdirAll(l.state.dir, 0o700); err != nil {
		return fmt.Errorf("cannot keep the device's state: %w", err)
	}
	lock := flock.New(filepath.Join(l.state.dir, journalLock), flock.SetPermissions(0o600))
	free, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	journal, err := l.state.Journal()
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	l.Journal = journal
	if !free {
		return lock.Close()
	}
	l.lock = lock
	return nil
}

// ours tells whether this process is the one that applies targets.
func (l *ledger) ours() bool { return l.lock != nil }

func (l *ledger) close() {
	if l.lock != nil {
		l.lock.Close() //nolint:errcheck // closing is all that is needed to unlock
		l.lock = nil
	}
}

// number gives a report its sequence: that of the report before it where it says the same, beside this configuration, else
// the next one. Numbers are milliseconds since 1970 where the clock allows, so that a device whose state was restored from a
// backup goes on above what it has reported since. It is kept before it is told, so that a restart goes on above it, too.
func (l *ledger) number(report *serverapi.Report, config serverapi.Config) error {
	text, err := json.Marshal([]any{config, report.Running, report.Attempted, report.Instance})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if said := base64.RawURLEncoding.EncodeToString(sum[:16]); said != l.Said {
		next := l.Journal
		next.Said, next.Sequence = said, max(l.Sequence+1, time.Now().UnixMilli())
		err = l.note(next)
	}
	report.Sequence = l.Sequence
	return err
}

// overtaken takes in that the server has kept a report of a later sequence: the next report goes above it.
func (l *ledger) overtaken(sequence int64) error {
	next := l.Journal
	next.Said, next.Sequence = "", max(l.Sequence, sequence)
	return l.note(next)
}

// put replaces the journal, first on disk.
func (l *ledger) put(journal Journal) error {
	if err := l.state.saveJournal(journal); err != nil {
		return err
	}
	l.Journal, l.unsaved = journal, false
	return nil
}

// note replaces the journal by what has happened, whether the disk takes it or not. What is on disk then leads the next
// start to the same end; until then save tries again.
func (l *ledger) note(journal Journal) error {
	l.Journal, l.unsaved = journal, true
	return l.save()
}

// save writes what the disk would not take before.
func (l *ledger) save() error {
	if !l.unsaved {
		return nil
	}
	err := l.state.saveJournal(l.Journal)
	l.unsaved = err != nil
	return err
}
