package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"aspects-poc/internal/regular"

	"github.com/google/uuid"
)

// A Device is the content of device.json.
type Device struct {
	// Registration is the present registration, or nil.
	Registration *Registration `json:"registration,omitempty"`
	// Former are registrations with other servers, latest first. The device uses them again when it returns to such a
	// server.
	Former []Registration `json:"former,omitempty"`
	// TurnedAway is set while a server refuses the device because an operator has revoked it there. It is nil after the
	// server has accepted a poll.
	TurnedAway *TurnedAway `json:"turned-away,omitempty"`
	// DefaultsWritten is when the default configuration was written; zero if it was not.
	DefaultsWritten time.Time `json:"defaults-written,omitzero"`
	// Simulated means that the totals are simulated. The kernel's first count then only sets a base.
	Simulated bool `json:"simulated,omitempty"`
}

// A TurnedAway says which server has refused the device, and since when.
type TurnedAway struct {
	Server string `json:"server-url"`
	Since  int64  `json:"since"` // seconds since 1970, by the device's clock
}

// A Registration is the identity of the device at a server.
type Registration struct {
	Server     string    `json:"server-url"`
	UUID       uuid.UUID `json:"uuid"`
	Registered int64     `json:"registered"` // seconds since 1970
}

// mostFormer is how many former registrations are stored.
const mostFormer = 8

// Register replaces the registration. It adds one with another server to Former.
func (d *Device) Register(registration Registration) {
	former := []Registration{}
	if old := d.Registration; old != nil && old.Server != registration.Server {
		former = append(former, *old)
	}
	for _, known := range d.Former {
		if known.Server != registration.Server && (len(former) == 0 || known.Server != former[0].Server) {
			former = append(former, known)
		}
	}
	d.Registration, d.Former = &registration, former[:min(len(former), mostFormer)]
}

// FormerAt returns the former registration with a server, or nil.
func (d *Device) FormerAt(server string) *Registration {
	for _, known := range d.Former {
		if known.Server == server {
			return &known
		}
	}
	return nil
}

// Device reads device.json. Without the file it is the zero Device.
func (d *Dir) Device() (Device, error) {
	path := filepath.Join(d.Path, deviceFile)
	text, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Device{}, nil
	}
	if err != nil {
		return Device{}, fmt.Errorf("cannot read the device's state: %w", err)
	}
	var device Device
	err = json.Unmarshal(text, &device)
	if err == nil && device.Registration != nil && device.Registration.UUID == uuid.Nil {
		err = errors.New("the registration has no uuid")
	}
	if err != nil {
		// An empty state would register the device twice.
		return Device{}, fmt.Errorf("cannot read the device's state %s: %w (move it away to start anew)", path, err)
	}
	return device, nil
}

// Change changes device.json. The caller must not hold the lock.
func (d *Dir) Change(ctx context.Context, change func(*Device)) error {
	unlock, err := d.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	device, err := d.Device()
	if err != nil {
		return err
	}
	change(&device)
	return d.Save(device)
}

// Save writes device.json. The caller holds the lock.
func (d *Dir) Save(device Device) error {
	text, err := json.MarshalIndent(device, "", "  ")
	if err != nil {
		return err
	}
	return d.Write(deviceFile, append(text, '\n'))
}
