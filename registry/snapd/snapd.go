// Package snapd is the registry backend that speaks REST on snapd's socket, in every dialect from 2.68 to 2.77 and later.
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
package snapd

import (
	"context"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/calls"
	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/internal/watching"
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

	life    *calls.Life
	writing turn // one write at a time, where snapd does not queue them
	watches *watching.Watches

	mu        sync.Mutex // guards what follows
	found     *Found     // nil: ask
	asked     time.Time
	announced bool            // changes are announced at the moment, or would be
	ruled     map[string]bool // view and request -> a rule is known to match, for dialects that do not tell
}

var _ backend.Backend = (*Backend)(nil)

// Open connects to snapd and finds out its dialect. It fails with ErrUnreachable where no snapd answers and with
// ErrUnsupported for a snapd before 2.68. A feature that is off is no error here: it can be turned on at any time.
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
		life:    calls.NewLife(),
		writing: newTurn(),
		ruled:   map[string]bool{},
	}
	b.watches = b.newWatches()
	if err := b.detect(ctx); err != nil {
		b.life.Close()
		return nil, err
	}
	return b, nil
}

func (b *Backend) detect(ctx context.Context) error {
	request := snapdhttp.Request{Op: "open"}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return err
	}
	defer call.End()
	_, err = b.dialect(ctx, request)
	return call.Explain(err)
}

// Close ends all watches and calls, and waits for them.
func (b *Backend) Close() error {
	b.life.Close()
	return nil
}

// Status asks snapd what it is and can do.
func (b *Backend) Status(ctx context.Context) (backend.Status, error) {
	ctx, call, err := b.life.Begin(ctx, calls.About{Op: "open"})
	if err != nil {
		return backend.Status{}, err
	}
	defer call.End()
	found, err := Probe(ctx, b.options.Socket)
	if err != nil {
		return backend.Status{}, call.Explain(err)
	}
	d := found.dialect
	status := backend.Status{
		Backend: "snapd",
		Address: b.options.Socket,
		Version: found.Version,
		Dialect: d.name,
		Capabilities: backend.Capabilities{
			WatchPushed:  d.name != "",
			WatchEvery:   b.watchEvery(d.name != ""),
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

// lost is the error of a request that got no answer.
func (b *Backend) lost(err error, request snapdhttp.Request, write bool) *backend.Error {
	b.forget()
	return snapdhttp.Lost(err, request, write)
}

// A turn is a mutex that can be waited for with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }
