package oracle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/server"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"
)

// bubble is a world in this process, in a synctest bubble: time passes when nothing else is to do. Servers listen on
// pipes.
type bubble struct {
	ctx       context.Context
	stores    stores
	common    *common // several servers' file
	interval  time.Duration
	transport *http.Transport
	log       io.Writer
	enrolment access.Enrolment

	files   int                     // how many there have been
	servers []atomic.Pointer[inner] // nil: it does not run; devices dial while one comes or goes
}

// stores says what servers keep all in: a file of the embedded store, of which several are made to share one, or a
// database.
type stores struct {
	servers int
	dir     string  // of the file
	address string  // of the database; "" for a file
	cords   []*cord // to the database, one for each server
}

// inner is one server.
type inner struct {
	share    *share // of the common file; nil: it has its store for itself
	listener *pipes
	end      context.CancelFunc
	ended    chan error
}

func newBubble(ctx context.Context, interval time.Duration, stores stores) *bubble {
	b := &bubble{ctx: ctx, stores: stores, interval: interval, servers: make([]atomic.Pointer[inner], stores.servers)}
	if stores.servers > 1 && stores.cords == nil {
		b.common = &common{file: b.file()}
	}
	b.transport = &http.Transport{DisableCompression: true, DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		running := b.servers[port[len(port)-1]-'0'].Load()
		if running == nil {
			return nil, errors.New("connection refused")
		}
		return running.listener.dial()
	}}
	return b
}

func (b *bubble) Servers() int                 { return len(b.servers) }
func (b *bubble) URL(server int) string        { return fmt.Sprintf("http://127.0.0.1:800%d", server) }
func (b *bubble) Transport() http.RoundTripper { return b.transport }
func (b *bubble) Sleep(pause time.Duration)    { time.Sleep(pause) }
func (b *bubble) Settle()                      { synctest.Wait() }
func (b *bubble) Looks() int                   { return 3 } // events are gathered for a moment, and counts are as of a second ago

func (b *bubble) file() string { return filepath.Join(b.stores.dir, fmt.Sprintf("%d.db", b.files)) }

func (b *bubble) Start(i int) error {
	ctx, end := context.WithCancel(b.ctx)
	s := &inner{listener: newPipes(), end: end, ended: make(chan error, 1)}
	key := filepath.Join(b.stores.dir, "key") // of all files: one is a copy of another
	if err := os.WriteFile(key, make([]byte, seal.KeySize), 0o600); err != nil {
		return err
	}
	config := server.Config{
		Listener: s.listener, State: b.file(), Deaf: true, Drain: time.Second, Interval: time.Minute, MaxBody: 1 << 20, Out: io.Discard,
		SecretKeyFile: key, Log: slog.New(slog.DiscardHandler), Fleet: fleet.Options{PollInterval: b.interval}, Access: server.Access{AllowUnsigned: true, Enrolment: b.enrolment},
	}
	if b.log != nil {
		config.Log = slog.New(slog.NewTextHandler(b.log, nil))
	}
	switch {
	case b.stores.cords != nil:
		b.stores.cords[i].mend()
		config.Database = b.stores.cords[i].address
	case b.common != nil:
		config.Open = func(ctx context.Context) (_ fleet.Store, tokens access.Store, err error) {
			s.share, tokens, err = b.common.open(ctx)
			return s.share, tokens, err
		}
	}
	go func() {
		defer s.listener.Close()
		s.ended <- server.Run(ctx, config)
	}()
	b.servers[i].Store(s)
	for range 100 { // a database's answers take no time of this world
		request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL(i)+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := b.transport.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		if err == nil && response.StatusCode == http.StatusOK {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the server does not become ready")
}

func (b *bubble) Stop(i int) error {
	s := b.servers[i].Load()
	s.end()
	err := <-s.ended
	b.servers[i].Store(nil)
	return err
}

// Kill leaves behind what is on disk now. What the server writes at its end goes nowhere.
func (b *bubble) Kill(i int) error {
	synctest.Wait() // nothing is being written
	s := b.servers[i].Load()
	switch {
	case b.stores.cords != nil:
		b.stores.cords[i].cut()
	case b.common != nil:
		s.share.kill()
	default:
		old := b.file()
		b.files++
		for _, suffix := range []string{"", "-wal"} { // -shm is made again
			content, err := os.ReadFile(old + suffix)
			if errors.Is(err, os.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			if err := os.WriteFile(b.file()+suffix, content, 0o600); err != nil {
				return err
			}
		}
	}
	s.listener.cut()
	s.end()
	<-s.ended // it complains about its store, or about nobody listening
	b.servers[i].Store(nil)
	return nil
}

func (b *bubble) backup() string { return filepath.Join(b.stores.dir, "backup") }

func (b *bubble) Backup() error {
	if b.stores.address != "" {
		return postgrestest.Dump(b.stores.address, b.backup())
	}
	if err := os.Remove(b.backup()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return sqlite.Backup(b.ctx, b.file(), b.backup())
}

func (b *bubble) Restore() error {
	if b.stores.address != "" {
		return postgrestest.Load(b.stores.address, b.backup())
	}
	_, err := sqlite.Restore(b.ctx, b.backup(), b.file())
	return err
}

// Close stops all servers.
func (b *bubble) Close(t *testing.T) {
	for i := range b.servers {
		if b.servers[i].Load() != nil {
			if err := b.Stop(i); err != nil {
				t.Log(err)
			}
		}
	}
	b.transport.CloseIdleConnections()
}

// pipes is a listener of connections in this process.
type pipes struct {
	ready  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex // guards the fields below
	ends []net.Conn // of the clients
}

func newPipes() *pipes { return &pipes{ready: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.ready <- local{there}:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ends = append(p.ends, here)
		return here, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	}
}

// cut ends all connections, and takes no further ones.
func (p *pipes) cut() {
	_ = p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		_ = end.Close()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.ready:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000} }

// local is a connection from this machine.
type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }
