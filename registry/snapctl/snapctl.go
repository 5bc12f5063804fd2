// Package snapctl reaches confdb from inside a strictly confined snap, through the snap's own plugs. It speaks to
// snapd's snapctl endpoint directly: no process is started and no snapctl executable is needed, which a snap with
// `base: bare` does not have.
//
//	b, err := snapctl.Open(ctx, snapctl.Options{
//		Cookie:   os.Getenv("SNAP_COOKIE"),
//		SnapName: os.Getenv("SNAP_INSTANCE_NAME"),
//	})
//
// Each view is reached through a plug of the snap, by default the one with the view's own name. Beside the Backend's
// methods there are a few that only hooks and services of a snap have a use for: Fail, Previous, IsConnected, Restart,
// GetConfig and SetConfig.
//
// # What a Set promises
//
// From an app or service, `snapctl set` tells success even when a custodian refused the write or the commit failed
// (seen on snapd 2.77.1). So a Set reads the requests before and after, through the same view, and compares:
//
//   - some changed request shows what was written: it was committed. Others that show something else were altered by a
//     custodian, which may do that, or by somebody else since then.
//   - every changed request shows what it showed before: ErrRejected.
//   - requests show a third value: taken for committed and altered, as nobody can tell it from a refused write and
//     somebody else's at the same moment.
//
// What cannot be seen that way counts as committed when snapd says so: requests that the view lets only write (read
// them through a view that shows them), writes that leave all as it is, and a map that only drops members of the one
// before it (which looks like a merge that changes nothing; write nil for the member to have it confirmed). In a hook
// nothing is read back: a change-view hook does not see what it has just set, and when a write of another hook is
// refused snapd ends that hook.
package snapctl

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/calls"
	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/internal/watching"
)

// DefaultSocket is where snapd listens for the requests of snaps.
const DefaultSocket = "/run/snapd-snap.socket"

// Options say how to reach snapd and as whom. Only Cookie must be set.
type Options struct {
	// Socket replaces DefaultSocket.
	Socket string

	// Cookie is the value of SNAP_COOKIE (before: SNAP_CONTEXT) of this very process. A hook's dies with the hook.
	Cookie string

	// SnapName is the snap's instance name (SNAP_INSTANCE_NAME), for the commands that errors recommend and for
	// Restart. Empty: errors say SNAP.
	SnapName string

	// Hook is the name of the hook that runs, such as "change-view-control-tunnel"; empty in an app or service.
	Hook string

	// Plugs are the plugs, with or without a colon, of views whose plug has not the view's own name.
	Plugs map[backend.ViewID]string

	// AccessTimeout is how long to wait for others who hold the confdb; 0 means 30 s. A context's deadline that comes
	// earlier wins.
	AccessTimeout time.Duration

	// WatchEvery is the pause between the reads of a watch, since nothing is announced to an app or service; 0 means
	// 60 s. A nudge makes it read at once, and so does every Set of this Backend.
	WatchEvery time.Duration

	// NudgeDir is a directory in which observe-view hooks leave word for a service with Poke; usually in $SNAP_COMMON.
	// It is made where it is missing when the first watch begins. Empty: only Nudge and the Backend's own writes are a
	// nudge.
	NudgeDir string

	// InfoFile tells the version of a snapd that has no `snapctl version` (before 2.73). Empty: /usr/lib/snapd/info.
	InfoFile string
}

// A Backend reaches the confdb through the snap's plugs. It is safe for concurrent use.
type Backend struct {
	client  *snapdhttp.Client
	options Options

	life    *calls.Life
	watches *watching.Watches

	turn chan struct{} // holds one token: writes of this process go one after the other

	mu         sync.Mutex                         // guards what follows
	features   *features                          // nil: not asked yet
	unreadable map[backend.ViewID]map[string]bool // requests that the view lets only write, as far as met
	ruled      map[backend.ViewID]map[string]bool // requests that have a rule to read by, as far as it was in doubt
	hints      map[*hint]struct{}
	listening  bool  // for nudges
	deaf       error // why it does not listen, though it should
	warnings   []string

	now func() time.Time
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Hinter  = (*Backend)(nil)
)

