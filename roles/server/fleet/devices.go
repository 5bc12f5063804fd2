package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// silentAfter is the number of poll intervals after which a device without a poll is silent.
const silentAfter = 3

// Register stores a new device, which does not sign its requests, with a new UUID. For a known public key it returns
// the registered device as it is, so that a device that has missed the first answer can ask again. The labels must pass
// Labels.Check. It returns ErrPendingFull for one more Pending device than Options.MaxPending.
func (f *Fleet) Register(ctx context.Context, identity Identity, labels Labels, status Status) (Device, error) {
	return f.RegisterSigning(ctx, identity, "", labels, status)
}

// RegisterSigning is Register for a device that has proved that it owns the key. keyID is the key's KeyID.
func (f *Fleet) RegisterSigning(
	ctx context.Context, identity Identity, keyID string, labels Labels, status Status,
) (Device, error) {
	id, err := f.options.NewID()
	if err != nil {
		return Device{}, fmt.Errorf("cannot make a UUID: %w", err)
	}
	now := f.options.Now().UTC().Truncate(time.Second)
	device, err := f.store.Add(ctx, Device{
		ID: id, Registered: now, Identity: identity, KeyID: keyID, Labels: labels, Status: status,
	}, f.options.MaxPending)
	if err == nil && device.ID != id {
		f.sightings.add(device.ID, now, nil)
	}
	device.Own, device.Config = nil, Config{}
	return device, err
}

// A View is a device with the values that are derived from it.
//
// It has many fields because it has those of the device.
type View struct {
	Device
	Target Target
	State  State
	Silent bool // not seen for three poll intervals
	Cloned bool // two machines report as this device
	// Release is the active release if it changes a layer of the device, else nil. Stage is the number of the stage
	// that has admitted the device; 0 if the device waits. WaitsFor is the number of the stage for which it waits; 0 if
	// it does not wait, and in lists.
	Release  *Release
	Stage    int
	WaitsFor int

	differing func() ([]string, error)
}

// Unsigned reports whether the device does not run its target because nobody has signed the target.
func (v View) Unsigned() bool {
	return !v.Target.offered() && (v.State == StateBehind || v.State == StateRefused || v.State == StateFailed)
}

// Differs lists the paths of the device's values that contradict its target. A path ends at a secret.
func (v View) Differs() ([]string, error) { return v.differing() }

// Explain returns the origin of each value of the target, by path. Arrays and empty objects count as values.
func (t Target) Explain() (map[string]Origin, error) {
	return (&composition{layers: t.Layers, tree: t.tree}).explain()
}

// Device returns a device, or ErrUnknownDevice.
func (f *Fleet) Device(ctx context.Context, id uuid.UUID) (View, error) {
	device, err := f.store.Device(ctx, id)
	if err != nil {
		return View{}, err
	}
	view, err := f.view(ctx, device)
	if err == nil && view.Release != nil && view.Stage == 0 {
		view.WaitsFor, err = f.waitsFor(ctx, device)
	}
	if err != nil {
		return View{}, err
	}
	return f.secrets.configs(view)
}

// DeviceByKey returns the device with a key, without its layer and its report. It returns ErrRevoked for the key of a
// removed device that was Revoked, and ErrUnknownDevice for another unknown key.
func (f *Fleet) DeviceByKey(ctx context.Context, keyID string) (Device, error) {
	device, err := f.store.DeviceByKey(ctx, keyID)
	device.Own, device.Config = nil, Config{}
	return device, err
}

// view returns a device as operators see it, without the configurations of its target and its report.
func (f *Fleet) view(ctx context.Context, device Device) (View, error) {
	targets, target, err := f.targetOf(ctx, device, Report{})
	if err != nil {
		return View{}, err
	}
	state, err := target.stateOf(device)
	if err != nil {
		return View{}, err
	}
	f.sightings.complete(&device)
	view := View{
		Device: device, Target: target, State: state, Silent: device.LastSeen.Before(f.silentSince()),
		Cloned: device.cloned(f.options.PollInterval),
	}
	view.Release, view.Stage = targets.stageOf(device)
	return f.secrets.view(view)
}

