package registry

import (
	"context"
	"encoding/json"
	"time"
)

// Options say how to open a registry. The zero value is right for most programs.
type Options struct {
	// Account and Schema complete views that are named without them. Empty: the account ID this program was built
	// with, and "network".
	Account, Schema string

	// Documents are the confdb-schemas that the embedded engine shall know, each as JSON in the form `snap sign`
	// takes. Nil: our own network schema for Account, unless the file knows another revision. snapd has its own, from
	// acknowledged assertions.
	Documents []json.RawMessage

	// AccessTimeout is how long to wait for others who hold the confdb; 0 means 30 s. A context's deadline that comes
	// earlier wins.
	AccessTimeout time.Duration

	// Getenv looks up SNAP_COOKIE and its like; nil means os.Getenv.
	Getenv func(string) string

	// Socket and SnapSocket replace snapd's sockets, for tests and for a snapd elsewhere. Empty: /run/snapd.socket
	// and /run/snapd-snap.socket.
	Socket, SnapSocket string
}

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
//	file:[PATH]   the embedded engine in a file, shared by any number of processes; "" is the user's state directory
//	mem:          the embedded engine in memory, for this Registry alone
//
// At most one Options is used.
func Open(ctx context.Context, address string, options ...Options) (*Registry, error) {
	panic("not yet")
}
