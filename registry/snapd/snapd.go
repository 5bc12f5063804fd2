// Package snapd is the registry backend that speaks REST on snapd's socket, in every dialect from aspects (snapd 2.62)
// over registries to confdb (2.77).
//
//	b, err := snapd.Open(ctx, snapd.Options{})
//	defer b.Close()
//	values, err := b.Get(ctx, view, []string{"sample-rate"}, backend.GetOptions{})
//
// Which dialect is spoken comes from GET /v2/system-info, asked at Open, again after a minute, and whenever an answer
// shows that snapd has changed under us (it refreshes itself). Package backend says what each method promises; what is
// particular here:
//
//   - Only root, or a user whom polkit admits, may use the socket's confdb part. Values that are read stay in snapd's
//     record of the change for up to a day, where every local user can see them (from 2.69 on): nothing for secrets.
//   - From 2.69 on a read is a change too, and rewrites snapd's state: 30 to 40 ms and about 1 MB on the disk (seen on
//     2.77.1). A write takes several times that, and the hooks of the snaps concerned on top. Read all that is needed
//     in one Get.
//   - A successful Set is committed: the change has been waited for. If a context ends before that, the outcome is
//     unknown (ErrUnknown) and the change goes on.
//   - An empty list or map cannot be stored from 2.73 on. As a value of a request path it unsets the path, in every
//     dialect; deeper in a value it is sent as it is, and refused by snapd from 2.73 on.
//   - snapd reads numbers over REST as float64. A number that would lose digits is refused, not sent.
//   - Up to 2.70 snapd leaves a request without a rule out of an answer to several. Such an answer is checked, so that
//     the request is ErrNoMatch here as in the later dialects.
//   - Up to 2.66 there are no custodians: writes are stored at once.
package snapd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// DefaultSocket is where snapd listens.
const DefaultSocket = "/run/snapd.socket"

// Options say how to talk to snapd. The zero value is right for most.
type Options struct {
	// Socket is the path of snapd's main socket; "" means DefaultSocket.
	Socket string

	// AccessTimeout is how long to wait for others who hold the confdb-schema; 0 means 30 s. A context's deadline that
	// comes earlier wins.
	AccessTimeout time.Duration

	// WatchEvery is the pause between two reads of a watched view. 0 means a minute where snapd announces nothing, and
	// ten minutes where it does (see Watch).
	WatchEvery time.Duration
}

const (
	defaultAccessTimeout = 30 * time.Second
	defaultWatchEvery    = time.Minute
	announcedWatchEvery  = 10 * time.Minute
)

// A Backend reaches the confdb of a running snapd. It is safe for concurrent use.
type Backend struct {
	client  *snapdhttp.Client
	options Options
	now     func() time.Time

	writing turn // one write at a time, where snapd does not queue them
	watches watches

	closed chan struct{}
	active sync.WaitGroup // calls and goroutines

	mu       sync.Mutex // guards what follows
	isClosed bool
	found    *Found // nil: ask
	asked    time.Time
	ruled    map[string]bool // view and request -> a rule is known to match, for dialects that do not tell
}

var _ backend.Backend = (*Backend)(nil)

var errClosed = errors.New("the registry is closed")

// Open connects to snapd and finds out its dialect. It fails with ErrUnreachable where no snapd answers and with
// ErrUnsupported for a snapd before 2.62. A feature that is off is no error here: it can be turned on at any time.
func Open(ctx context.Context, options Options) (*Backend, error) {
	if options.Socket == "" {
		options.Socket = DefaultSocket
	}
	if options.AccessTimeout <= 0 {
		options.AccessTimeout = defaultAccessTimeout
	}
	b := &Backend{
		client:  snapdhttp.New(options.Socket),
		options: options,
		now:     time.Now,
		writing: newTurn(),
		closed:  make(chan struct{}),
		ruled:   map[string]bool{},
	}
	b.watches.backend = b
	if _, err := b.dialect(ctx, snapdhttp.Request{Op: "open"}); err != nil {
		return nil, err
	}
	return b, nil
}

// Close ends all watches and calls, and waits for them.
func (b *Backend) Close() error {
	b.mu.Lock()
	first := !b.isClosed
	b.isClosed = true
	if first {
		close(b.closed)
	}
	b.mu.Unlock()
	b.active.Wait()
	return nil
}

// Status asks snapd what it is and can do.
func (b *Backend) Status(ctx context.Context) (backend.Status, error) {
	ctx, end, err := b.begin(ctx, snapdhttp.Request{Op: "open"})
	if err != nil {
		return backend.Status{}, err
	}
	defer end()
	found, err := Probe(ctx, b.options.Socket)
	if err != nil {
		return backend.Status{}, err
	}
	d := found.dialect
	status := backend.Status{
		Backend: "snapd",
		Address: b.options.Socket,
		Version: found.Version,
		Dialect: d.name,
		Capabilities: backend.Capabilities{
			WatchPushed:  d.announced,
			WatchEvery:   b.watchEvery(d.announced),
			SetConfirmed: true,
		},
	}
	if d.name == "" {
		status.Dialect = "none"
	}
	if !found.Usable() {
		status.Warnings = append(status.Warnings, withRemedy(found.Reason, found.Remedy))
	}
	if warning := b.severalSchemas(ctx, found); warning != "" {
		status.Warnings = append(status.Warnings, warning)
	}
	return status, nil
}

func withRemedy(reason, remedy string) string {
	if remedy == "" {
		return reason
	}
	return reason + " (try: " + remedy + ")"
}

// begin registers a call: its context ends with Close too. The call ends with end.
func (b *Backend) begin(ctx context.Context, request snapdhttp.Request) (_ context.Context, end func(), _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return nil, nil, interrupted(request, errClosed)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, interrupted(request, err)
	}
	b.active.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	b.active.Go(func() {
		select {
		case <-b.closed:
			cancel(errClosed)
		case <-done:
		}
	})
	return ctx, func() {
		close(done)
		cancel(nil)
		b.active.Done()
	}, nil
}

// interrupted is the error of a call that ended because its context or the backend did.
func interrupted(request snapdhttp.Request, cause error) *backend.Error {
	return &backend.Error{
		Op: request.Op, View: request.View, Requests: request.Requests,
		Kind: backend.ErrOther, Reason: cause.Error(), Err: cause,
	}
}

// lost is the error of a request that got no answer.
func (b *Backend) lost(ctx context.Context, err error, request snapdhttp.Request, write bool) *backend.Error {
	b.forget()
	e := snapdhttp.Lost(err, request, write)
	if ctx.Err() == nil || e.Kind != backend.ErrUnreachable {
		return e
	}
	var transport *snapdhttp.TransportError
	if errors.As(err, &transport) && transport.Sent && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// A snapd that took the request and did not answer in time lets us wait for others, or is drowned in work.
		e.Kind, e.Until = backend.ErrBusy, b.now()
		e.Reason = "no answer in time"
		return e
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return e
	}
	return interrupted(request, context.Cause(ctx))
}

// checkView refuses names that would make another URL.
func checkView(request snapdhttp.Request) error {
	for _, part := range []string{request.View.Account, request.View.Schema, request.View.View} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return &backend.Error{
				Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrBadRequest,
				Reason: fmt.Sprintf("%q cannot name an account, a confdb-schema or a view", part),
			}
		}
	}
	return nil
}

// A turn is a mutex that can be waited for with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) release() { <-t }
