package postgres_test

import (
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestStaged has two servers on one database, which hear nothing of each other.
func TestStaged(t *testing.T) {
	t.Parallel()
	storetest.Staged(t, 2, 6, 250, func(t *testing.T) func() fleet.Store {
		url := postgrestest.URL(t)
		return func() fleet.Store { return open(t, url, postgres.Options{}) }
	})
}