// silentSince returns the time since which a device must have polled.
func (f *Fleet) silentSince() time.Time {
	return f.options.Now().Add(-silentAfter * f.options.PollInterval)
}

// A Filter chooses devices. The zero value chooses all.
type Filter struct {
	Selector Selector
	State    State  // StateUnknown means any
	Silent   *bool  // nil means either
	Cloned   *bool  // nil means either
	Name     string // "" means any
	// Match chooses by other properties; nil means all.
	Match func(Device) bool
}

// The limits of one call of Devices, which also count devices that the filter rejects.
const (
	scanRows = 1000 // in each read
	scanTime = time.Second
)

// Devices returns devices in the order of their registration, without their reports: at most limit devices that the
// filter chooses, after a cursor. The cursor is "" or the next of the previous call. next is "" at the end. A call that
// has read many devices may return fewer than limit, and a next.
func (f *Fleet) Devices(ctx context.Context, filter Filter, after string, limit int) (list []View, next string, err error) {
	if filter.Name != "" {
		return f.named(ctx, filter, after, limit)
	}
	begin := time.Now()
	for {
		// If the filter chooses all, limit devices are enough.
		rows := limit - len(list)
		if filter.narrow() {
			rows = scanRows
		}
		devices, more, err := f.store.Devices(ctx, after, rows)
		if err != nil {
			return nil, "", err
		}
		for i, device := range devices {
			view, err := f.view(ctx, device)
			if err != nil {
				return nil, "", err
			}
			view.Config = Config{}
			if !filter.chooses(view) {
				continue
			}
			if len(list) == limit {
				// Read again up to the last returned device, because the store's cursors are at ends of pages only.
				next, err := f.cursorBehind(ctx, after, i)
				return list, next, err
			}
			list = append(list, view)
		}
		if more == "" || len(list) == limit || time.Since(begin) > scanTime {
			return list, more, nil
		}
		after = more
	}
}

// named is Devices for a filter with a name.
func (f *Fleet) named(ctx context.Context, filter Filter, after string, limit int) (list []View, next string, err error) {
	if after != "" || limit < 1 { // one device has the name
		return nil, "", nil
	}
	id, err := f.store.Named(ctx, filter.Name)
	if err == nil {
		var view View
		if view, err = f.Device(ctx, id); err == nil && filter.chooses(view) {
			view.Config = Config{}
			list = append(list, view)
		}
	}
	if errors.Is(err, ErrUnknownDevice) {
		err = nil
	}
	return list, "", err
}

// cursorBehind returns the cursor after the first n devices behind another cursor.
func (f *Fleet) cursorBehind(ctx context.Context, after string, n int) (string, error) {
	if n == 0 {
		return after, nil
	}
	_, next, err := f.store.Devices(ctx, after, n)
	return next, err
}

// narrow reports whether the filter may reject a device.
func (f Filter) narrow() bool {
	return f.Selector.String() != "" || f.State != StateUnknown || f.Silent != nil || f.Cloned != nil || f.Match != nil
}

func (f Filter) chooses(view View) bool {
	return f.Selector.Matches(view.Labels) && (f.State == StateUnknown || f.State == view.State) &&
		(f.Silent == nil || *f.Silent == view.Silent) && (f.Cloned == nil || *f.Cloned == view.Cloned) && (f.Match == nil || f.Match(view.Device))
}

