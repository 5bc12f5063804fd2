package snapd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// confdbPath stands before ACCOUNT/SCHEMA/VIEW.
const confdbPath = "/v2/confdb/"

// A generation is a range of snapd releases with the same REST protocol, from 2.68 on. The facts come from the source of
// the snapd releases; 2.68.3 and 2.77.1 were also observed.
type generation struct {
	name      string // experimental flag and first release; "" for no generation
	from      snapdhttp.Version
	feature   string // experimental flag, and its key in system-info's features
	assertion string // type of the confdb-schema's assertion
	keys      string // query parameter for requests; snapd ignores an unknown parameter and returns the whole view

	wrapped       bool        // the PUT body is {"values":{…}} instead of the map itself
	constraints   constraints // what the constraints parameter accepts
	accessTimeout bool        // snapd queues accesses, up to a time that the request sets

	skipsUnmatched bool // an answer to several requests leaves out those without a rule
	mayStillApply  bool // snapd may still carry out a write that it refused because of a conflict
	mayLoseData    bool // the first write to an empty schema erases the data of the others
}

type constraints int

const (
	noConstraints constraints = iota
	stringConstraints
	scalarConstraints
)

// generations lists all generations, newest first. Each row is complete, for comparison with snapd's source.
var generations = []generation{
	{
		name: "confdb 2.77", from: snapdhttp.Version{Major: 2, Minor: 77}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", wrapped: true, constraints: scalarConstraints, accessTimeout: true,
	},
	{
		name: "confdb 2.76", from: snapdhttp.Version{Major: 2, Minor: 76}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", wrapped: true, constraints: scalarConstraints, accessTimeout: true,
		mayLoseData: true,
	},
	{
		name: "confdb 2.75", from: snapdhttp.Version{Major: 2, Minor: 75}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", wrapped: true, constraints: scalarConstraints, mayLoseData: true,
	},
	{
		name: "confdb 2.74", from: snapdhttp.Version{Major: 2, Minor: 74}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", wrapped: true, constraints: stringConstraints, mayLoseData: true,
	},
	{
		name: "confdb 2.73", from: snapdhttp.Version{Major: 2, Minor: 73}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", wrapped: true, mayLoseData: true,
	},
	{
		name: "confdb 2.71", from: snapdhttp.Version{Major: 2, Minor: 71}, feature: "confdb",
		assertion: "confdb-schema", keys: "keys", mayLoseData: true,
	},
	{
		name: "confdb 2.70", from: snapdhttp.Version{Major: 2, Minor: 70}, feature: "confdb",
		assertion: "confdb-schema", keys: "fields", mayLoseData: true, skipsUnmatched: true,
	},
	{
		name: "confdb 2.69", from: snapdhttp.Version{Major: 2, Minor: 69}, feature: "confdb",
		assertion: "confdb-schema", keys: "fields", mayLoseData: true, skipsUnmatched: true, mayStillApply: true,
	},
	{
		name: "confdb 2.68", from: snapdhttp.Version{Major: 2, Minor: 68}, feature: "confdbs",
		assertion: "confdb", keys: "fields", mayLoseData: true, skipsUnmatched: true, mayStillApply: true,
	},
}

// features are the experimental flags, in order of preference.
var features = []string{"confdb", "confdbs"}

// choose returns the generation of a snapd. The experimental flag decides the family, and the version the generation in it.
// With an unreadable version it is the newest of the family.
func choose(info snapdhttp.SystemInfo) (generation, bool) {
	version, readable := snapdhttp.ParseVersion(info.Version)
	for _, feature := range features {
		if _, known := info.Features[feature]; !known {
			continue
		}
		var chosen generation
		for _, d := range generations {
			if d.feature != feature {
				continue
			}
			chosen = d
			if !readable || version.AtLeast(d.from.Major, d.from.Minor) {
				break
			}
		}
		return chosen, true
	}
	return generation{}, false
}

// Found is the result of Probe.
type Found struct {
	Socket  string
	Version string // in snapd's notation
	Family  string // experimental flag: "confdb" or "confdbs"; "" if snapd has neither
	Enabled bool   // the flag is on
	Reason  string // why views cannot be used; "" if they can
	Remedy  string // the command that solves it, or ""

	generation generation
}

// Generation names the range of releases that this snapd belongs to, such as "confdb 2.76"; "" for none.
func (f Found) Generation() string { return f.generation.name }

// Usable reports whether a caller with the permission can use views.
func (f Found) Usable() bool { return f.Reason == "" }

// Probe asks the snapd behind a socket once for its version and features. An empty socket means DefaultSocket. The
// error is always ErrUnreachable. Found reports a snapd without confdb, or with confdb turned off.
func Probe(ctx context.Context, socket string) (Found, error) {
	if socket == "" {
		socket = DefaultSocket
	}
	request := snapdhttp.Request{Op: "open"}
	info, err := snapdhttp.New(socket).SystemInfo(ctx)
	if err != nil {
		e := snapdhttp.Lost(err, request, false)
		e.Kind = backend.ErrUnreachable // a daemon that refuses system-info is no usable snapd
		e.Reason = err.Error()
		var transport *snapdhttp.TransportError
		if errors.As(err, &transport) {
			e.Message, e.Reason = err.Error(), transport.Err.Error()
		}
		return Found{}, e
	}
	found := Found{Socket: socket, Version: info.Version}
	d, known := choose(info)
	if !known {
		found.Reason = fmt.Sprintf("snapd %s does not know confdb in any form", info.Version)
		found.Remedy = "install snapd 2.77 or later"
		if version, ok := snapdhttp.ParseVersion(info.Version); ok && !version.AtLeast(2, 68) {
			found.Reason = fmt.Sprintf("snapd %s is too old: shared configuration begins with 2.68", info.Version)
		}
		return found, nil
	}
	feature := info.Features[d.feature]
	found.Family, found.generation, found.Enabled = d.feature, d, feature.Enabled
	switch {
	case feature.Enabled:
	case !feature.Supported && feature.Reason != "":
		found.Reason = fmt.Sprintf("%s is not supported here: %s", d.feature, feature.Reason)
	default:
		found.Reason = fmt.Sprintf("the experimental feature %q is off", d.feature)
		found.Remedy = snapdhttp.EnableFlag(d.feature)
	}
	return found, nil
}

// askAgain is how long a detected generation is valid. snapd refreshes itself; asking again takes 0.2 ms.
const askAgain = time.Minute

// generation returns the current generation. It asks snapd if the generation is unknown or older than askAgain.
func (b *Backend) generation(ctx context.Context, request snapdhttp.Request) (generation, error) {
	b.mu.Lock()
	found := b.found
	if found != nil && b.now().Sub(b.asked).Abs() > askAgain {
		found = nil
	}
	b.mu.Unlock()
	if found == nil {
		asked := b.now()
		fresh, err := Probe(ctx, b.options.Socket)
		if err != nil {
			return generation{}, withRequest(err, request)
		}
		b.mu.Lock()
		b.found, b.asked = &fresh, asked
		b.mu.Unlock()
		found = &fresh
	}
	if found.generation.name == "" {
		return generation{}, &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnsupported,
			Reason: found.Reason, Remedy: found.Remedy,
		}
	}
	return found.generation, nil
}

// forget discards the generation, so that the next request detects it.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found = nil
}

// withRequest adds the request to an error of Probe.
func withRequest(err error, request snapdhttp.Request) error {
	e, ok := err.(*backend.Error)
	if !ok {
		return err
	}
	copied := *e
	copied.Op, copied.View, copied.Requests = request.Op, request.View, request.Requests
	return &copied
}
