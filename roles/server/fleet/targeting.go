package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"aspects-poc/roles/serverapi/signed"
)

// A targeting has the present snapshot, and reads a new one from the store on demand.
type targeting struct {
	store stored
	log   *slog.Logger

	snapshot atomic.Pointer[snapshot]
	reading  sync.Mutex   // held during a refresh
	begun    atomic.Int64 // number of refreshes that have begun
}

// Load returns the present snapshot.
func (t *targeting) Load() *snapshot { return t.snapshot.Load() }

// since returns the snapshot. It refreshes the snapshot first if the revision is later. One refresh is enough, because
// a device may report a revision that does not exist.
func (t *targeting) since(ctx context.Context, revision int64) (*snapshot, error) {
	begun := t.begun.Load()
	if targets := t.Load(); revision <= targets.Revision {
		return targets, nil
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	// A refresh that began after this call is new enough for this call.
	if targets := t.Load(); revision <= targets.Revision || t.begun.Load() > begun {
		return targets, nil
	}
	err := t.read(ctx)
	return t.Load(), err
}

// anew returns a snapshot that was read after the call began.
func (t *targeting) anew(ctx context.Context) (*snapshot, error) {
	begun := t.begun.Load()
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.begun.Load() > begun {
		return t.Load(), nil
	}
	err := t.read(ctx)
	return t.Load(), err
}

// refresh reads the targets from the store and makes them the snapshot.
func (t *targeting) refresh(ctx context.Context) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	return t.read(ctx)
}

// read is refresh for a caller that holds the lock reading.
func (t *targeting) read(ctx context.Context) error {
	t.begun.Add(1)
	targets, err := t.store.Targets(ctx)
	if err != nil {
		return err
	}
	next, err := newSnapshot(targets)
	if err == nil {
		err = t.readBook(ctx, next)
	}
	if err != nil {
		return err
	}
	if last := t.Load(); last != nil {
		next.follow(last)
	}
	t.snapshot.Store(next)
	return nil
}

// readBook sets the last statement of an operator in a snapshot. It returns an error for a damaged statement, because
// without a statement all targets would be offered.
func (t *targeting) readBook(ctx context.Context, next *snapshot) error {
	if next.Signed == 0 {
		return nil
	}
	if last := t.Load(); last != nil && last.book != nil && last.signature.Revision == next.Signed {
		next.book, next.signature = last.book, last.signature
		return nil
	}
	list, err := t.store.Signatures(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 { // removed meanwhile
		next.Signed = 0
		return nil
	}
	var texts []signed.Signed
	for _, signature := range list {
		texts = append(texts, signed.Signed{Statement: signature.Statement, Signature: signature.Signature})
	}
	next.signature = list[len(list)-1]
	next.Signed = next.signature.Revision
	salts, err := next.signature.salts()
	if err != nil {
		return err
	}
	if next.book, err = signed.Reopen(texts, next.signature.Manifest, salts); err != nil {
		return fmt.Errorf("the last statement of an operator is damaged: %w", err)
	}
	next.signature.Manifest = "" // the book has it
	return nil
}

// refreshUntil refreshes the snapshot, and repeats that until it succeeds or ctx ends, because devices must not get
// targets that are known to be old.
func (t *targeting) refreshUntil(ctx context.Context) {
	pause := 100 * time.Millisecond
	for {
		err := t.refresh(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		if !errors.Is(err, ErrOutage) { // the store logs an outage
			t.log.Error("cannot read the targets that have changed; trying again", "error", err, "after", pause.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			if pause = min(2*pause, 10*time.Second); errors.Is(err, ErrOutage) {
				pause = min(pause, 500*time.Millisecond) // an unreachable store refuses at once
			}
		}
	}
}
