package fleetcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aspects-poc/internal/durable"
	"aspects-poc/roles/serverapi/signed"
)

// A signRecord has what this machine knows of a fleet in which it has signed. The server's word does not replace it.
type signRecord struct {
	Fleet  string      `json:"fleet"`
	Number int64       `json:"number"` // of the last statement that this machine has signed or seen
	Digest string      `json:"digest"` // of its text
	Keys   signed.Keys `json:"keys"`   // that may sign after it
	// Refused is the last statement that the server has refused; nil for none. The server may have stored it all the
	// same. Thus no other statement gets its number, and the next one follows it.
	Refused *refusedStatement `json:"refused,omitempty"`
	// Ended means that this machine has removed all statements from the server and has signed none since. Their numbers
	// stay used up.
	Ended bool `json:"ended,omitempty"`
}

type refusedStatement struct {
	Number int64  `json:"number"`
	Digest string `json:"digest"`
}

// last returns number and digest of the last statement with a number.
func (r signRecord) last() (number int64, digest string) {
	if r.Refused != nil && r.Refused.Number > r.Number {
		return r.Refused.Number, r.Refused.Digest
	}
	return r.Number, r.Digest
}

// A signRecords has the records of a user, by the address of the server. The file is beside the contexts.
type signRecords struct {
	path string
	of   map[string]signRecord
}

func readSignRecords(getenv func(string) string) (*signRecords, error) {
	contexts, err := bookPath(getenv)
	if err != nil {
		return nil, err
	}
	r := &signRecords{path: filepath.Join(filepath.Dir(contexts), "fleet-signed.json"), of: map[string]signRecord{}}
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r.of)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what was signed from here: %w", err)
	}
	return r, nil
}

func (r *signRecords) write(server string, record signRecord) error {
	r.of[server] = record
	text, err := json.MarshalIndent(r.of, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(r.path), 0o700)
	}
	if err == nil {
		err = durable.Write(r.path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot store what is signed: %w", err)
	}
	return nil
}
