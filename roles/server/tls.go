package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aspects-poc/internal/regular"
)

// certificateAge is the time between two checks of the certificate's files.
const certificateAge = 5 * time.Second

// A certificate is read from two files, which may be replaced while the server runs. If the new files are invalid, the
// last valid certificate stays in use, and the log has the error.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex // guards the fields below
	checked time.Time  // last check of the files
	text    []byte     // of both files at the last read
	current *tls.Certificate
}

// loadCertificate reads the files. It returns an error if they are invalid.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("cannot use the certificate in %s with the key in %s: %w", certFile, keyFile, err)
	}
	c.checked = c.now()
	return c, nil
}

// load reads the files and uses them if they have changed. The caller holds the lock, unless it alone has c.
func (c *certificate) load() error {
	cert, err := regular.Read(c.certFile)
	if err != nil {
		return err
	}
	key, err := regular.Read(c.keyFile)
	if err != nil {
		return err
	}
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if bytes.Equal(text, c.text) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		// A renewal replaces one file after the other. The next check may find both.
		return err
	}
	c.text, c.current = text, &pair
	return nil
}

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateAge {
		c.checked = now
		before := c.current
		if err := c.load(); err != nil {
			c.log.Warn("cannot use the new certificate, keeping the old one", "error", err)
		} else if c.current != before {
			c.log.Info("certificate replaced", "file", c.certFile)
		}
	}
	return c.current, nil
}

// config returns the configuration for a listener.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

// own returns the configuration of a client that accepts only this certificate, whatever its name and signer. The
// server calls itself with it.
func (c *certificate) own() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection checks more
		VerifyConnection: func(state tls.ConnectionState) error {
			current, err := c.get(nil)
			if err != nil {
				return err
			}
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, current.Certificate[0]) {
				return errors.New("another server answers: its certificate is not this one's")
			}
			return nil
		},
	}
}
