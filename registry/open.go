package registry

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/calls"
)

// Options say how to open a registry. The zero value is right for most programs.
type Options struct {
	// Schemas are the confdb-schemas that the program brings along, for file: and mem:. A file keeps the confdb-schemas
	// of its data beside them; of two revisions the later one is in force. snapd knows its own, from acknowledged
	// assertions.
	Schemas []Schema

	// Account and Schema complete views that are named without them. Empty: those of the one entry of Schemas, or the
	// account that all of them have. What is not completed is named in full, ACCOUNT/SCHEMA/VIEW; only inside a snap, where
	// a view is reached through the plug of its name, the view's own name is enough.
	Account, Schema string

	// AccessTimeout is how long to wait for others who hold the confdb; 0 means 30 s. A context's deadline that comes
	// earlier wins.
	AccessTimeout time.Duration

	// Getenv looks up SNAP_COOKIE and its like; nil means os.Getenv.
	Getenv func(string) string

	// Socket and SnapSocket replace snapd's sockets, for tests and for a snapd elsewhere. Empty: /run/snapd.socket,
	// and what SnapSocketVariable names or /run/snapd-snap.socket.
	Socket, SnapSocket string
}

// SnapSocketVariable names the environment variable that leads snaps' programs to another socket than snapd's: the
// development kit sets it for the hooks that it runs.
const SnapSocketVariable = "ASPECTS_SNAP_SOCKET"

// A Choice tells how "auto" came to its backend.
type Choice struct {
	Scheme     string      // what was taken
	Candidates []Candidate // all that were looked at, in order
}

// A Candidate is a backend that "auto" looked at.
type Candidate struct {
	Scheme string
	Taken  bool
	Reason string // why, or why not
}

// Open opens a registry by its address:
//
//	auto          snapctl inside a snap; snapd where its socket answers with confdb on; else the user's file
//	snapd:[PATH]  snapd's REST API (root); PATH replaces the socket
//	snapctl:      the snap's own plugs, from an app, service or hook of a strictly confined snap
//	file:[PATH]   the embedded engine in a file, shared by any number of processes; ~ is the home folder, and "" the
//	              user's own file, aspects-poc/confdb.json in the state directory
//	mem:          the embedded engine in memory, for this Registry alone
//
// Open and reads write nothing. A file that is not there has no data, which the error of a read says; the first Set
// makes it, with its folders. At most one Options is used.
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

// A scheme is a way to open a backend by its address.
type scheme struct {
	name string
	open func(ctx context.Context, rest string, o Options) (backend.Backend, error)
	// usable tells whether "auto" takes it, and why or why not; nil: never.
	usable func(ctx context.Context, o Options) (bool, string)
}

// schemes is the table of backends, in the order in which "auto" looks at them.
func schemes() []scheme {
	return []scheme{
		{"snapctl", openSnapctl, insideSnap},
		{"snapd", openSnapd, snapdAnswers},
		{"file", openFile, whereNothingElse},
		{"mem", openMemory, nil},
	}
}

// openAuto takes the first backend that can be used here. One that can be used and fails to open is an error: going on
// to the next would give the program a second, silent truth.
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

// complete fills in what options leave out.
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
