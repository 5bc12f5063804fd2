package postgres_test

import (
	"testing"

	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestOldKeys opens a database in which devices are found by the text of their keys.
func TestOldKeys(t *testing.T) {
	url := postgrestest.URL(t)
	ids, keys := storetest.OldKeys(t)
	postgres.CreateOld(t, url, ids, keys)
	for range 2 {
		storetest.FindsOldKeys(t, open(t, url, postgres.Options{}), ids, keys)
	}
}
