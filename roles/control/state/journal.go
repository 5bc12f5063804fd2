package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/regular"
	"aspects-poc/roles/control/target"

	"github.com/gofrs/flock"
)

// Journal reads target.json. Without the file it is the zero Journal.
func (d *Dir) Journal() (target.Journal, error) {
	path := filepath.Join(d.Path, journalFile)
	text, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return target.Journal{}, nil
	}
	if err != nil {
		return target.Journal{}, fmt.Errorf("cannot read the journal of targets: %w", err)
	}
	var journal target.Journal
	if err := jsonvalue.DecodeFirst(text, &journal); err != nil {
		return target.Journal{}, fmt.Errorf("cannot read the journal of targets %s: %w (move it away to forget what runs)", path, err)
	}
	return journal, nil
}

// saveJournal writes target.json. The caller holds its lock.
func (d *Dir) saveJournal(journal target.Journal) error {
	text, err := json.MarshalIndent(journal, "", "  ")
	if err != nil {
		return err
	}
	return d.Write(journalFile, append(text, '\n'))
}

// A Keeper writes target.json in the process that applies targets. It is not safe for concurrent use.
type Keeper struct {
	dir     *Dir
	lock    *flock.Flock    // nil while another process applies targets
	unsaved *target.Journal // a journal that could not be written
}

// NewKeeper returns a Keeper that has not locked the journal; see Open.
func (d *Dir) NewKeeper() *Keeper { return &Keeper{dir: d} }

// Open reads the journal, and locks it unless another process has locked it; Held reports which. Do not call it while
// the keeper holds the lock.
func (k *Keeper) Open() (target.Journal, error) {
	if err := os.MkdirAll(k.dir.Path, 0o700); err != nil {
		return target.Journal{}, fmt.Errorf("cannot store the device's state: %w", err)
	}
	lock := flock.New(filepath.Join(k.dir.Path, journalLock), flock.SetPermissions(0o600))
	free, err := lock.TryLock()
	if err != nil {
		return target.Journal{}, fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	journal, err := k.dir.Journal()
	if err != nil {
		return target.Journal{}, errors.Join(err, lock.Close())
	}
	if !free {
		return journal, lock.Close()
	}
	k.lock = lock
	return journal, nil
}

// Held reports whether this process applies targets.
func (k *Keeper) Held() bool { return k.lock != nil }

// Close releases the journal.
func (k *Keeper) Close() {
	if k.lock != nil {
		k.lock.Close() //nolint:errcheck // closing is all that is needed to unlock
		k.lock = nil
	}
}

// Record writes the journal. After an error the file has the previous journal.
func (k *Keeper) Record(journal target.Journal) error {
	if err := k.dir.saveJournal(journal); err != nil {
		return err
	}
	k.unsaved = nil
	return nil
}

// Save is Record for a journal that may get lost: the older journal on disk leads the next start to the same result.
// After an error the Keeper remembers the journal for Retry.
func (k *Keeper) Save(journal target.Journal) error {
	k.unsaved = &journal
	return k.Retry()
}

// Retry writes the journal that Save could not write, if there is one.
func (k *Keeper) Retry() error {
	if k.unsaved == nil {
		return nil
	}
	return k.Record(*k.unsaved)
}
