package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how old a look at the certificate's files may be: renewed ones are in use as long after.
const certificateAge = 5 * time.Second

// A certificate is one in two files, which may be replaced while it is in use. Where they cannot be used, the last good
// one stays, and the log says why.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex // guards what follows
	looked  time.Time
	text    []byte // of both files, as they were used last, or refused
	current *tls.Certificate
}

// loadCertificate reads the files, which have to be good to begin with.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("cannot use the certificate in %s with the key in %s: %w", certFile, keyFile, err)
	}
	c.looked = c.now()
	return c, nil
}

// load reads the files and takes them if they have changed. The lock is held, or nobody else has c yet.
func (c *certificate) load() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return err
	}
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if bytes.Equal(text, c.text) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		// A renewal replaces one file after the other: the next look may find both.
		return err
	}
	c.text, c.current = text, &pair
	return nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= certificateAge {
		c.looked = now
		before := c.current
		if err := c.load(); err != nil {
			c.log.Warn("cannot use the new certificate, keeping the old one", "error", err)
		} else if c.current != before {
			c.log.Info("certificate replaced", "file", c.certFile)
		}
	}
	return c.current, nil
}

// config is what listeners need.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

// own makes a client take this certificate, whatever name it has and whoever signed it: a server that talks to itself
// knows itself by its key.
func (c *certificate) own() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection is stricter
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
