package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"

	"github.com/google/uuid"
)

// An identity has both records of who the device is. Servers know the registration in the state directory; snaps read
// the UUID in the registry. The registration decides, unless somebody else has written the UUID.
type identity struct {
	dir     *state.Dir
	views   *views
	out     io.Writer
	log     *slog.Logger
	trouble *troubles

	registration *state.Registration // from the state directory or the server
	loaded       bool                // the state directory was read
	unreadable   bool                // reading the state directory failed
	uuid         uuid.UUID           // the device's UUID in the registry
	foreign      uuid.UUID           // the last logged UUID of the registry that is not the registration's
	lost         uuid.UUID           // UUID that the server no longer knows, or for which the device has no key
}

// registered adopts a registration that is in the state directory.
func (i *identity) registered(registration *state.Registration) {
	i.registration, i.loaded = registration, true
}

// polling returns the UUID to poll with, or uuid.Nil if the device has to register.
func (i *identity) polling() uuid.UUID {
	if i.uuid == i.lost {
		return uuid.Nil
	}
	return i.uuid
}

// determine reads the device's UUID from the registry, and writes the registration there if the registry lacks it.
func (i *identity) determine(ctx context.Context, hub *attach.Hub) error {
	i.load()
	var shown network.ObserveDevice
	if err := i.views.identity.Read(ctx, &shown); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	i.uuid = uuid.Nil
	if shown.UUID != "" {
		known, err := uuid.Parse(shown.UUID)
		if err != nil {
			return fmt.Errorf("cannot use the device's uuid %q of the registry: %w", shown.UUID, err)
		}
		i.uuid = known
	}
	ours := i.registration
	if ours == nil || ours.UUID == i.lost || ours.UUID == i.uuid {
		return nil
	}
	if i.uuid != uuid.Nil && i.uuid != i.lost {
		// Somebody set it, or registered the device with another state directory.
		if i.foreign != i.uuid {
			i.foreign = i.uuid
			i.log.Warn("the registry names another device than the state directory; the registry's is used",
				"registry", i.uuid, "state", ours.UUID)
		}
		return nil
	}
	err := hub.View(network.ControlDeviceView).Set(ctx, network.ControlDevice{
		ID: ours.UUID.String(), Registered: network.Unix(ours.Registered),
	})
	if err != nil {
		return err
	}
	i.views.identity.Forget()
	i.uuid = ours.UUID
	fmt.Fprintf(i.out, "Device %s registered.\n", i.uuid)
	return nil
}

// load reads the registration from the state directory. It tries again until a read succeeds.
func (i *identity) load() {
	if i.loaded {
		return
	}
	device, err := i.dir.Device()
	if err != nil {
		i.trouble.report(ofState, err)
		i.unreadable = true
		return
	}
	i.registered(device.Registration)
	if i.unreadable {
		i.trouble.clear(ofState)
	}
}

// returnTo restores the device's registration with a server that it has used before. Call it after a change of server.
func (i *identity) returnTo(ctx context.Context, hub *attach.Hub, server string) error {
	i.lost = uuid.Nil
	if i.registration == nil || i.registration.Server == server || i.registration.UUID != i.uuid {
		return nil
	}
	device, err := i.dir.Device()
	if err != nil || device.FormerAt(server) == nil {
		return nil //nolint:nilerr // load has reported it
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err = i.dir.Change(ctx, func(device *state.Device) {
		if known := device.FormerAt(server); known != nil {
			device.Register(*known)
		}
		i.registration = device.Registration
	})
	if err != nil {
		i.trouble.report(ofState, err)
		return nil
	}
	i.lost = i.uuid // makes determine replace the registry's UUID
	if err := i.determine(ctx, hub); err != nil {
		return err
	}
	i.lost = uuid.Nil
	return nil
}