// Open prepares to speak as the snap that the cookie belongs to. Snapd is not contacted yet, so that a service can
// start before it. Without a cookie the error is ErrUnauthorized: this is no process of a snap.
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
		client:     snapdhttp.New(options.Socket),
		options:    options,
		life:       calls.NewLife(),
		turn:       make(chan struct{}, 1),
		unreadable: map[backend.ViewID]map[string]bool{}, ruled: map[backend.ViewID]map[string]bool{},
		hints: map[*hint]struct{}{},
		now:   time.Now,
	}
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

// Status tells which snapd is behind the socket and what it can do. It works before any plug is connected.
func (b *Backend) Status(ctx context.Context) (backend.Status, error) {
	request := snapdhttp.Request{Op: "open"}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return backend.Status{}, err
	}
	defer call.End()
	f, err := b.detect(ctx)
	if err != nil {
		return backend.Status{}, call.Explain(b.lost(err, request, false))
	}
	version, err := b.version(ctx)
	if err != nil {
		return backend.Status{}, call.Explain(b.lost(err, request, false))
	}
	b.mu.Lock()
	warnings := append([]string(nil), b.warnings...)
	b.mu.Unlock()
	if v, known := snapdhttp.ParseVersion(version); known && !v.AtLeast(2, 77) {
		warnings = append(warnings, "snapd "+version+" can lose all data of a confdb-schema when another one is written "+
			"for the first time: keep to one confdb-schema on this device, or refresh snapd to 2.77")
	}
	if !f.flags["--view"] {
		warnings = append(warnings, "this snapd's snapctl knows no views: refresh snapd to 2.68 or later")
	}
	return backend.Status{
		Backend: "snapctl",
		Address: b.options.Socket,
		Version: version,
		Dialect: f.dialect(),
		Capabilities: backend.Capabilities{
			WatchEvery: b.options.WatchEvery,
			Hooks:      b.options.NudgeDir != "" && f.flags["--previous"],
		},
		Warnings: warnings,
	}, nil
}

// inTransaction tells that the process is a hook of a view. Its reads and writes are those of the transaction that it
// runs for, so there is nothing to wait for.
func (b *Backend) inTransaction() bool {
	for _, kind := range []string{"change", "save", "observe", "load", "query"} {
		if strings.HasPrefix(b.options.Hook, kind+"-view-") {
			return true
		}
	}
	return false
}

// name is what snapd takes as the name of a plug. What is no name must not reach a command line: without its colon, or
// beginning with a dash, it would mean something else and succeed.
var name = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// plug returns the plug that a view is reached through.
func (b *Backend) plug(view backend.ViewID) (string, error) {
	if plug, found := b.options.Plugs[view]; found {
		return plug, nil
	}
	return view.View, view.CheckName()
}

// request describes an access for its errors.
func (b *Backend) request(op string, view backend.ViewID, requests []string) (snapdhttp.Request, string, error) {
	plug, err := b.plug(view)
	if err != nil {
		return snapdhttp.Request{}, "", backend.About(err, op, view, requests)
	}
	snap := b.options.SnapName
	if snap == "" {
		snap = "SNAP"
	}
	return snapdhttp.Request{Op: op, View: view, Requests: requests, Plug: snap + ":" + plug}, ":" + plug, nil
}

// lost is snapdhttp.Lost, but for errors that say already what they are about.
func (b *Backend) lost(err error, request snapdhttp.Request, write bool) error {
	var known *backend.Error
	if errors.As(err, &known) {
		return err
	}
	return snapdhttp.Lost(err, request, write)
}

// pause waits, with jitter so that many who were refused at once do not come back at once.
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
