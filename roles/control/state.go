package control

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"aspects-poc/internal/durable"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// The files of a state directory.
const (
	deviceFile = "device.json"    // a Device
	keyFile    = "device-key.pem" // the private key, PKCS #8, mode 0600
	lockFile   = "device.lock"    // lock of the process that changes the other files
)

// lockRetry is the pause between two attempts to lock.
const lockRetry = 50 * time.Millisecond

// keyBits is the size of a new key.
const keyBits = 2048

// A Device is the content of device.json.
type Device struct {
	// Registration is the present registration, or nil.
	Registration *Registration `json:"registration,omitempty"`
	// Former are registrations with other servers, latest first. They are used again when the device returns to such
	// a server.
	Former []Registration `json:"former,omitempty"`
	// DefaultsWritten is when the default configuration was written; zero if it was not.
	DefaultsWritten time.Time `json:"defaults-written,omitzero"`
	// Simulated means that the totals are simulated. The kernel's first count is then only a base.
	Simulated bool `json:"simulated,omitempty"`
}

// A Registration is the identity of the device at a server.
type Registration struct {
	Server     string    `json:"server-url"`
	UUID       uuid.UUID `json:"uuid"`
	Registered int64     `json:"registered"` // seconds since 1970
}

// mostFormer is how many former registrations are stored.
const mostFormer = 8

// register replaces the registration.
func (d *Device) register(registration Registration) {
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

// formerly returns the former registration with a server, or nil.
func (d *Device) formerly(server string) *Registration {
	for _, known := range d.Former {
		if known.Server == server {
			return &known
		}
	}
	return nil
}

// A State is the state directory. The first write creates it. It is safe for concurrent use, also by several
// processes: a caller that reads in order to change holds the lock.
type State struct {
	dir string
	// newKey makes a key; nil means a new RSA key. Tests set it, since making a key takes time.
	newKey func() (*rsa.PrivateKey, error)
	// replace writes a file; nil means durable.Write.
	replace func(path string, content []byte, mode os.FileMode) error
}

// Lock locks the files of the directory for changes. The caller calls unlock. It returns an error if ctx ends first.
func (s *State) Lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep the device's state: %w", err)
	}
	lock := flock.New(filepath.Join(s.dir, lockFile), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	return func() { lock.Close() }, nil // closing unlocks
}

// Tidy removes leftovers of killed processes. It leaves them until the next start if another process holds the lock,
// since they may be its own.
func (s *State) Tidy() error {
	return errors.Join(s.tidy(lockFile, deviceFile, keyFile, nextKeyFile), s.tidy(journalLock, journalFile))
}

func (s *State) tidy(lock string, files ...string) error {
	leftovers := func() ([]string, error) { return s.leftovers(files...) }
	if list, err := leftovers(); err != nil || len(list) == 0 {
		return err
	}
	return tidy(filepath.Join(s.dir, lock), leftovers)
}

// tidyHeld is Tidy for a caller that holds the lock of the device's files.
func (s *State) tidyHeld() error {
	list, err := s.leftovers(deviceFile, keyFile, nextKeyFile)
	for _, path := range list {
		err = errors.Join(err, durable.Remove(path))
	}
	return err
}

func (s *State) leftovers(files ...string) (list []string, err error) {
	for _, name := range files {
		found, err := durable.Leftovers(filepath.Join(s.dir, name))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// tidy removes leftovers under a lock, if it is free.
func tidy(lockPath string, leftovers func() ([]string, error)) error {
	lock := flock.New(lockPath, flock.SetPermissions(0o600))
	free, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", lockPath, err)
	}
	if !free {
		return nil
	}
	defer lock.Close() //nolint:errcheck // closing is all that is needed to unlock
	list, err := leftovers()
	for _, path := range list {
		err = errors.Join(err, durable.Remove(path))
	}
	return err
}

// Device reads device.json. Without the file it is the zero Device.
func (s *State) Device() (Device, error) {
	path := filepath.Join(s.dir, deviceFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Device{}, nil
	}
	var device Device
	if err == nil {
		err = json.Unmarshal(text, &device)
	}
	if err == nil && device.Registration != nil && device.Registration.UUID == uuid.Nil {
		err = errors.New("the registration has no uuid")
	}
	if err != nil {
		// Starting without it would register the device twice.
		return Device{}, fmt.Errorf("cannot read the device's state %s: %w (move it away to start anew)", path, err)
	}
	return device, nil
}

// Change changes device.json. The caller must not hold the lock.
func (s *State) Change(ctx context.Context, change func(*Device)) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	device, err := s.Device()
	if err != nil {
		return err
	}
	change(&device)
	return s.save(device)
}

// save writes device.json. The caller holds the lock.
func (s *State) save(device Device) error {
	text, err := json.MarshalIndent(device, "", "  ")
	if err != nil {
		return err
	}
	return s.write(deviceFile, append(text, '\n'))
}

// PublicKey returns the device's public key in PEM (PKIX). It makes a key if there is none. The caller holds the
// lock.
func (s *State) PublicKey() (string, error) {
	key, err := s.key()
	if err != nil {
		return "", err
	}
	return publicPEM(&key.PublicKey)
}

// key returns the device's key. It makes one if there is none. The caller holds the lock.
func (s *State) key() (*rsa.PrivateKey, error) {
	key, err := s.readKey()
	if errors.Is(err, fs.ErrNotExist) {
		return s.makeKey()
	}
	return key, err
}

// readKey returns the device's key. The error wraps fs.ErrNotExist if there is none.
func (s *State) readKey() (*rsa.PrivateKey, error) {
	path := filepath.Join(s.dir, keyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the device's key: %w", err)
	}
	// The file is made with mode 0600, but somebody may have restored it from a backup.
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() != 0o600 {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot protect the device's key: %w", err)
	}
	key, _, err := parsePrivatePEM(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use the device's key %s: %w (move it away to make another)", path, err)
	}
	return key, nil
}

func (s *State) makeKey() (*rsa.PrivateKey, error) {
	key, err := s.generate()
	if err != nil {
		return nil, err
	}
	text, err := privatePEM(key, nil)
	if err != nil {
		return nil, err
	}
	return key, s.write(keyFile, text)
}

// generate returns a new key without storing it.
func (s *State) generate() (*rsa.PrivateKey, error) {
	generate := s.newKey
	if generate == nil {
		generate = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }
	}
	key, err := generate()
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for the device: %w", err)
	}
	return key, nil
}

// write replaces a file of the directory; see durable.Write.
func (s *State) write(name string, content []byte) error {
	replace := s.replace
	if replace == nil {
		replace = durable.Write
	}
	return replace(filepath.Join(s.dir, name), content, 0o600)
}
