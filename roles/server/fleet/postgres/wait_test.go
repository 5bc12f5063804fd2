package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

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
	waitsUntil(t, url, func() { cluster.Restart(t) }, "waiting for it")
}

// TestWaitForCreation opens a store whose database is made later.
func TestWaitForCreation(t *testing.T) {
	url := postgrestest.URL(t)
	address, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(url, "/"+address.Database, "/later_"+address.Database, 1)
	waitsUntil(t, later, func() {
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			_, err = conn.Exec(t.Context(), "CREATE DATABASE later_"+address.Database)
			err = errors.Join(err, conn.Close(t.Context()))
		}
		if err != nil {
			t.Error(err)
		}
	}, "does not exist")
}

// waitsUntil opens a store, has the database made when it says that it waits, and expects that it opens then.
func waitsUntil(t *testing.T, url string, act func(), says string) {
	t.Helper()
	log := &lines{}
	opened := make(chan error)
	go func() {
		store, err := postgres.Open(t.Context(), url, postgres.Options{Wait: true, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			err = store.Close()
		}
		opened <- err
	}()
	for !strings.Contains(log.list()[0], says) {
		select {
		case err := <-opened:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	act()
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
