// Package snapd is the registry's backend for a running snapd. It speaks REST on snapd's socket, with every generation
// of snapd from 2.68 on. Its main type is Backend.
//
//	b, err := snapd.Open(ctx, snapd.Options{})
//	defer b.Close()
//	values, err := b.Get(ctx, view, []string{"sample-rate"}, backend.GetOptions{})
//
// GET /v2/system-info decides the generation. The Backend asks for it at Open, after a minute, and when an answer shows
// that snapd was refreshed. Package backend documents each method. In addition:
//
//   - Only root, or a user that polkit admits, may use confdb on the socket. From snapd 2.69 on, values that are read
//     stay in snapd's record of the change for up to a day, and every local user can see them. Do not read secrets this
//     way.
//   - From snapd 2.69 on a read is a change and rewrites snapd's state: 30 to 40 ms and about 1 MB on the disk (seen on
//     2.77.1). A write takes several times that, plus the hooks of the affected snaps. Read all values with one Get.
//   - A successful Set is committed. If the context ends before the change does, the error is ErrUnknown and the change
//     continues.
//   - An empty list or map as the value of a request path unsets the path, in every generation. Deeper in a value it is
//     sent as it is; snapd 2.73 and later refuse it.
//   - snapd reads numbers over REST as float64. A number that would lose digits is refused and not sent.
//   - Up to 2.70 an answer to several requests leaves out a request without a rule. The Backend detects that and
//     returns ErrNoMatch, as later generations do.
package snapd

import (
	"context"
	"sync"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/internal/watching"
	"aspects-poc/registry/backend"
)

// DefaultSocket is snapd's main socket.
const DefaultSocket = "/run/snapd.socket"

// Options are options of Open. The zero value is right for most programs.
type Options struct {
	// Socket is the path of snapd's main socket; "" means DefaultSocket.
	Socket string

	// AccessTimeout is how long a call waits for others that hold the confdb-schema; 0 means 30 s. An earlier
	// deadline of the context wins.
	AccessTimeout time.Duration

	// WatchEvery is the pause between two reads of a watched view. 0 means ten minutes while snapd announces changes
	// (see Watch), otherwise one minute.
	WatchEvery time.Duration
}

const (
	defaultAccessTimeout = 30 * time.Second
	defaultWatchEvery    = time.Minute
	announcedWatchEvery  = 10 * time.Minute
)

// A Backend reads and writes the confdb of a running snapd. It is safe for concurrent use.
//
// It has many methods because each step of an access needs the client, the generation and the life of the calls.
type Backend struct {
	client  *snapdhttp.Client
	options Options
	now     func() time.Time

	life    *calls.Life
	writing turn // one write at a time, if snapd does not queue them
	watches *watching.Watches

	mu        sync.Mutex // guards what follows
	found     *Found     // nil: ask snapd
	asked     time.Time
	announced bool            // snapd announces changes, or is assumed to
	ruled     map[string]bool // view and request -> a rule matches, for generations with skipsUnmatched
}

var _ backend.Backend = (*Backend)(nil)

// Open connects to snapd and detects its generation. The error is ErrUnreachable if no snapd answers, and ErrUnsupported
// for a snapd before 2.68. Open succeeds if the experimental flag is off, as it can be turned on at any time.
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

// detect detects snapd's generation. The errors are those of Open.
func (b *Backend) detect(ctx context.Context) error {
	request := snapdhttp.Request{Op: "open"}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return err
	}
	defer call.End()
	_, err = b.generation(ctx, request)
	return call.Explain(err)
}

// Close ends all watches and calls, and waits for them.
func (b *Backend) Close() error {
	b.life.Close()
	return nil
}

// Status asks snapd for its version and abilities.
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
	d := found.generation
	status := backend.Status{
		Backend:    "snapd",
		Address:    b.options.Socket,
		Version:    found.Version,
		Generation: d.name,
		Capabilities: backend.Capabilities{
			WatchPushed:  d.name != "",
			WatchEvery:   b.watchEvery(d.name != ""),
			SetConfirmed: true,
		},
	}
	if d.name == "" {
		status.Generation = "none"
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

// lost returns the error of a request without an answer.
func (b *Backend) lost(err error, request snapdhttp.Request, write bool) *backend.Error {
	b.forget()
	return snapdhttp.Lost(err, request, write)
}

// A turn is a mutex whose wait ends with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// acquire waits for the turn. It returns the context's error if ctx ends first.
func (t turn) acquire(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }
