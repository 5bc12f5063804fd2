package snapd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// confdbPath stands before ACCOUNT/SCHEMA/VIEW.
const confdbPath = "/v2/confdb/"

// A dialect is what differs between the releases of snapd, from 2.68 on. The tables come from the sources of the releases; those of
// 2.68 and 2.77 were seen at work (2.68.3 and 2.77.1).
type dialect struct {
	name      string // family and the release it begins with; "" for none
	from      snapdhttp.Version
	feature   string // experimental flag, and key of system-info's features
	assertion string // type of the schema's assertion
	keys      string // name of the query parameter; a wrong one is ignored and the whole view comes back

	wrapped       bool        // PUT body is {"values":{…}}, not the bare map
	constraints   constraints // what the constraints parameter can take
	accessTimeout bool        // snapd itself waits for its turn, writers too, up to a limit that we set

	skipsUnmatched bool // of several requests, those without a rule are left out instead of refused
	mayStillApply  bool // a write that was refused for a conflict runs nevertheless
	mayLoseData    bool // the first write to an empty schema erases the others
}

type constraints int

const (
	noConstraints constraints = iota
	stringConstraints
	scalarConstraints
)

// dialects, newest first. Each row says all about itself, so that it can be read beside snapd's source.
var dialects = []dialect{
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

// features are the flags, in the order in which they are looked for.
var features = []string{"confdb", "confdbs"}

// choose finds the dialect of a snapd: the flag it knows names the family, the version the step within. Without a
// version that can be read it is the family's latest.
func choose(info snapdhttp.SystemInfo) (dialect, bool) {
	version, readable := snapdhttp.ParseVersion(info.Version)
	for _, feature := range features {
		if _, known := info.Features[feature]; !known {
			continue
		}
		var chosen dialect
		for _, d := range dialects {
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
	return dialect{}, false
}

// A Found is what Probe found out.
type Found struct {
	Socket  string
	Version string // as snapd writes it
	Family  string // experimental flag of its generation: "confdb" or "confdbs"; "" for none
	Dialect string // such as "confdb 2.76"; "" for none
	Enabled bool   // the flag is on
	Reason  string // why views cannot be used; "" if they can
	Remedy  string // the command that mends it; "" if there is none

	dialect dialect
}

// Usable tells whether views can be asked for, by somebody who may.
func (f Found) Usable() bool { return f.Reason == "" }

// Probe asks the snapd that listens on socket ("": DefaultSocket) once what it is. The only error is ErrUnreachable;
// a snapd that has no confdb, or has it turned off, is reported in Found.
func Probe(ctx context.Context, socket string) (Found, error) {
	if socket == "" {
		socket = DefaultSocket
	}
	request := snapdhttp.Request{Op: "open"}
	info, err := snapdhttp.New(socket).SystemInfo(ctx)
	if err != nil {
		e := snapdhttp.Lost(err, request, false)
		e.Kind = backend.ErrUnreachable // who refuses this question is no snapd that we could talk to
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
	found.Family, found.Dialect, found.dialect, found.Enabled = d.feature, d.name, d, feature.Enabled
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

// askAgain is how long an answer about the dialect is trusted. snapd refreshes itself; asking takes 0.2 ms.
const askAgain = time.Minute

// dialect returns the dialect to speak, asking snapd where that is not known or was long ago.
func (b *Backend) dialect(ctx context.Context, request snapdhttp.Request) (dialect, error) {
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
			return dialect{}, refine(err, request)
		}
		b.mu.Lock()
		b.found, b.asked = &fresh, asked
		b.mu.Unlock()
		found = &fresh
	}
	if found.dialect.name == "" {
		return dialect{}, &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnsupported,
			Reason: found.Reason, Remedy: found.Remedy,
		}
	}
	return found.dialect, nil
}

// forget has the dialect asked for again before the next request.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found = nil
}

// refine gives an error of Probe the request that it came up in.
func refine(err error, request snapdhttp.Request) error {
	e, ok := err.(*backend.Error)
	if !ok {
		return err
	}
	copied := *e
	copied.Op, copied.View, copied.Requests = request.Op, request.View, request.Requests
	return &copied
}
