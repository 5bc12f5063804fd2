package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// keySize is the size of the key for digests of secrets, in bytes.
const keySize = 32

// secretKey returns the key for digests of secrets, as fleet.Options.SecretKey has it: from the configured file, or from one
// beside the embedded database, which is created when it is needed. It returns nil for a random key.
func secretKey(config Config) func() ([]byte, error) {
	switch {
	case config.SecretKeyFile != "":
		return oncePerSuccess(func() ([]byte, error) { return readKey(config.SecretKeyFile) })
	case config.Open != nil || config.State == "" && config.Database == "":
		return nil
	case config.Database != "":
		return oncePerSuccess(func() ([]byte, error) {
			config.Log.Warn("the digests of secrets are this server's own until its next start; give all servers the same " +
				"--secret-key-file")
			return newKey(), nil
		})
	}
	return oncePerSuccess(func() ([]byte, error) { return makeKey(config.State+".key", config.Log) })
}

// oncePerSuccess returns a function that calls another one until it succeeds.
func oncePerSuccess(make func() ([]byte, error)) func() ([]byte, error) {
	var mu sync.Mutex
	var key []byte
	return func() (_ []byte, err error) {
		mu.Lock()
		defer mu.Unlock()
		if key == nil {
			key, err = make()
		}
		return key, err
	}
}

func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return key
}

func readKey(name string) ([]byte, error) {
	key, err := os.ReadFile(name)
	if err == nil && len(key) < keySize {
		err = fmt.Errorf("%q has %d bytes; a key for digests has %d or more, such as those of head -c 32 /dev/urandom", name, len(key), keySize)
	}
	return key, err
}

// makeKey reads a key, or creates the file for its owner alone.
func makeKey(name string, log *slog.Logger) ([]byte, error) {
	key, err := readKey(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	part, err := os.CreateTemp(filepath.Dir(name), ".secret-key-*") // of mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(part.Name()) }()
	key = newKey()
	_, err = part.Write(key)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(part.Name(), name); errors.Is(err, fs.ErrExist) {
		return readKey(name) // another process was faster
	} else if err != nil {
		return nil, err
	}
	log.Info("created the key for digests of secrets", "file", name)
	return key, nil
}
