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

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi"

	"github.com/gofrs/flock"
)

// A Target identifies a target of a server. The hash is part of it, since a server that was restored from a backup
// may use a revision twice.
type Target struct {
	Revision int64  `json:"revision,omitempty"` // 0 for a server without revisions
	Hash     string `json:"hash"`
}

// A Journal is what the device must know about targets after a crash. Its values are never modified in place.
type Journal struct {
	// Sequence is the sequence of the last report, and Said the digest of its content.
	Sequence int64  `json:"sequence,omitempty"`
	Said     string `json:"said,omitempty"`
	// Running is the last target that was applied and confirmed; nil if there is none or it is unknown.
	Running *Target `json:"running,omitempty"`
	// Attempted is the end of the last attempt.
	Attempted *Outcome `json:"attempted,omitempty"`
	// Tries is how often in a row Attempted's target has failed.
	Tries int `json:"tries,omitempty"`
	// Attempt is the running attempt, or nil.
	Attempt *Attempt `json:"attempt,omitempty"`
	// PollInterval is the server's interval in seconds; 0 if it has not said one.
	PollInterval int64 `json:"poll-interval,omitempty"`
}

// An Outcome is the end of an attempt.
type Outcome struct {
	Target
	Outcome string `json:"outcome"` // serverapi.Applied, Refused or Failed
	Path    string `json:"path,omitempty"`
	Reason  string `json:"reason,omitempty"` // without the path, if there is one
	Text    string `json:"text,omitempty"`   // the whole text
	At      int64  `json:"at"`               // seconds since 1970, by the device's clock
}

// A phase is the phase of an attempt.
type phase string

const (
	writing     phase = "writing"     // before the commit; the views show whether it was made
	unconfirmed phase = "unconfirmed" // after the commit; the server has not been reached yet
	undoing     phase = "undoing"     // being undone
)

// An Attempt is a target that is being applied.
type Attempt struct {
	Target
	Phase phase `json:"phase"`
	// Changes are the writes, and Before the previous values: view -> request path -> value, null for no value.
	Changes map[string]map[string]any `json:"changes"`
	Before  map[string]map[string]any `json:"before"`
	// At is the time of the commit in seconds since 1970.
	At int64 `json:"at,omitempty"`
	// Starts is how many processes have waited for a confirmation.
	Starts int `json:"starts,omitempty"`
	// End is the outcome after the undoing.
	End *Outcome `json:"end,omitempty"`
}

// Report returns the report for the server.
func (j Journal) Report() *serverapi.Report {
	report := &serverapi.Report{Sequence: j.Sequence}
	running := j.Running
	if ended := j.Attempted; ended != nil && ended.Revision > 0 {
		report.Attempted = &serverapi.Attempted{
			Revision: ended.Revision, Outcome: ended.Outcome, Path: ended.Path, Reason: ended.Reason, At: ended.At,
		}
	}
	if attempt := j.Attempt; attempt != nil && attempt.Phase == unconfirmed {
		// It runs, and stays if the server receives this report.
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

// readJournal reads target.json. Without the file it is the zero Journal.
func readJournal(dir *state.Dir) (Journal, error) {
	path := filepath.Join(dir.Path, state.JournalFile)
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

// saveJournal writes target.json. The caller holds the lock.
func saveJournal(dir *state.Dir, journal Journal) error {
	text, err := json.MarshalIndent(journal, "", "  ")
	if err != nil {
		return err
	}
	return dir.Write(state.JournalFile, append(text, '\n'))
}

// A ledger is an agent's journal.
type ledger struct {
	Journal
	dir     *state.Dir
	lock    *flock.Flock // nil while another process applies targets
	unsaved bool         // the last change is not on disk
}

// open reads the journal, and locks it if no other process has.
func (l *ledger) open() error {
	if l.lock != nil {
		return nil
	}
	if err := os.MkdirAll(l.dir.Path, 0o700); err != nil {
		return fmt.Errorf("cannot keep the device's state: %w", err)
	}
	lock := flock.New(filepath.Join(l.dir.Path, state.JournalLock), flock.SetPermissions(0o600))
	free, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	journal, err := readJournal(l.dir)
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

// ours reports whether this process applies targets.
func (l *ledger) ours() bool { return l.lock != nil }

func (l *ledger) close() {
	if l.lock != nil {
		l.lock.Close() //nolint:errcheck // closing is all that is needed to unlock
		l.lock = nil
	}
}

// number sets a report's sequence: the previous one if report and configuration are the same, else the next.
// Sequences are milliseconds since 1970 if the clock allows, so that a state restored from a backup continues above
// its earlier reports. The sequence is stored before it is sent, so that a restart continues above it.
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

// overtaken records that the server has a later sequence. The next report uses a later one.
func (l *ledger) overtaken(sequence int64) error {
	next := l.Journal
	next.Said, next.Sequence = "", max(l.Sequence, sequence)
	return l.note(next)
}

// put replaces the journal, first on disk.
func (l *ledger) put(journal Journal) error {
	if err := saveJournal(l.dir, journal); err != nil {
		return err
	}
	l.Journal, l.unsaved = journal, false
	return nil
}

// note replaces the journal even if the disk fails. The older journal on disk leads the next start to the same end,
// and save tries again.
func (l *ledger) note(journal Journal) error {
	l.Journal, l.unsaved = journal, true
	return l.save()
}

// save writes a journal that could not be written before.
func (l *ledger) save() error {
	if !l.unsaved {
		return nil
	}
	err := saveJournal(l.dir, l.Journal)
	l.unsaved = err != nil
	return err
}
