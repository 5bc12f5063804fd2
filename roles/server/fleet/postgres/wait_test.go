package postgres_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"

	"github.com/jackc/pgx/v5"
)

// TestWait opens a store whose database is started later.
func TestWait(t *testing.T) {
	cluster := postgrestest.Start(t, postgrestest.Options{})
	url := cluster.URL(t)
	cluster.Stop(t)
	if store, err := postgres.Open(t.Context(), url, postgres.Options{}); err == nil {
		t.Fatal("it opens without a database", store.Close())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if store, err := postgres.Open(gone, url, postgres.Options{Wait: true}); err == nil {
		t.Fatal("it opens without a database", store.Close())
	}
	log := &lines{}
	opened := make(chan error)
	go func() {
		store, err := postgres.Open(t.Context(), url, postgres.Options{Wait: true, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			err = store.Close()
		}
		opened <- err
	}()
	for !strings.Contains(log.list()[0], "waiting for it") {
		select {
		case err := <-opened:
			t.Fatal(err)
		default:
		}
	}
	cluster.Restart(t)
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if got := log.list(); len(got) != 1 {
		t.Errorf("it logs %q", got)
	}
}

// TestPlain has no table without a log in a database that is used without.
func TestPlain(t *testing.T) {
	url := postgrestest.URL(t)
	open(t, url+"&plain=true", postgres.Options{})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }() // nothing is lost
	unlogged := 0
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'").Scan(&unlogged); err != nil || unlogged > 0 {
		t.Errorf("%d tables are unlogged, %v", unlogged, err)
	}
}
