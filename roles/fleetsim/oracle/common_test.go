package oracle_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/google/uuid"
)

// A common is a file of the embedded store that several servers of this process share, as they would share a database:
// each is told at once of what it did itself, and looks once a second for what others did.
type common struct {
	file string

	mu     sync.Mutex // guards the fields below, and is held while one of the servers writes, so that whose notice it is is known
	store  *sqlite.Store
	told   <-chan fleet.Notice
	shares []*share
}

// A share is the store of one server.
type share struct {
	fleet.Store
	common *common
	hub    fleet.Hub
	stop   context.CancelFunc
	looks  sync.WaitGroup

	// Guarded by common.mu:
	late []fleet.Notice // of what others did, of which this one has not heard
	cut  bool           // what it writes is not written
}

// open opens the file, or takes part in it where it is open.
func (c *common) open(ctx context.Context) (*share, access.Store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store == nil {
		ctx := context.WithoutCancel(ctx) // others use it, too
		store, err := sqlite.Open(ctx, c.file)
		if err != nil {
			return nil, nil, err
		}
		if c.told, err = store.Changes(ctx); err != nil {
			return nil, nil, err
		}
		c.store = store
	}
	s := &share{Store: c.store, common: c}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.looks.Go(func() { s.look(ctx) })
	c.shares = append(c.shares, s)
	return s, c.store.Tokens(), nil
}

// Shared implements fleet.Sharer.
func (s *share) Shared() bool { return true }

// Changes implements fleet.Store.
func (s *share) Changes(ctx context.Context) (<-chan fleet.Notice, error) { return s.hub.Listen(ctx) }

// look tells what others did, once a second.
func (s *share) look(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.common.mu.Lock()
		late := s.late
		s.late = nil
		s.common.mu.Unlock()
		s.hub.Send(late...)
	}
}

// write has the store write something, and waits for it, so that its notices are there.
func (s *share) write(ctx context.Context, do func(context.Context) error) error {
	s.common.mu.Lock()
	defer s.common.mu.Unlock()
	if s.cut {
		return fleet.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := do(context.WithoutCancel(ctx))
	for {
		select {
		case notice, open := <-s.common.told: // the store tells before it answers
			if !open {
				return err
			}
			for _, other := range s.common.shares {
				if notice.Own = other == s; notice.Own {
					s.hub.Send(notice)
				} else {
					other.late = append(other.late, notice)
				}
			}
			continue
		default:
		}
		return err
	}
}

// Add implements fleet.Store.
func (s *share) Add(ctx context.Context, device fleet.Device, mostPending int) (kept fleet.Device, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		kept, err = s.Store.Add(ctx, device, mostPending)
		return err
	})
	return kept, err
}

// Report implements fleet.Store.
func (s *share) Report(ctx context.Context, id uuid.UUID, report fleet.Report) (sequence int64, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		sequence, err = s.Store.Report(ctx, id, report)
		return err
	})
	return sequence, err
}

// Observe implements fleet.Store.
func (s *share) Observe(ctx context.Context, list []fleet.Observation) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Store.Observe(ctx, list) })
}

// SetLabels implements fleet.Store.
func (s *share) SetLabels(ctx context.Context, id uuid.UUID, before, after fleet.Labels, by fleet.Authorship) (revision int64, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		revision, err = s.Store.SetLabels(ctx, id, before, after, by)
		return err
	})
	return revision, err
}

// SetStatus implements fleet.Store.
func (s *share) SetStatus(ctx context.Context, id uuid.UUID, status fleet.Status, within fleet.Scope) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Store.SetStatus(ctx, id, status, within) })
}

// SetKey implements fleet.Store.
func (s *share) SetKey(ctx context.Context, id uuid.UUID, before, publicKey, keyID string) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Store.SetKey(ctx, id, before, publicKey, keyID) })
}

// Remove implements fleet.Store.
func (s *share) Remove(ctx context.Context, id uuid.UUID, by fleet.Authorship) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Store.Remove(ctx, id, by) })
}

// ChangeAll implements fleet.Store.
func (s *share) ChangeAll(ctx context.Context, batch fleet.Batch) (layers []fleet.Layer, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		layers, err = s.Store.ChangeAll(ctx, batch)
		return err
	})
	return layers, err
}

// SetName implements fleet.Store.
func (s *share) SetName(ctx context.Context, id uuid.UUID, name string, by fleet.Authorship) (revision int64, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		revision, err = s.Store.SetName(ctx, id, name, by)
		return err
	})
	return revision, err
}

// MoveRelease implements fleet.Store.
func (s *share) MoveRelease(ctx context.Context, move fleet.ReleaseMove) (moved fleet.Release, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		moved, err = s.Store.MoveRelease(ctx, move)
		return err
	})
	return moved, err
}

// Close implements fleet.Store. The last one to leave closes the file.
func (s *share) Close() error {
	s.stop()
	s.looks.Wait()
	s.hub.Close()
	s.common.mu.Lock()
	defer s.common.mu.Unlock()
	if s.common.shares = slices.DeleteFunc(s.common.shares, func(other *share) bool { return other == s }); len(s.common.shares) > 0 {
		return nil
	}
	store := s.common.store
	s.common.store = nil
	return store.Close()
}

// kill has what the server writes from now on go nowhere.
func (s *share) kill() {
	s.common.mu.Lock()
	defer s.common.mu.Unlock()
	s.cut = true
}
