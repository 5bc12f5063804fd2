// Package fleet has the state of the fleet and its rules: registered devices, the layers of targets, the target of each
// device, the target that it runs, and the outcome of its last attempt. Its main types are Fleet and Store. HTTP is in
// package api.
//
// A Fleet applies the rules. A Store stores the state durably before a call returns; several servers may share one.
// Open a store (package sqlite) and a Fleet over it:
//
//	store, err := sqlite.Open(ctx, "server.db")
//	rules, err := fleet.Open(ctx, store, fleet.Options{})
//	answer, err := rules.Poll(ctx, id, fleet.Poll{Config: config})
//
// The Fleet merges the layers of a device in the order everyone, label layers, the device's own (compose.go). It has
// the layers that concern several devices in memory (snapshot.go). If a poll repeats the device's last one, and there
// is nothing to do, the Fleet answers it from memory (known.go).
package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet/seal"

	"github.com/google/uuid"
)

// Identity is the part of a registration that comes from the device.
type Identity struct {
	IPAddress    string
	PublicKeyRSA string
	Arch         string // Debian's name, such as amd64
}

// Options are options of Open. The zero value is ready for use.
type Options struct {
	Now   func() time.Time          // nil means time.Now
	NewID func() (uuid.UUID, error) // nil means random UUIDs (version 4): see ids
	Log   *slog.Logger              // for errors of background work; nil discards them
	// Schema is the confdb-schema that every target must fit, in the form of registry.Options.Documents. Nil accepts any
	// target.
	Schema json.RawMessage
	// Rules returns the reason why a device would refuse a target that the Schema accepts, as the *registry.Error of
	// the device; nil if there is none. Plans use it. Both arguments are documents by view. A nil Rules means that no
	// rules are known.
	Rules func(current, target map[string]map[string]any) error
	// Keys returns the keys that seal the secrets in the store, and that make the digests of secrets in answers to
	// operators. If fresh is true, nothing is sealed yet and Keys may make a key; else it must return the old keys. It
	// is called if the Schema has secrets, or if some are sealed. With a nil Keys nothing is sealed, and the digests
	// change with each start.
	Keys func(fresh bool) (*seal.Ring, error)
	// Beside means that another server may be using the store. If the store is sealed with another key or for another
	// Schema, Open then returns seal.ErrBeside.
	Beside bool
	// PollInterval is the time between the polls of a device; zero means a minute. A device is silent after three
	// intervals without a poll.
	PollInterval time.Duration
	// MaxWaiting is the limit of held polls; zero means 50,000. Further polls are answered at once.
	MaxWaiting int
	// MaxPending is the limit of devices that wait for approval; zero means 1,000. Further registrations are refused:
	// anybody who reaches the server can register, and must not fill the store.
	MaxPending int
	// Remembered is the limit of devices whose last poll is in memory; zero means 1,048,576, which take some 80 MB.
	Remembered int
	// StatsStep is the time between two stored points of a device's statistics; zero means 5 minutes.
	StatsStep time.Duration
	// StatsKeep is the age at which statistics are deleted; zero means a week, and a negative value stores none. Older
	// points are sparser.
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

// A Fleet applies the rules over a store. It is safe for concurrent use. Its methods return markers in the places of
// secrets; only the answer of Poll has the secrets.
//
// It has many methods because each request of an operator or a device is one. A part with a state of its own is a type
// of its own, and a field here.
type Fleet struct {
	store   stored
	names   names
	secrets *secrets
	options Options

	targets   targeting
	shared    bool // other servers may use the store
	known     *known
	sightings sightings
	clones    clones
	waiting   waiting
	summary   summary
	mover     mover
	hub       Hub // sends the notices that follow has processed

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open opens a Fleet over an open store. The caller closes the Fleet first, then the store.
func Open(ctx context.Context, store Store, options Options) (*Fleet, error) {
	options.complete()
	names, err := readNames(options.Schema)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet: %w", err)
	}
	seals, _, err := openSeals(ctx, store, names, options, false, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet: %w", err)
	}
	f := &Fleet{store: stored{store, names, seals}, names: names, secrets: newSecrets(names, seals), options: options,
		known: newKnown(options.Remembered)}
	f.targets.store, f.targets.log = f.store, options.Log
	f.mover.woken = make(chan struct{}, 1)
	f.mover.listens.Store(options.Now().Unix())
	if store, ok := store.(Sharer); ok {
		f.shared = store.Shared()
	}
	// Listen first, so that no change after the refresh is missed.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.waiting.limit, f.waiting.serve = options.MaxWaiting, func() { f.serve(background) }
	changes, err := store.Changes(background)
	if err == nil {
		err = f.targets.refresh(ctx)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("cannot open the fleet: %w", err)
	}
	f.stop = stop
	f.done.Go(func() { f.follow(background, changes) })
	f.done.Go(func() { f.flushNowAndThen(background) })
	f.done.Go(func() { f.sampleNowAndThen(background) })
	f.done.Go(func() { f.moveReleases(background) })
	return f, nil
}

func (o *Options) complete() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = new(ids).next
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

// Release answers all held polls and holds no further ones. Call it when the server is about to stop.
func (f *Fleet) Release() { f.waiting.release() }

// Close releases the held polls, ends the background work, and stores when the devices were last seen.
func (f *Fleet) Close() error {
	f.Release()
	f.stop()
	f.done.Wait()
	f.hub.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.flush(ctx); err != nil {
		return fmt.Errorf("cannot store when devices were last seen: %w", err)
	}
	return nil
}

// Schema returns the JSON Schema of a layer's configuration, as an object for encoding/json. Without Options.Schema it
// permits any object.
func (f *Fleet) Schema() any {
	if f.names.of == nil {
		return map[string]any{"type": "object"}
	}
	return f.names.of.Describe()
}

// PollInterval returns the time between the polls of a device.
func (f *Fleet) PollInterval() time.Duration { return f.options.PollInterval }

// follow processes the notices of the store, about commits of this server and of others, until the channel is closed. For each
// it updates the memory of this Fleet, wakes the held polls, and then sends the notice to the hub.
func (f *Fleet) follow(ctx context.Context, changes <-chan Notice) {
	for notice := range changes {
		switch notice.Kind {
		case Lost:
			f.known.forgetAll()
			f.targets.refreshUntil(ctx)
			f.waiting.wakeAll()
		case TargetChanged:
			if f.targets.Load().Revision < notice.Revision {
				f.targets.refreshUntil(ctx)
			}
			f.waiting.wakeAll()
		case DevicesChanged:
			f.concern(notice.Devices)
		case DevicesReported:
			if !notice.Own {
				f.known.forget(notice.Devices)
			}
		}
		if f.targets.Load().gate != nil {
			f.mover.wake()
		}
		f.hub.Send(notice)
	}
}

// concern makes this Fleet read devices again after a change: it forgets their polls and wakes the held ones.
func (f *Fleet) concern(devices []uuid.UUID) {
	f.known.forget(devices)
	f.waiting.wake(devices)
}

// changed is concern after an operator's change of devices on this server. It also makes the next Summary count again.
func (f *Fleet) changed(devices ...uuid.UUID) {
	f.summary.stale.Store(true)
	f.concern(devices)
}

// targetOf returns a device's target and its snapshot. The snapshot is at least as new as each revision in the stored
// device and in the report now. It may be newer than this server's present one, because another server may have got a
// change first. An older target must neither be offered to a device that runs a later one, nor judge its report. If the
// device has a later revision than its target, another server may have admitted it to the release.
func (f *Fleet) targetOf(ctx context.Context, device Device, now Report) (*snapshot, Target, error) {
	known := max(device.Verdict.Revision, now.Running.Revision, now.Attempted.Revision)
	targets, err := f.targets.since(ctx, max(device.OwnRevision, known))
	if err != nil {
		return nil, Target{}, err
	}
	target, err := targets.of(device)
	if err == nil && targets.gate != nil && known > target.Revision {
		if targets, err = f.targets.anew(ctx); err == nil {
			target, err = targets.of(device)
		}
	}
	return targets, target, err
}

// Events returns notices of changes until the context ends. The Fleet has processed each notice before it arrives. See
// Store.Changes.
func (f *Fleet) Events(ctx context.Context) (<-chan Notice, error) { return f.hub.Listen(ctx) }

// Check returns an error if the store does not work. It is for readiness.
func (f *Fleet) Check(ctx context.Context) error { return f.store.Check(ctx) }

// Maintain does the store's housekeeping, if the store has any.
func (f *Fleet) Maintain(ctx context.Context) error {
	if store, ok := f.store.Store.(Maintainer); ok {
		return store.Maintain(ctx)
	}
	return nil
}
