// Package fleet holds what the fleet server knows and the rules over it: which devices are registered, the layers of
// targets, which target each device is to have, which it runs, and what became of its last attempt. There is no HTTP in
// here.
//
// A Fleet applies the rules; a Store keeps the state, durable before a call returns, and may be shared by several
// servers. Open a store (package sqlite), and put a Fleet on top:
//
//	store, err := sqlite.Open(ctx, "server.db")
//	rules, err := fleet.Open(ctx, store, fleet.Options{})
//	answer, err := rules.Poll(ctx, id, fleet.Poll{Config: config})
//
// Layers are merged for each device in the order everyone, label layers, the device's own (compose.go); what is to be
// known of those that concern many devices is in memory (snapshot.go). A poll that repeats the one before it, with
// nothing to do, is answered from memory too (known.go).
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Identity is what a device tells of itself when it registers.
type Identity struct {
	IPAddress    string
	PublicKeyRSA string
	Arch         string // Debian's name, such as amd64
}

// Options changes how a Fleet works. The zero value is ready for use.
type Options struct {
	Now   func() time.Time          // nil means time.Now
	NewID func() (uuid.UUID, error) // nil means random ones (version 4)
	Log   *slog.Logger              // for what goes on in the background; nil means none
	// Schema is the confdb-schema that targets are checked against, as for registry.Options.Documents. Nil: none, any
	// target is taken.
	Schema json.RawMessage
	// PollInterval is what devices are asked to leave between polls; zero means a minute. A device not seen for three
	// of them is silent.
	PollInterval time.Duration
	// MaxWaiting bounds the polls held back at a time; zero means 50,000. Further ones are answered at once.
	MaxWaiting int
	// MaxPending bounds the devices that wait for approval; zero means 1,000. Further ones are not kept: whoever reaches
	// the server can register, and must not fill the store.
	MaxPending int
	// Remembered bounds the devices whose last poll is kept in memory; zero means 1,048,576, which take some 80 MB.
	Remembered int
	// StatsStep is the time that one kept point of a device's statistics stands for; zero means 5 minutes.
	StatsStep time.Duration
	// StatsKeep is for how long they are kept, thinned with age; zero means a week, a negative value keeps none.
	StatsKeep time.Duration
}

const (
	defaultInterval   = time.Minute
	defaultWaiting    = 50_000
	defaultPending    = 1000
	defaultRemembered = 1 << 20
	defaultStatsStep  = 5 * time.Minute
	defaultStatsKeep  = 7 * 24 * time.Hour
)

// A Fleet applies the rules over a store. It is safe for concurrent use.
type Fleet struct {
	store   named
	names   names
	options Options

	targets   atomic.Pointer[snapshot]
	reading   sync.Mutex   // held while the snapshot is read anew
	begun     atomic.Int64 // how often that has begun
	shared    bool         // the store has other servers
	known     *known
	sightings sightings
	clones    clones
	waiting   waiting
	summary   summary
	hub       Hub // of notices, after what they change has been taken in

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open puts the rules over an open store, which stays the caller's to close, after the Fleet.
func Open(ctx context.Context, store Store, options Options) (*Fleet, error) {
	options.complete()
	names, err := readNames(options.Schema)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet: %w", err)
	}
	f := &Fleet{store: named{store, names}, names: names, options: options, known: newKnown(options.Remembered)}
	f.waiting.limit = options.MaxWaiting
	if store, ok := store.(Sharer); ok {
		f.shared = store.Shared()
	}
	// Listen first: what changes after the targets were read is told.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	changes, err := store.Changes(background)
	if err == nil {
		err = f.refresh(ctx)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("cannot open the fleet: %w", err)
	}
	f.stop = stop
	f.done.Go(func() { f.follow(background, changes) })
	f.done.Go(func() { f.flushNowAndThen(background) })
	return f, nil
}

func (o *Options) complete() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = uuid.NewRandom
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for value, standard := range map[*time.Duration]time.Duration{
		&o.PollInterval: defaultInterval, &o.StatsStep: defaultStatsStep, &o.StatsKeep: defaultStatsKeep,
	} {
		if *value == 0 {
			*value = standard
		}
	}
	for value, standard := range map[*int]int{&o.MaxWaiting: defaultWaiting, &o.MaxPending: defaultPending,
		&o.Remembered: defaultRemembered} {
		if *value == 0 {
			*value = standard
		}
	}
}

