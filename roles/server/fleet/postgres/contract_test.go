package postgres_test

import (
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/server/access"
	accesstest "aspects-poc/roles/server/access/storetest"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/storetest"
)

// ways are the ways to reach a database on which the contract has to hold.
var ways = []struct {
	name    string
	through func(t testing.TB, url string) string
	options postgres.Options
}{
	{"PostgreSQL", func(_ testing.TB, url string) string { return url }, postgres.Options{}},
	{"without LISTEN and UNLOGGED", func(_ testing.TB, url string) string { return url + "&plain=true" }, postgres.Options{}},
	{"through pgbouncer", postgrestest.Pooled, postgres.Options{}},
}

func TestStore(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			var mu sync.Mutex // guards places
			places := map[string]string{}
			storetest.Run(t, func(t *testing.T, place string) fleet.Store {
				mu.Lock()
				defer mu.Unlock()
				if places[place] == "" {
					places[place] = way.through(t, postgrestest.URL(t))
				}
				store, err := postgres.Open(t.Context(), places[place], way.options)
				if err != nil {
					t.Fatal(err)
				}
				return store
			}, storetest.Options{Shared: true})
		})
	}
}

func TestAccessStore(t *testing.T) {
	accesstest.Run(t, func(t *testing.T) access.Store {
		return open(t, postgrestest.URL(t), postgres.Options{})
	})
}

// TestDatabaseOfAnotherKind has databases that are not made as a server would make them.
func TestDatabaseOfAnotherKind(t *testing.T) {
	for _, address := range []string{"", "server.db", "mysql://localhost/fleet", "postgres://u:secret@h:port/fleet",
		"postgres://u:se cret@h/fleet?sslmode=perhaps", "postgres://u:secret@h/fleet?pool_max_conns=secret",
		"postgres://u:secret@h/fleet?default_query_exec_mode=simple_protocol", "postgres://u:secret@h/fleet?plain=secret"} {
		err := postgres.CheckAddress(address)
		if err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
