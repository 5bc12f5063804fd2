package embedded

import (
	"context"
	"os"
	"time"

	"github.com/gofrs/flock"

	"aspects-poc/registry/backend"
)

// Pauses between two attempts to lock. A blocking lock cannot be interrupted by a context.
const (
	firstPause = 200 * time.Microsecond
	lastPause  = 5 * time.Millisecond
)

// lock makes the caller the only writer of all processes. It waits until ctx ends or patience is over. The caller
// calls unlock.
func (s *store) lock(ctx context.Context, patience time.Duration) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
	case <-waiting.Done():
		return nil, s.busy(ctx, "another part of this program is writing", "")
	}
	leave := func() { <-s.turn }
	if s.file == nil {
		return leave, nil
	}
	between, err := s.lockFile(ctx, waiting)
	if err != nil {
		leave()
		return nil, err
	}
	return func() {
		// Closing the file unlocks it. It cannot fail, since nothing was written.
		_ = between.Unlock()
		leave()
	}, nil
}

// lockFile takes the lock between processes. It waits until the context waiting ends.
func (s *store) lockFile(ctx, waiting context.Context) (*flock.Flock, error) {
	lock := flock.New(s.file.lock(), flock.SetPermissions(0o600))
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		locked, err := lock.TryLock()
		if err != nil {
			return nil, s.file.unwritable(err)
		}
		if locked && s.locks(lock) {
			if err := inheritOwner(s.file.lock()); err != nil {
				_ = lock.Unlock() // the first error counts
				return nil, s.file.unwritable(err)
			}
			return lock, nil
		}
		if locked {
			_ = lock.Unlock() // somebody removed the file meanwhile; others lock the new one
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-waiting.Done():
			timer.Stop()
			return nil, s.busy(ctx, s.file.lock()+" is held by another program",
				"see which one it is: fuser -v "+quote(s.file.lock()))
		}
	}
}

// locks reports whether a locked file is still the file at the lock's path.
func (s *store) locks(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(s.file.lock())
	return err == nil && os.SameFile(held, named)
}

// busy returns the error of a wait that ended without the lock.
func (s *store) busy(ctx context.Context, reason, remedy string) error {
	return &backend.Error{Kind: backend.ErrBusy, Until: time.Now(), Err: ctx.Err(), Remedy: remedy, Reason: "busy: " + reason}
}
