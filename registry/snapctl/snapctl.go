// Package snapctl is the registry's backend inside a strictly confined snap. Its main type is Backend. It talks to
// snapd's snapctl endpoint over its socket and starts no process, so it also works in a snap with `base: bare`, which
// has no snapctl executable.
//
//	b, err := snapctl.Open(ctx, snapctl.Options{
//		Cookie:   os.Getenv("SNAP_COOKIE"),
//		SnapName: os.Getenv("SNAP_INSTANCE_NAME"),
//	})
//
// A view is reached through a plug of the snap, by default the plug with the view's own name. A Backend also has
// methods for the hooks and services of a snap: Fail, Previous, IsConnected, Restart, IsActive, GetConfig and
// SetConfig. Programs reach most of them through registry.Hook.
//
// # What a Set promises
//
// In an app or service, `snapctl set` reports success even if a custodian refused the write or the commit failed
// (seen on snapd 2.77.1). Set therefore reads the requests before and after the write, through the same view, and
// compares:
//
//   - A changed request shows what was written: the write is committed. A custodian or somebody else may
//     have altered other requests.
//   - Every changed request shows what it showed before: the error is ErrRejected.
//   - Requests show other values: the write counts as committed and altered. A refused write together with somebody
//     else's write looks the same.
//
// Some writes cannot be compared, and count as committed if snapd reports success: requests that the view allows only
// to write, writes that change nothing, and a map that only leaves out members (write nil for a member to have its
// removal confirmed). In a hook Set reads nothing back: a change-view hook does not see what it has just set, and
// snapd ends any other hook whose write is refused.
package snapctl

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/internal/watching"
	"aspects-poc/registry/backend"
)

// DefaultSocket is snapd's socket for snaps.
const DefaultSocket = "/run/snapd-snap.socket"

// Options are options of Open. Only Cookie is required.
type Options struct {
	// Socket replaces DefaultSocket.
	Socket string

	// Cookie is the value of SNAP_COOKIE (formerly SNAP_CONTEXT) in this process. A hook's cookie is valid while the
	// hook runs.
	Cookie string

	// SnapName is the snap's instance name (SNAP_INSTANCE_NAME). Restart, IsActive and the remedies in errors use it.
	// If it is empty, errors say SNAP.
	SnapName string

	// Hook is the name of the running hook, such as "change-view-control-tunnel"; empty in an app or service.
	Hook string

	// Plugs maps views to plugs, with or without a colon. Other views use the plug with the view's own name.
	Plugs map[backend.ViewID]string

	// AccessTimeout is how long a call waits for others that hold the confdb; 0 means 30 s. An earlier deadline of
	// the context wins.
	AccessTimeout time.Duration

	// WatchEvery is the pause between two reads of a watch; 0 means 60 s. snapd announces no changes to apps and
	// services. Nudge, Poke and each Set of this Backend cause a read at once.
	WatchEvery time.Duration

	// NudgeDir is the folder where observe-view hooks announce changes with Poke, usually in $SNAP_COMMON. The first
	// watch makes it. If it is empty, only Nudge and the Backend's own writes cause a read at once.
	NudgeDir string

	// InfoFile is a file with snapd's version, for a snapd before 2.73, which has no `snapctl version`. If it is
	// empty, it is /usr/lib/snapd/info.
	InfoFile string
}

// A Backend reads and writes confdb through the snap's plugs. It is safe for concurrent use.
type Backend struct {
	client  *snapdhttp.Client
	options Options

	life    *calls.Life
	watches *watching.Watches

	turn chan struct{} // holds one token: one write of this process at a time

	ability    ability
	readable   ruled // requests with a rule for reading, as far as known
	unreadable ruled // requests without one, as far as known
	pokes      pokes

	now func() time.Time
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Hinter  = (*Backend)(nil)
)

