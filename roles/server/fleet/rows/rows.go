// Package rows has what the stores share: the names of tables and columns, and row types that convert between columns
// and fleet's types. A store has its own statements; it scans into a row of this package, and writes values of this
// package. The package itself has no database.
//
//	table      columns                                                       what differs, and why
//	devices    id uuid registered ip_address public_key_rsa arch key_digest   -
//	           key_id name
//	           status labels own_revision                                    in PostgreSQL; the embedded store has them in
//	                                                                         standings: it counts by reading all of that
//	                                                                         table, where PostgreSQL rewrites a whole row
//	                                                                         for each time of a poll
//	reports    device config sequence instance running_revision running_hash -
//	           attempted_revision attempted_outcome attempted_path
//	           attempted_reason attempted_at at
//	standings  device state verdict_revision says last_seen twins alone      in the embedded store also status, label_set and
//	                                                                         own_revision
//	label_sets id labels                                                     embedded only: standings has the number, which
//	                                                                         keeps its rows small
//	layers     name selector priority config revision author at              in PostgreSQL also the layers of devices, with
//	                                                                         the column device
//	device_    device config revision author at                              embedded only: a row is found by the number of
//	layers                                                                   its device, without an index
//	concerns   selector revision waiting                                     -
//	history    revision author at layer action restores selector priority    -
//	           before after labels name step
//	releases   id version author at layers plan progress outcome active      -
//	release_   name selector priority config revision author at own          the layers before the active release
//	layers
//	stats      device at text                                                -
//	tokens     id name purpose digest role scope created expires revoked     -
//	           last_used device_limit used labels proxy
//	secrets    name value revision author at                                 -
//	signatures number statement signature manifest revision author at salts  -
//	sealing    state                                                         -
//	revoked_   key_id device at                                              -
//	keys
//	samples    at text                                                       -
//	audit      number act at request kind name person role scope address     at is in milliseconds
//	           proxy agent verb thing details result status reason
//	           revision times
//	counter    floor                                                         embedded only: no revision up to it is drawn;
//	                                                                         the last one drawn is that of the history
//	counters   name value                                                    PostgreSQL only: writers lock its rows, so that
//	                                                                         numbers become visible in their order
//	changes    number at origin kind revision layer devices                  PostgreSQL only: what servers tell each other
//	nonces     mark until                                                    PostgreSQL only: what servers tell each other
//
// device is an id of devices. says tells whether a device reports which target it runs. A time is in seconds since
// 1970, and 0 is none. A key_digest is that of Digest. Enumerations are the numbers of fleet's types. Texts that others
// choose have the type bytea in PostgreSQL, whose text cannot hold U+0000, which JSON can.
package rows

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
)

// A Text is a text that others choose.
type Text string

// BytesValue writes the text into a column of type bytea.
func (t Text) BytesValue() ([]byte, error) { return []byte(t), nil }

// ScanBytes reads the text from a column of type bytea.
func (t *Text) ScanBytes(value []byte) error {
	*t = Text(value)
	return nil
}

// Seconds returns the value of a time; 0 for the zero time.
func Seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// Time returns the time of a value; the zero time for 0.
func Time(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// NullIfEmpty returns nil, which is NULL, for "".
func NullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Digest returns the key_digest of a public key: half a SHA-256, equal for all notations of the key. It returns nil,
// which is NULL, for no key. An index of whole keys would double the table.
func Digest(publicKey string) []byte {
	if publicKey == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(fleet.SameKey(publicKey)))
	return sum[:sha256.Size/2]
}

// Refusal reports whether an error is a refusal of the rules, and no failure of the store.
func Refusal(err error) bool {
	return fleet.IsRefusal(err) || errors.Is(err, access.ErrTokenExists) || errors.Is(err, access.ErrUnknownToken) ||
		errors.Is(err, access.ErrTokenSpent) || errors.Is(err, access.ErrLastAdmin)
}

// A Page collects one page of a list that is read in the order of an ID.
type Page[T any] struct {
	After int64 // the page begins after this ID
	List  []T
	Next  string // the cursor of the next page; "" at the end
	limit int
	last  int64
}

// NewPage returns an empty page that begins after a cursor. It returns fleet.ErrBadCursor for an invalid cursor.
func NewPage[T any](cursor string, limit int) (*Page[T], error) {
	page := &Page[T]{limit: limit}
	if cursor != "" {
		after, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return nil, fleet.ErrBadCursor
		}
		page.After, page.last = after, after
	}
	return page, nil
}

// Limit returns the number of rows to read. It is one more than the page has, because a further row shows that there is
// a next page.
func (p *Page[T]) Limit() int { return p.limit + 1 }

// Add adds the value of the next row to the page, or records that there is a next page.
func (p *Page[T]) Add(id int64, value T) {
	if len(p.List) == p.limit {
		p.Next = strconv.FormatInt(p.last, 10)
		return
	}
	p.List, p.last = append(p.List, value), id
}

// configOf parses a configuration. what is its name in errors.
func configOf(what string, text []byte) (fleet.Config, error) {
	config, err := fleet.LoadConfig(text)
	if err != nil {
		return fleet.Config{}, fmt.Errorf("%s: %w", what, err)
	}
	return config, nil
}

// Selector parses a selector.
func Selector(text string) (fleet.Selector, error) {
	selector, err := fleet.ParseSelector(text)
	if err != nil {
		return fleet.Selector{}, fmt.Errorf("a selector: %w", err)
	}
	return selector, nil
}

// labelsOf parses labels.
func labelsOf(text string) (fleet.Labels, error) {
	labels, err := fleet.LoadLabels(text)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return labels, nil
}
