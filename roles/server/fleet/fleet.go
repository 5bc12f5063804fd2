// Package fleet holds what the fleet server knows and the rules over it: which devices are registered, which
// configuration each reported last, and the target that all of them are to have. There is no HTTP in here.
//
// A Fleet applies the rules; a Store keeps the state, durable before a call returns. Open a store (package sqlite), and
// put a Fleet on top:
//
//	store, err := sqlite.Open(ctx, "server.db", sqlite.Options{})
//	rules := fleet.New(store, fleet.Options{})
//	target, inStep, err := rules.Poll(ctx, id, config)
package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Identity is what a device tells of itself when it registers.
type Identity struct {
	IPAddress    string
	PublicKeyRSA string
	Arch         string // Debian's name, such as amd64
}

// A Device is a registered device.
type Device struct {
	ID         uuid.UUID
	Registered time.Time // to the second
	Identity
	Config Config // as it last reported; empty before its first poll
}

// The reasons of refusal that a caller can tell apart. Everything else that a call returns is the store's trouble.
var (
	ErrUnknownDevice = errors.New("no such device is registered")
	ErrExists        = errors.New("a device of this UUID is registered already")
	ErrClosed        = errors.New("the store is closed")
)

// A Store keeps devices and target. What a writing method acknowledged survives a crash. Methods are safe for
// concurrent use and honour their context; one that returns because of it may or may not have written.
// Package storetest holds what every store has to do.
type Store interface {
	// Add keeps a new device and returns it, or ErrExists. Where a device of the same public key is kept already, it
	// returns that one as it is, and writes nothing: also when two callers come at the same time. Devices without a
	// key are all different.
	Add(ctx context.Context, device Device) (kept Device, err error)
	// Device returns a device, or ErrUnknownDevice.
	Device(ctx context.Context, id uuid.UUID) (Device, error)
	// Report keeps what a device reported at a time (kept to the second), or returns ErrUnknownDevice. A configuration
	// equal to the one that the device reported last writes nothing.
	Report(ctx context.Context, id uuid.UUID, config Config, at time.Time) error
	// Target returns the target; empty when none was ever set.
	Target(ctx context.Context) (Config, error)
	// SetTarget replaces the target; at is kept to the second.
	SetTarget(ctx context.Context, config Config, at time.Time) error
	// Count returns the number of devices.
	Count(ctx context.Context) (int, error)
	// Close waits for writes under way and releases the store. Calls after it return ErrClosed.
	Close() error
}

// A Maintainer is a store that has housekeeping to do now and then.
type Maintainer interface {
	Maintain(ctx context.Context) error
}

// Options changes how a Fleet works. The zero value is ready for use.
type Options struct {
	Now   func() time.Time          // nil means time.Now
	NewID func() (uuid.UUID, error) // nil means random ones (version 4)
}

// A Fleet applies the rules over a store. It is safe for concurrent use.
type Fleet struct {
	store    Store
	options  Options
	verdicts verdicts
}

// New returns a fleet over an open store, which stays the caller's to close.
func New(store Store, options Options) *Fleet {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.NewID == nil {
		options.NewID = uuid.NewRandom
	}
	return &Fleet{store: store, options: options}
}

// Register keeps a new device under a new UUID. A public key that is known already brings back its device as it was
// registered: a device that never got its first answer may ask again and is not there twice.
func (f *Fleet) Register(ctx context.Context, identity Identity) (Device, error) {
	id, err := f.options.NewID()
	if err != nil {
		return Device{}, fmt.Errorf("cannot make a UUID: %w", err)
	}
	device := Device{ID: id, Registered: f.options.Now().UTC().Truncate(time.Second), Identity: identity}
	return f.store.Add(ctx, device)
}

// Poll takes what a device reports and returns the target and whether the device is in step with it. A report that
// equals the device's last one writes nothing.
func (f *Fleet) Poll(ctx context.Context, id uuid.UUID, reported Config) (target Config, inStep bool, err error) {
	if err := f.store.Report(ctx, id, reported, f.options.Now()); err != nil {
		return Config{}, false, err
	}
	target, err = f.store.Target(ctx)
	if err != nil {
		return Config{}, false, err
	}
	inStep, err = f.verdicts.of(target, reported)
	return target, inStep, err
}

// Target returns the configuration that all devices are to have.
func (f *Fleet) Target(ctx context.Context) (Config, error) { return f.store.Target(ctx) }

// SetTarget replaces it. One equal to the present target writes nothing.
func (f *Fleet) SetTarget(ctx context.Context, target Config) error {
	present, err := f.store.Target(ctx)
	if err != nil || present.Equal(target) {
		return err
	}
	return f.store.SetTarget(ctx, target, f.options.Now())
}

// Device returns what is known of a device, or ErrUnknownDevice.
func (f *Fleet) Device(ctx context.Context, id uuid.UUID) (Device, error) {
	return f.store.Device(ctx, id)
}

// Count returns the number of registered devices.
func (f *Fleet) Count(ctx context.Context) (int, error) { return f.store.Count(ctx) }

// Maintain does the store's housekeeping, if it has any.
func (f *Fleet) Maintain(ctx context.Context) error {
	if store, ok := f.store.(Maintainer); ok {
		return store.Maintain(ctx)
	}
	return nil
}