// Open returns a Backend that speaks as the snap of the cookie. It does not contact snapd, so that a service can
// start before snapd. Without a cookie the error is ErrUnauthorized.
func Open(ctx context.Context, options Options) (*Backend, error) {
	if err := calls.Check(ctx, calls.About{Op: "open"}); err != nil {
		return nil, err
	}
	if options.Cookie == "" {
		return nil, &backend.Error{
			Op: "open", Kind: backend.ErrUnauthorized, Message: "cannot use snapctl: not inside a snap, no SNAP_COOKIE",
			Reason: "no SNAP_COOKIE", Remedy: "start it as an app, service or hook of a snap",
		}
	}
	plugs := make(map[backend.ViewID]string, len(options.Plugs))
	for view, plug := range options.Plugs {
		plug = strings.TrimPrefix(plug, ":")
		if !name.MatchString(plug) {
			return nil, &backend.Error{
				Op: "open", View: view, Kind: backend.ErrBadRequest, Reason: quote(plug) + " cannot be the name of a plug",
			}
		}
		plugs[view] = plug
	}
	options.Plugs = plugs
	if options.Socket == "" {
		options.Socket = DefaultSocket
	}
	if options.AccessTimeout <= 0 {
		options.AccessTimeout = 30 * time.Second
	}
	if options.WatchEvery <= 0 {
		options.WatchEvery = time.Minute
	}
	if options.InfoFile == "" {
		options.InfoFile = "/usr/lib/snapd/info"
	}
	b := &Backend{
		client:  snapdhttp.New(options.Socket),
		options: options,
		life:    calls.NewLife(),
		turn:    make(chan struct{}, 1),
		now:     time.Now,
	}
	b.pokes = pokes{dir: options.NudgeDir, life: b.life, nudge: b.Nudge}
	b.watches = watching.New(b.life, watching.Options{
		Read:  b.document,
		Every: func() time.Duration { return options.WatchEvery },
		Now:   func() time.Time { return b.now() },
	})
	return b, nil
}

// Close ends all watches and calls, and waits for them.
func (b *Backend) Close() error {
	b.life.Close()
	return nil
}

// Status describes the snapd behind the socket and its abilities. It works before any plug is connected.
func (b *Backend) Status(ctx context.Context) (backend.Status, error) {
	request := snapdhttp.Request{Op: "open"}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return backend.Status{}, err
	}
	defer call.End()
	f, err := b.detect(ctx)
	if err != nil {
		return backend.Status{}, call.Explain(lost(err, request, false))
	}
	version, err := b.version(ctx)
	if err != nil {
		return backend.Status{}, call.Explain(lost(err, request, false))
	}
	var warnings []string
	if err := b.pokes.failed(); err != nil {
		warnings = append(warnings, "changes are noticed late: "+err.Error())
	}
	if v, known := snapdhttp.ParseVersion(version); known && !v.AtLeast(2, 77) {
		warnings = append(warnings, "snapd "+version+" can lose all data of a confdb-schema when another one is written "+
			"for the first time: keep to one confdb-schema on this device, or refresh snapd to 2.77")
	}
	if !f.flags["--view"] {
		warnings = append(warnings, "this snapd's snapctl knows no views: refresh snapd to 2.68 or later")
	}
	return backend.Status{
		Backend:    "snapctl",
		Address:    b.options.Socket,
		Version:    version,
		Generation: f.generation(),
		Capabilities: backend.Capabilities{
			WatchEvery: b.options.WatchEvery,
			Hooks:      b.options.NudgeDir != "" && f.flags["--previous"],
		},
		Warnings: warnings,
	}, nil
}

// inTransaction reports whether a hook, "" for none, is that of a view. Its accesses belong to the hook's transaction and
// never wait.
func inTransaction(hook string) bool {
	for _, kind := range []string{"change", "save", "observe", "load", "query"} {
		if strings.HasPrefix(hook, kind+"-view-") {
			return true
		}
	}
	return false
}

// name matches what snapd accepts as the name of a plug. Other text must not reach a command line: without the colon,
// or with a leading dash, it would mean something else and succeed.
var name = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// request returns the description of an access for its errors, and the plug for the view with its colon.
func (o Options) request(op string, view backend.ViewID, requests []string) (snapdhttp.Request, string, error) {
	plug, found := o.Plugs[view]
	if !found {
		plug = view.View
		if err := view.CheckName(); err != nil {
			return snapdhttp.Request{}, "", backend.About(err, op, view, requests)
		}
	}
	snap := cmp.Or(o.SnapName, "SNAP")
	return snapdhttp.Request{Op: op, View: view, Requests: requests, Plug: snap + ":" + plug}, ":" + plug, nil
}

// lost is snapdhttp.Lost, except that it returns a *backend.Error unchanged.
func lost(err error, request snapdhttp.Request, write bool) error {
	var known *backend.Error
	if errors.As(err, &known) {
		return err
	}
	return snapdhttp.Lost(err, request, write)
}

// pause waits for about this length. The jitter spreads callers that were refused at the same time.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length/2 + rand.N(length/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
