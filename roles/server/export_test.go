package server

import (
	"crypto/tls"
	"log/slog"
	"time"

	"aspects-poc/roles/server/clock"
)

// ShiftClock has the clock of this process say what is read.
func ShiftClock(read func() clock.Reading) { readClock = read }

// LoadCertificate is for the test of certificates that are replaced.
func LoadCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (func() *tls.Certificate, error) {
	loaded, err := loadCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, err
	}
	loaded.now = now
	loaded.checked = now()
	return func() *tls.Certificate {
		current, _ := loaded.get(nil)
		return current
	}, nil
}

// MakeFirstToken is for the test of servers that start at once.
var MakeFirstToken = makeFirstToken
