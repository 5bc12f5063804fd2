// Package rest answers what snapd's REST API is asked about confdb, as a stock snapd 2.77.1 does, over an imitated
// machine (package world): on two sockets, one in the place of snapd's own, one in that of the socket for snaps.
//
//	server, err := rest.New(rest.Options{World: w, Keys: keys})
//	listener, err := rest.Listen("/tmp/snapd/snapd.socket")
//	err = server.Serve(ctx, listener, snaps)
//
// What there is stands in the table of routes. Statuses, kinds and messages are those of snapd 2.77.1, taken from what it
// was seen to answer, else from its source; docs/devkit-serve.md lists what is not imitated. Nothing here decides on
// data: that is the world's business.
package rest

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
	"time"

	"golang.org/x/sys/unix"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/world"
)

// Options say what to serve. World must be there.
type Options struct {
	World *world.World

	// Keys are trusted to sign the assertions that are acknowledged. With Unsigned no signature is asked for.
	Keys     assertion.Keys
	Unsigned bool

	// Custodian is the name of a snap without hooks that is custodian of all views, those of confdb-schemas that are
	// acknowledged later included; "" for none.
	Custodian string

	// Root tells whether a user counts as the administrator; nil: root does, and the user who runs this process.
	Root func(uid int) bool

	// Features is a directory in which files tell clients which features are on, as those in /var/lib/snapd/features do;
	// "" for none.
	Features string

	// Logs has what services print; nil: there is nothing of it.
	Logs Logs

	// Install installs snaps, and Programs knows how their apps are run; nil: there is nothing of it.
	Install  Installer
	Programs Programs

	// Log takes each request, at level debug, and what goes wrong without anybody being told; nil discards it.
	Log *slog.Logger
}

// A Server answers requests. It is safe for concurrent use.
type Server struct {
	options Options
	world   *world.World
	log     *slog.Logger
	main    http.Handler
	snaps   http.Handler

	exporting sync.Mutex // guards exported
	exported  *bool      // whether the feature was on when it was told last; nil: not told yet
}

// New returns a server that is not listening yet.
func New(options Options) (*Server, error) {
	if options.World == nil {
		return nil, errors.New("internal error: rest: no world to serve")
	}
	s := &Server{options: options, world: options.World, log: options.Log}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if s.options.Root == nil {
		own := os.Geteuid()
		s.options.Root = func(uid int) bool { return uid == 0 || uid == own }
	}
	s.main, s.snaps = s.handler(mainSocket), s.handler(snapSocket)
	if err := errors.Join(s.exportFeatures(), s.standIn()); err != nil {
		return nil, err
	}
	return s, nil
}

// Listen listens on a unix socket that every user can open, as snapd's. A socket that a process left behind, so that
// nobody answers, is replaced.
func Listen(path string) (net.Listener, error) {
	// Others who begin at the same time would each replace the other's.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	defer func() { _ = folder.Close() }() // and with it goes the lock
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if connection, err := net.Dial("unix", path); err == nil {
		_ = connection.Close()
		return nil, fmt.Errorf("cannot listen on %s: another process answers there: end it, or choose another folder", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
		}
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("cannot listen on %s: there is something else than a socket", path)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // who may do what is decided by request
		return nil, errors.Join(fmt.Errorf("cannot listen on %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

// Handler returns what answers on snapd's own socket; SnapHandler what answers on the one for snaps. They need
// connections of Serve, or of an http.Server with ConnContext, to know who asks; else everybody is nobody.
func (s *Server) Handler() http.Handler { return s.main }

// SnapHandler returns what answers on the socket for snaps.
func (s *Server) SnapHandler() http.Handler { return s.snaps }

// Times that bound a connection; there is none on an answer, as a read may wait for others as long as it likes.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
)

// Serve answers on both listeners, of which snaps may be nil, until ctx ends or one of them fails. Then it closes them
// and waits for the requests under way, those that wait for others excepted.
func (s *Server) Serve(ctx context.Context, main, snaps net.Listener) error {
	// Requests end with ctx: those that wait for a notice or for their turn would wait on.
	base, end := context.WithCancel(ctx)
	defer end()
	var servers []*http.Server
	var running sync.WaitGroup
	failed := make(chan error, 2)
	serve := func(listener net.Listener, handler http.Handler) {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
			ConnContext: withPeer, BaseContext: func(net.Listener) context.Context { return base },
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
		servers = append(servers, server)
		running.Add(1)
		go func() {
			defer running.Done()
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	serve(main, s.main)
	if snaps != nil {
		serve(snaps, s.snaps)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for _, server := range servers {
		if shutdown := server.Shutdown(drain); shutdown != nil {
			_ = server.Close() // whoever is left had its time
		}
	}
	running.Wait()
	return err
}
