package rows

import (
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// RevokedKeyColumns are the columns of a RevokedKey.
const RevokedKeyColumns = "key_id, device, at"

// A RevokedKey is a row of RevokedKeyColumns.
type RevokedKey struct {
	keyID  string
	device uuid.UUID
	at     int64
}

// Into returns what the columns are scanned into.
func (r *RevokedKey) Into() []any { return []any{&r.keyID, &r.device, &r.at} }

// Key returns the revoked key.
func (r *RevokedKey) Key() fleet.RevokedKey {
	return fleet.RevokedKey{KeyID: r.keyID, Device: r.device, At: Time(r.at)}
}
