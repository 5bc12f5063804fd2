package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
)

// mostSightings is the largest number of unwritten sightings. Far fewer arrive between two flushes.
const mostSightings = 1 << 18

// sightings collects in memory when devices were seen, with their statistics, until flush writes them. A later sighting
// replaces an earlier one, so neither the time of the write nor the server that writes matters. The zero value is ready
// for use.
type sightings struct {
	mu      sync.Mutex // guards the fields below
	of      map[uuid.UUID]sighting
	leaving map[uuid.UUID]sighting // the sightings that flush is writing
	early   chan struct{}          // asks for a flush before the next tick
	writing sync.Mutex             // held during a flush, so that two flushes do not write in the wrong order
}

type sighting struct {
	at    int64 // seconds since 1970
	twins int64 // when two machines were detected; 0 means never
	stats *Stats
}

// add adds a sighting. It returns false and adds nothing if there are too many.
func (s *sightings) add(id uuid.UUID, at time.Time, stats *Stats) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, there := s.of[id]
	if !there && len(s.of) >= mostSightings/2 {
		select {
		case s.wake() <- struct{}{}:
		default:
		}
		if len(s.of) >= mostSightings {
			return false
		}
	}
	if s.of == nil {
		s.of = map[uuid.UUID]sighting{}
	}
	last.at = max(last.at, at.Unix())
	if stats != nil && (last.stats == nil || !stats.At.Before(last.stats.At)) {
		last.stats = stats
	}
	s.of[id] = last
	return true
}

// addTwins adds a sighting of two machines. If there are too many sightings it adds nothing, and the machines will be
// detected again.
func (s *sightings) addTwins(id uuid.UUID, at time.Time) {
	if !s.add(id, at, nil) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.of[id]
	last.twins = max(last.twins, at.Unix())
	s.of[id] = last
}

// wake returns the channel early. The caller holds the lock.
func (s *sightings) wake() chan struct{} {
	if s.early == nil {
		s.early = make(chan struct{}, 1)
	}
	return s.early
}

// complete sets in a device the values of its unwritten sightings.
func (s *sightings) complete(device *Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pending := range []map[uuid.UUID]sighting{s.leaving, s.of} {
		if last, there := pending[device.ID]; there && instant(last.at).After(device.LastSeen) {
			device.LastSeen = instant(last.at)
		}
		if last := pending[device.ID]; last.twins > 0 && instant(last.twins).After(device.Twins) {
			device.Twins = instant(last.twins)
		}
	}
}

func instant(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// flush writes the sightings. After an error they stay for the next flush.
func (f *Fleet) flush(ctx context.Context) error {
	s := &f.sightings
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	taken := s.of
	s.of, s.leaving = nil, taken
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaving = nil
	}()
	if len(taken) == 0 {
		return nil
	}
	list := make([]Observation, 0, len(taken))
	for id, seen := range taken {
		observation := Observation{ID: id, Seen: instant(seen.at), Stats: seen.stats}
		if seen.twins > 0 {
			observation.Twins = instant(seen.twins)
		}
		if seen.stats != nil {
			observation.Thin = f.thinnings()
		}
		list = append(list, observation)
	}
	err := f.store.Observe(ctx, list)
	if err != nil {
		for id, seen := range taken {
			s.add(id, instant(seen.at), seen.stats) // if there is no room, the device's next poll replaces it
			if seen.twins > 0 {
				s.addTwins(id, instant(seen.twins))
			}
		}
	}
	return err
}

// flushNowAndThen flushes the sightings a few times in each poll interval, until ctx ends.
func (f *Fleet) flushNowAndThen(ctx context.Context) {
	pause := max(f.options.PollInterval/4, time.Second)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	f.sightings.mu.Lock()
	early := f.sightings.wake()
	f.sightings.mu.Unlock()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-early:
		}
		err := f.flush(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrOutage): // the store logs an outage
			continue
		case err != nil && !failing: // once, not each time
			f.options.Log.Error("cannot store when devices were last seen; trying again", "error", err)
		case err == nil && failing:
			f.options.Log.Info("the times at which devices were last seen are stored again")
		}
		failing = err != nil
		f.parted(ctx)
	}
}
