package oracle_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A cord is a server's way to its database, which can be cut: what the server writes then is not written. It is a
// unix socket that is passed on to the database's own.
type cord struct {
	address string // of the database, by way of the cord

	network, to string
	listener    net.Listener

	mu   sync.Mutex // guards the fields below
	gone bool
	ends map[net.Conn]bool
}

// newCord lasts as long as the test.
func newCord(t *testing.T, database string) *cord {
	t.Helper()
	config, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cord") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	c := &cord{ends: map[net.Conn]bool{}}
	c.network, c.to = pgconn.NetworkAddress(config.Host, config.Port)
	if c.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := c.listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.pass(conn) })
		}
	})
	t.Cleanup(func() {
		c.cut()
		err := errors.Join(c.listener.Close(), os.RemoveAll(dir))
		if running.Wait(); err != nil {
			t.Error(err)
		}
	})
	address, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("host", dir)
	query.Del("port")
	address.Host, address.RawQuery = "", query.Encode()
	c.address = address.String()
	return c
}

// pass carries one connection, as long as the cord is whole.
func (c *cord) pass(here net.Conn) {
	there, err := net.Dial(c.network, c.to)
	if err != nil {
		_ = here.Close() // as the database would
		return
	}
	c.mu.Lock()
	if c.ends[here], c.ends[there] = true, true; c.gone {
		_, _ = here.Close(), there.Close() // it is cut
	}
	c.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{here, there}, {there, here}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])        // until either end is closed
			_, _ = way[0].Close(), way[1].Close() // the other way ends as well
		})
	}
	both.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ends, here)
	delete(c.ends, there)
}

// cut ends all connections, and those to come, until the cord is mended.
func (c *cord) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for end := range c.ends {
		_ = end.Close() // that is what a cut is
	}
}

func (c *cord) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = false
}