// Release answers all polls that are held back, and lets no further ones wait: the server is about to stop.
func (f *Fleet) Release() { f.waiting.release() }

// Close releases the polls held back, writes what has been seen, and ends what goes on in the background.
func (f *Fleet) Close() error {
	f.Release()
	f.stop()
	f.done.Wait()
	f.hub.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.flush(ctx); err != nil {
		return fmt.Errorf("cannot keep when devices were last seen: %w", err)
	}
	return nil
}

// PollInterval is what devices are asked to leave between polls.
func (f *Fleet) PollInterval() time.Duration { return f.options.PollInterval }

// follow takes in what others, and this process, have committed.
func (f *Fleet) follow(ctx context.Context, changes <-chan Notice) {
	for notice := range changes {
		switch notice.Kind {
		case Lost:
			f.known.forgetAll()
			f.refreshUntil(ctx)
			f.waiting.wakeAll()
		case TargetChanged:
			if f.targets.Load().Revision < notice.Revision {
				f.refreshUntil(ctx)
			}
			f.waiting.wakeAll()
		case DevicesChanged:
			f.concern(notice.Devices)
		case DevicesReported:
			if !notice.Own {
				f.known.forget(notice.Devices)
			}
		}
		f.hub.Send(notice)
	}
}

// concern takes in that something about devices has changed.
func (f *Fleet) concern(devices []uuid.UUID) {
	f.known.forget(devices)
	f.waiting.wake(devices)
}

// targetOf returns a device's target, under targets that are no older than what is known of the device, or what it
// reports now. Another server may have heard of a change already that this one has not: a target of before must not be
// offered to who runs a later one, nor what is kept be judged by it.
func (f *Fleet) targetOf(ctx context.Context, device Device, now Report) (*snapshot, Target, error) {
	targets, err := f.targetsSince(ctx, max(device.OwnRevision, device.Verdict.Revision, now.Running.Revision, now.Attempted.Revision))
	if err != nil {
		return nil, Target{}, err
	}
	target, err := targets.of(device)
	return targets, target, err
}

// targetsSince returns the targets, read anew where a revision is later than they are. It may be one that nobody drew.
func (f *Fleet) targetsSince(ctx context.Context, revision int64) (*snapshot, error) {
	begun := f.begun.Load()
	if targets := f.targets.Load(); revision <= targets.Revision {
		return targets, nil
	}
	f.reading.Lock()
	defer f.reading.Unlock()
	// One reading serves all that came before it began.
	if targets := f.targets.Load(); revision <= targets.Revision || f.begun.Load() > begun {
		return targets, nil
	}
	err := f.read(ctx)
	return f.targets.Load(), err
}

// refresh reads the targets anew.
func (f *Fleet) refresh(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	return f.read(ctx)
}

// read is refresh, under its lock.
func (f *Fleet) read(ctx context.Context) error {
	f.begun.Add(1)
	targets, err := f.store.Targets(ctx)
	if err != nil {
		return err
	}
	next, err := newSnapshot(targets)
	if err != nil {
		return err
	}
	if last := f.targets.Load(); last != nil {
		next.follow(last)
	}
	f.targets.Store(next)
	return nil
}

// refreshUntil tries until it succeeds: to go on with targets that are known to be old would be a lie.
func (f *Fleet) refreshUntil(ctx context.Context) {
	pause := 100 * time.Millisecond
	for {
		err := f.refresh(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		f.options.Log.Error("cannot read the targets that have changed; trying again", "error", err, "after", pause.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}

// Events tells of changes, after this fleet has taken them in, until the context ends. See Store.Changes.
func (f *Fleet) Events(ctx context.Context) (<-chan Notice, error) { return f.hub.Listen(ctx) }

// Check tells whether the fleet can work at all, for readiness.
func (f *Fleet) Check(ctx context.Context) error { return f.store.Check(ctx) }

// Maintain does the store's housekeeping, if it has any.
func (f *Fleet) Maintain(ctx context.Context) error {
	if store, ok := f.store.Store.(Maintainer); ok {
		return store.Maintain(ctx)
	}
	return nil
}