// SetLabels changes a device's labels by a merge patch, in which nil removes a label. It returns the changed device. It
// returns a *LabelError for a label that Labels.CheckGiven refuses, and a *ScopeError for a change outside of the
// scope. The patch may remove labels that the device says of itself.
func (f *Fleet) SetLabels(ctx context.Context, id uuid.UUID, patch map[string]*string, by string, within Scope) (View, error) {
	recordPatch(ctx, patch)
	if name, err := Labels(nil).Merge(patch).CheckGiven(); err != nil {
		return View{}, &LabelError{Name: name, Err: err}
	}
	for {
		device, err := f.store.Device(ctx, id)
		if err != nil {
			return View{}, err
		}
		after := device.Labels.Merge(patch)
		if err := within.Labels(device.Labels, after); err != nil {
			return View{}, err
		}
		if name, err := after.Check(); err != nil {
			return View{}, &LabelError{Name: name, Err: err}
		}
		_, err = f.store.SetLabels(ctx, id, device.Labels, after, Authorship{By: by, At: f.options.Now()})
		if errors.Is(err, ErrStale) {
			continue // another change was first; the patch applies to its result
		}
		if err != nil {
			return View{}, err
		}
		f.changed(id)
		return f.Device(ctx, id)
	}
}

// A LabelError is the error for an invalid label.
type LabelError struct {
	Name string // "" if the error is about all labels
	Err  error
}

func (e *LabelError) Error() string { return e.Err.Error() }

// SetStatus sets whether a device may poll. It returns a *ScopeError if the device is not within the scope.
func (f *Fleet) SetStatus(ctx context.Context, id uuid.UUID, status Status, within Scope) (View, error) {
	if err := f.store.SetStatus(ctx, id, status, within); err != nil {
		return View{}, err
	}
	f.changed(id)
	return f.Device(ctx, id)
}

// Relabel replaces the labels that a device says of itself, sets the other labels of a registration, and returns all
// labels. Call it when the device has proved that an earlier unsigned registration is its own. If an operator has
// changed the device's labels since that registration, Relabel does not set the others, because the history does not
// say who set which label.
func (f *Fleet) Relabel(ctx context.Context, device Device, registered Labels) (Labels, error) {
	after := Labels{}
	for name, value := range device.Labels {
		if !strings.HasPrefix(name, SaidPrefix) {
			after[name] = value
		}
	}
	relabeled, err := f.lastOf(ctx, DeviceLayer(device.ID), Relabeled) // since the registration
	if err != nil {
		return nil, err
	}
	for name, value := range registered {
		if relabeled == 0 || strings.HasPrefix(name, SaidPrefix) {
			after[name] = value
		}
	}
	if name, err := after.Check(); err != nil {
		return nil, &LabelError{Name: name, Err: err}
	}
	if len(after) == 0 {
		after = nil
	}
	_, err = f.store.SetLabels(ctx, device.ID, device.Labels, after, Authorship{By: "registration", At: f.options.Now()})
	if err == nil {
		f.concern([]uuid.UUID{device.ID})
	}
	return after, err
}

// SetKey replaces a device's public key. It returns ErrStale if the device's key does not have the KeyID before, and
// ErrExists if the new key is already known.
func (f *Fleet) SetKey(ctx context.Context, id uuid.UUID, before, publicKey string) error {
	err := f.store.SetKey(ctx, id, before, publicKey, KeyID(publicKey))
	if err == nil {
		f.concern([]uuid.UUID{id})
	}
	return err
}

// Remove removes a device. The server answers a later poll of it that it has to register. The key of a Revoked device
// stays revoked until AllowKey.
func (f *Fleet) Remove(ctx context.Context, id uuid.UUID, by string) error {
	err := f.store.Remove(ctx, id, Authorship{By: by, At: f.options.Now()})
	if err == nil {
		f.changed(id)
	}
	return err
}

// RevokedKeys returns the revoked keys of removed devices, the oldest first.
func (f *Fleet) RevokedKeys(ctx context.Context) ([]RevokedKey, error) {
	return f.store.RevokedKeys(ctx)
}

// AllowKey permits the registration with a key of RevokedKeys. It returns ErrUnknownKey for any other key.
func (f *Fleet) AllowKey(ctx context.Context, keyID string) error {
	return f.store.AllowKey(ctx, keyID)
}

// Count returns the number of registered devices.
func (f *Fleet) Count(ctx context.Context) (int, error) { return f.store.Count(ctx) }

// Waiting returns the number of polls that this server holds.
func (f *Fleet) Waiting() int { return f.waiting.number() }
