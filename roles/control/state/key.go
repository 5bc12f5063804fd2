package state

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aspects-poc/internal/regular"
)

// PublicKey returns the device's public key in PEM (PKIX). It makes a key if there is none. The caller holds the
// lock.
func (d *Dir) PublicKey() (string, error) {
	key, err := d.keyOrNew()
	if err != nil {
		return "", err
	}
	return publicPEM(&key.PublicKey)
}

// keyOrNew returns the device's key. It makes one if there is none. The caller holds the lock.
func (d *Dir) keyOrNew() (*rsa.PrivateKey, error) {
	key, err := d.Key()
	if errors.Is(err, fs.ErrNotExist) {
		return d.makeKey()
	}
	return key, err
}

// Key returns the device's key. The error wraps fs.ErrNotExist if there is none.
func (d *Dir) Key() (*rsa.PrivateKey, error) {
	path := filepath.Join(d.Path, keyFile)
	text, err := regular.Read(path)
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

func (d *Dir) makeKey() (*rsa.PrivateKey, error) {
	key, err := d.generate()
	if err != nil {
		return nil, err
	}
	text, err := privatePEM(key, nil)
	if err != nil {
		return nil, err
	}
	return key, d.Write(keyFile, text)
}

// generate returns a new key without storing it.
func (d *Dir) generate() (*rsa.PrivateKey, error) {
	generate := d.NewKey
	if generate == nil {
		generate = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }
	}
	key, err := generate()
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for the device: %w", err)
	}
	return key, nil
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot write the public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func privatePEM(key *rsa.PrivateKey, headers map[string]string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for the device: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: headers, Bytes: der}), nil
}

// parsePrivatePEM parses what privatePEM has written.
func parsePrivatePEM(text []byte) (key *rsa.PrivateKey, headers map[string]string, err error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, errors.New("it is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("it is not an RSA key")
	}
	return key, block.Headers, nil
}
