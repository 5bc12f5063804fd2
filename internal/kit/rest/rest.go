// Package rest imitates the part of snapd's REST API that concerns confdb. It serves an imitated machine (package
// world) on two sockets: one replaces snapd's own socket, the other replaces the socket for snaps. Its main type is
// Server.
//
//	server, err := rest.New(rest.Options{World: w, Keys: keys})
//	listener, err := rest.Listen("/tmp/snapd/snapd.socket")
//	err = server.Serve(ctx, listener, snaps)
//
// The table routes lists the endpoints. Statuses, kinds and messages are those of snapd 2.77.1: observed where
// possible, otherwise read in its source. docs/devkit/serve.md lists what is not imitated. Package world decides about data and
// hooks.
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

// Options are options of New. World is required.
type Options struct {
	World *world.World

	// Keys verify the assertions that clients acknowledge. Unsigned accepts assertions without a signature.
	Keys     assertion.Keys
	Unsigned bool

	// Custodian is the name of a snap that New adds: it has no hooks and is the custodian of all views, also of views of
	// confdb-schemas that are acknowledged later. "" adds none.
	Custodian string

	// Root reports whether a user is an administrator. nil: root is, and the user who runs this process.
	Root func(uid int) bool

	// Features is a directory with an empty file for each feature that is on, like snapd's /var/lib/snapd/features. ""
	// writes none.
	Features string

	// Logs returns what services have printed. nil: there are no logs.
	Logs Logs

	// Install installs snaps. nil: such requests are refused.
	Install Installer

	// Programs returns how to run the apps of snaps. nil: such requests are refused.
	Programs Programs

	// Log receives each request at level debug, and the failures that no client sees. nil discards them.
	Log *slog.Logger
}

// A Server answers requests. It is safe for concurrent use.
//
// It has many methods because there is one for each endpoint; it has hardly any state of its own.
type Server struct {
	options Options
	world   *world.World
	log     *slog.Logger
	main    http.Handler
	snaps   http.Handler

	exporting sync.Mutex // guards exported
	exported  *bool      // whether the feature was on at the last export; nil: not exported yet
}

// New returns a server. Call Serve to answer requests.
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

// Listen listens on a unix socket that every user can open, as snapd's. It replaces a socket on which no process answers.
// It returns an error if another process answers there.
func Listen(path string) (net.Listener, error) {
	// Without the lock, two processes that start together would replace each other's sockets.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	defer func() { _ = folder.Close() }() // releases the lock
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
		return nil, fmt.Errorf("cannot listen on %s: the file is not a socket", path)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // each request is authorized by itself
		return nil, errors.Join(fmt.Errorf("cannot listen on %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

// Handler returns the handler for snapd's own socket. The http.Server that uses it needs ConnContext, which identifies the
// client; without it every request is denied.
func (s *Server) Handler() http.Handler { return s.main }

// SnapHandler returns the handler for the socket for snaps. It needs ConnContext as Handler does.
func (s *Server) SnapHandler() http.Handler { return s.snaps }

// The limits of a connection. The time for an answer has no limit, because a read may wait for other accesses.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
)

// Serve answers on both listeners until ctx ends or one of them fails; snaps may be nil. Then it closes the listeners,
// cancels the requests that wait, and waits for the others.
func (s *Server) Serve(ctx context.Context, main, snaps net.Listener) error {
	// ctx also ends the requests: one that waits for a notice or for its turn would delay the shutdown.
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
			_ = server.Close() // drainTimeout is over
		}
	}
	running.Wait()
	return err
}
