package postgres_test

import (
	"os"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"

	"github.com/google/uuid"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

var by = fleet.Authorship{By: "ann", At: time.Unix(1732480000, 0).UTC()}

// open opens a store for as long as the test lasts.
func open(t testing.TB, url string, options postgres.Options) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func config(t testing.TB, text string) fleet.Config {
	t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// add registers a new device.
func add(t testing.TB, store fleet.Store) uuid.UUID {
	t.Helper()
	id := uuid.New()
	_, err := store.Add(t.Context(), fleet.Device{ID: id, Registered: by.At, Identity: fleet.Identity{PublicKeyRSA: id.String()}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
