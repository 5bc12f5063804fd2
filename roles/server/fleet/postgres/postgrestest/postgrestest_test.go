package postgrestest_test

import (
	"os"
	"testing"

	"aspects-poc/roles/server/fleet/postgres/postgrestest"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// tables returns the number of tables in a database, after making one.
func tables(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }() // nothing is lost
	if _, err := conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (n int)"); err != nil {
		t.Fatal(err)
	}
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDatabasesAreApart(t *testing.T) {
	first, second := postgrestest.URL(t), postgrestest.URL(t)
	if first == second {
		t.Fatal("twice the same")
	}
	if n := tables(t, first); n != 1 {
		t.Error(n)
	}
	if n := tables(t, second); n != 1 {
		t.Error(n)
	}
}

func TestStopAndStart(t *testing.T) {
	cluster := postgrestest.Start(t, postgrestest.Options{Durable: true})
	url := cluster.URL(t)
	tables(t, url)
	for _, end := range []func(testing.TB){cluster.Stop, cluster.Crash} {
		end(t)
		if conn, err := pgx.Connect(t.Context(), url); err == nil {
			t.Fatal("it answers", conn.Close(t.Context()))
		}
		cluster.Restart(t)
		if n := tables(t, url); n != 1 {
			t.Error(n)
		}
	}
}

func TestPooled(t *testing.T) {
	url := postgrestest.URL(t)
	pooled := postgrestest.Pooled(t, url)
	if n := tables(t, pooled); n != 1 || pooled == url {
		t.Error(n, pooled)
	}
}
