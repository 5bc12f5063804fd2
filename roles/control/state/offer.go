package state

import (
	"errors"
	"io/fs"
	"path/filepath"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
)

// offerFile has a target from a file until the process that applies targets has handled it.
const offerFile = "offer.json"

// Offer reads offer.json; nil if there is none.
func (d *Dir) Offer() ([]byte, error) {
	text, err := regular.Read(filepath.Join(d.Path, offerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// SaveOffer writes offer.json, or removes it for nil.
func (d *Dir) SaveOffer(text []byte) error {
	if text == nil {
		return durable.Remove(filepath.Join(d.Path, offerFile))
	}
	return d.Write(offerFile, text)
}
