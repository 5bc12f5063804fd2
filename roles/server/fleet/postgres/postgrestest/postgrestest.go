// Package postgrestest starts a real PostgreSQL for tests: a private cluster in a temporary folder, which listens only
// on a unix socket there. Its main functions are Main and URL.
//
// It uses the programs on PATH, or else the newest ones in Debian's folder; the oldest accepted version is 15.
// PostgreSQL refuses to run as root, so for root it runs as the user postgres. Without PostgreSQL the tests are
// skipped; with ASPECTS_REQUIRE_POSTGRES=1 they fail. ASPECTS_TEST_DATABASE=postgres://… names another server to use:
// tests make databases there and drop them.
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
//
//	store, err := postgres.Open(t.Context(), postgrestest.URL(t), postgres.Options{})
package postgrestest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/internal/need"

	"github.com/jackc/pgx/v5"
)

// shared is the cluster of a test process. The first test that needs it starts it, and Main stops it.
var shared struct {
	sync.Mutex // guards the fields below
	cluster    *Cluster
	failed     error
}

// Main runs the tests of a package, and stops the shared cluster. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		if err := shared.cluster.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}

// URL returns the address of a new empty database, which exists until the end of the test. The process must end through
// Main.
func URL(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("ASPECTS_TEST_DATABASE"); server != "" {
		return newDatabase(t, server)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.failed == nil {
		shared.cluster, shared.failed = start(Options{})
	}
	if shared.failed != nil {
		lack(t, shared.failed)
	}
	return shared.cluster.URL(t)
}

// required is the environment variable that makes a test without PostgreSQL fail.
const required = "ASPECTS_REQUIRE_POSTGRES"

// lack skips a test without PostgreSQL, or fails it.
func lack(t testing.TB, err error) {
	t.Helper()
	t.Logf("no PostgreSQL to test with: %v", err)
	need.Missing(t, fmt.Sprintf("PostgreSQL %d or later", oldest), "apt-get install postgresql", required)
}

// URL returns the address of a new empty database in the cluster, which exists until the end of the test.
func (c *Cluster) URL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, c.server)
}

// newDatabase makes a database on the server of an address.
func newDatabase(t testing.TB, server string) string {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := execute(server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// FORCE: a failed test may have left connections.
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Logf("cannot tidy up: %v", err)
		}
	})
	address.Path = "/" + name
	return address.String()
}

// Cut ends all connections to a database, whatever they do.
func Cut(t testing.TB, address string) {
	t.Helper()
	err := execute(address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"+
		" WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
}

// execute runs a statement on its own connection.
func execute(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is lost
	_, err = conn.Exec(ctx, statement)
	return err
}
