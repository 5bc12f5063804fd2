package signed

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind is the value of Statement.Type. Version is the value of Statement.Version.
const (
	Kind    = "aspects-poc fleet statement"
	Version = 1
)

// A Statement says which targets the devices of a fleet may have. The operator signs its text, which is never encoded
// again.
type Statement struct {
	Type     string    `json:"type"`
	Version  int       `json:"version"`
	Fleet    string    `json:"fleet"`              // a random name that the operator has made
	Number   int64     `json:"number"`             // 1 for the first of the fleet; each next one has a higher number
	Previous string    `json:"previous,omitempty"` // digest of the statement before; "" for the first
	At       int64     `json:"at"`                 // seconds since 1970, by the operator's clock
	Revision int64     `json:"revision"`           // the server's last revision when its layers were read
	Manifest string    `json:"manifest"`           // digest of the manifest, which names the layers
	Devices  int64     `json:"devices"`            // leaves of the tree
	Root     tlog.Hash `json:"root"`               // of the tree
	Keys     Keys      `json:"keys"`               // that may sign from now on
	// SignAgain is the time until which the operator promises a new statement, in seconds since 1970; 0 means no
	// promise. Devices warn after it: the server may be withholding a later statement.
	SignAgain int64 `json:"sign-again,omitempty"`
}

// Digest returns the digest of a text: "sha-256=" and the base64 of its SHA-256.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha-256=" + base64.StdEncoding.EncodeToString(sum[:])
}

// The shapes on the wire.
type (
	Signed   = serverapi.Signed
	Evidence = serverapi.Evidence
	Place    = serverapi.SecretPlace
)

// longestStatement is the largest size of a statement's text, in bytes.
const longestStatement = 256 << 10

// limits are the limits of a statement's JSON.
var limits = jsonvalue.Limits{Depth: 8, Values: 2000}

// Parse parses a statement. It does not verify the signature.
func Parse(s Signed) (Statement, error) {
	if len(s.Statement) > longestStatement {
		return Statement{}, errors.New("the statement is too long")
	}
	var statement Statement
	if err := strict(s.Statement, limits, &statement); err != nil {
		return Statement{}, fmt.Errorf("cannot read the statement: %w", err)
	}
	switch {
	case statement.Type != Kind:
		return Statement{}, fmt.Errorf("it is no statement: its type is %q", statement.Type)
	case statement.Version != Version:
		return Statement{}, fmt.Errorf("the statement has version %d, which a later version of this program knows", statement.Version)
	case len(statement.Fleet) < 16 || len(statement.Fleet) > 100:
		return Statement{}, errors.New("the statement names no fleet")
	case statement.Number < 1 || statement.Number > 1<<53:
		return Statement{}, errors.New("the statement has no number")
	case (statement.Number > 1) != (statement.Previous != ""):
		return Statement{}, errors.New("the statement does not name the one before")
	case statement.Devices < 0:
		return Statement{}, errors.New("the statement has less than no device")
	}
	if err := statement.Keys.Check(); err != nil {
		return Statement{}, fmt.Errorf("the keys of the statement: %w", err)
	}
	return statement, nil
}

// strict decodes JSON. It returns an error for repeated or unknown members, and for text behind the value.
func strict(text string, limits jsonvalue.Limits, into any) error {
	if err := limits.Check([]byte(text)); err != nil {
		return err
	}
	return jsonvalue.DecodeKnown([]byte(text), into)
}

func encode(value any) (string, error) {
	text, err := jsonvalue.Encode(value)
	return string(text), err
}
