package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"aspects-poc/internal/regular"
	"aspects-poc/roles/serverapi/signed"
)

// operatorsFile has a signed.Guard: the keys of the operators who may sign, and the last statement. The process that
// holds the journal's lock writes it.
const operatorsFile = "operators.json"

// Guard reads operators.json. Without the file it is the zero Guard. It returns an error for an unreadable file, so
// that nobody applies an unsigned target because of it.
func (d *Dir) Guard() (signed.Guard, error) {
	path := filepath.Join(d.Path, operatorsFile)
	text, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return signed.Guard{}, nil
	}
	var guard signed.Guard
	if err == nil {
		err = json.Unmarshal(text, &guard)
	}
	if err == nil {
		err = guard.Keys.Check()
	}
	if err != nil {
		return signed.Guard{}, fmt.Errorf("cannot read the operators' keys %s: %w", path, err)
	}
	return guard, nil
}

// SaveGuard writes operators.json.
func (d *Dir) SaveGuard(guard signed.Guard) error {
	text, err := json.MarshalIndent(guard, "", "  ")
	if err != nil {
		return err
	}
	return d.Write(operatorsFile, append(text, '\n'))
}
