package registry

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

// Options are options of Open and OpenHook. The zero value is right for most programs.
type Options struct {
	// Schemas are the confdb-schemas of the program, for file: and mem:. A file stores the confdb-schemas of its
	// data; if the revisions differ, the later one is in force. snapd ignores them: it uses acknowledged assertions.
	Schemas []Schema

	// Account and Schema complete the names of views. If they are empty, the one entry of Schemas sets both; several
	// entries with the same account set Account. If a part remains empty, the program names views in full:
	// ACCOUNT/SCHEMA/VIEW. Inside a snap the view's own name is enough, since the plug leads to the view.
	Account, Schema string

	// AccessTimeout is how long a call waits for others that hold the confdb; 0 means 30 s. An earlier deadline of
	// the context wins.
	AccessTimeout time.Duration

	// Getenv returns environment variables such as SNAP_COOKIE; nil means os.Getenv.
	Getenv func(string) string

	// Socket and SnapSocket replace snapd's sockets, for tests or a snapd elsewhere. If empty, Socket is
	// /run/snapd.socket, and SnapSocket is the value of SnapSocketVariable, else /run/snapd-snap.socket.
	Socket, SnapSocket string
}

// SnapSocketVariable is the environment variable that replaces the socket for snaps. The development kit sets it for
// the hooks that it runs.
const SnapSocketVariable = "ASPECTS_SNAP_SOCKET"

// A Choice records how Open chose the backend for "auto".
type Choice struct {
	Scheme     string      // the chosen scheme
	Candidates []Candidate // all schemes in the order of the search
}

// A Candidate is a scheme that Open considered for "auto".
type Candidate struct {
	Scheme string
	Taken  bool
	Reason string // why it was chosen, or why not
}

// Open opens a registry. The address is one of:
//
//	auto          snapctl: inside a snap; else snapd: if its socket answers with confdb on; else file:
//	snapd:[PATH]  snapd's REST API, for root; PATH replaces the socket
//	snapctl:      the snap's own plugs, from an app, service or hook of a strictly confined snap
//	file:[PATH]   the embedded engine with a file, which any number of processes can share; ~ is the home folder,
//	              and without PATH it is the user's own file, aspects-poc/confdb.json in the state directory
//	mem:          the embedded engine in memory, for this Registry alone
//
// Open and reads write nothing. A missing file has no data: the error of a read says so, and the first Set makes the
// file and its folders. Open uses at most one Options.
//
// The error is ErrBadRequest for an unknown address or an invalid schema, ErrUnreachable if no snapd answers,
// ErrUnsupported for a snapd before 2.68, ErrUnauthorized if snapctl is used outside of a snap, and ErrCorrupt for a
// damaged file.
func Open(ctx context.Context, address string, options ...Options) (*Registry, error) {
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	name, rest, colon := strings.Cut(address, ":")
	if name == "auto" && rest == "" {
		return openAuto(ctx, o)
	}
	for _, s := range schemes() {
		if s.name == name && colon {
			return o.opened(s.open(ctx, rest, o))
		}
	}
	return nil, unknownAddress(address)
}

// A scheme is one row of the table of backends.
type scheme struct {
	name string
	open func(ctx context.Context, rest string, o Options) (backend.Backend, error)
	// usable reports whether "auto" can choose the scheme, and the reason. If it is nil, "auto" skips the scheme.
	usable func(ctx context.Context, o Options) (bool, string)
}

// schemes returns the backends in the order in which "auto" searches them.
func schemes() []scheme {
	return []scheme{
		{"snapctl", openSnapctl, insideSnap},
		{"snapd", openSnapd, snapdAnswers},
		{"file", openFile, lastResort},
		{"mem", openMemory, nil},
	}
}

// openAuto opens the first usable backend. If a usable backend fails to open, that is the error: falling back to the
// next one would silently give the program other data.
func openAuto(ctx context.Context, o Options) (*Registry, error) {
	var choice Choice
	var taken *scheme
	for _, s := range schemes() {
		if s.usable == nil {
			continue
		}
		candidate := Candidate{Scheme: s.name}
		if taken != nil {
			candidate.Reason = taken.name + " is taken"
		} else if candidate.Taken, candidate.Reason = s.usable(ctx, o); candidate.Taken {
			taken = &s
			choice.Scheme = s.name
		}
		choice.Candidates = append(choice.Candidates, candidate)
	}
	if err := calls.Check(ctx, calls.About{Op: "open"}); err != nil {
		return nil, err
	}
	reg, err := o.opened(taken.open(ctx, "", o))
	if err != nil {
		return nil, err
	}
	reg.choice = choice
	return reg, nil
}

// complete returns the options with their defaults filled in.
func (o Options) complete() (Options, error) {
	schemas, err := completeSchemas(o.Schemas, o.Account)
	if err != nil {
		return Options{}, err
	}
	o.Schemas = schemas
	if len(schemas) == 1 {
		o.Schema = cmp.Or(o.Schema, schemas[0].Name)
	}
	o.Account = cmp.Or(o.Account, accountOf(schemas))
	o.AccessTimeout = cmp.Or(o.AccessTimeout, 30*time.Second)
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	o.SnapSocket = cmp.Or(o.SnapSocket, o.Getenv(SnapSocketVariable))
	return o, nil
}

func (o Options) opened(b backend.Backend, err error) (*Registry, error) {
	if err != nil {
		return nil, err
	}
	return New(b, ViewID{Account: o.Account, Schema: o.Schema}), nil
}
