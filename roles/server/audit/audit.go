// Package audit has the audit log: a record of each act of an operator, of a command on the database, and of the server itself.
// Records are only added, and the oldest are removed when there are too many.
//
// A change and its record are one transaction. A Pending is the record of an act that is under way; it travels in the context of
// the call. The store completes it and writes it with the change:
//
//	ctx = audit.With(ctx, audit.Begin(audit.Record{Kind: audit.Operator, Name: "anna", Verb: "set", Thing: "layers/everyone"}))
//	_, err := store.ChangeAll(ctx, batch) // changes the layer and adds the record, or neither
//
// Log has what needs no change: refusals, failures, and the number of requests without a valid token. File copies the log to a file.
// A record never has a secret.
package audit

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"aspects-poc/internal/plain"

	"github.com/google/uuid"
)

// A Kind is the kind of who acts.
type Kind string

// The kinds. Stores contain the values.
const (
	Operator Kind = "operator" // has a token
	Loopback Kind = "loopback" // calls from the server's machine while there is no operator's token
	Command  Kind = "command"  // runs a command on the database
	Server   Kind = "server"   // the server itself
	Stranger Kind = "stranger" // has no valid token
)

// A Result is what came of an act.
type Result string

// The results. Stores contain the values.
const (
	Done      Result = "done"
	Unchanged Result = "unchanged" // everything was so already
	Refused   Result = "refused"
	Failed    Result = "failed" // the server could not do it
)

// Results lists the results.
func Results() []Result { return []Result{Done, Unchanged, Refused, Failed} }

// A Record says who did what, from where, and what came of it.
//
// It has many fields because each column is one.
type Record struct {
	Number  int64     // drawn by the store; a later record has a higher one
	Act     uuid.UUID // no other record has it
	At      time.Time // to the millisecond
	Request string    // the ID of the request, as the server's log has it; "" for none

	Kind    Kind
	Name    string // of the token, of the user who ran the command, or of the release that moves by itself
	Person  string // whom a proxy names; "" for none
	Role    string // of the token; "" for none
	Scope   string // of the token, as a selector; "" for none
	Address string // from where; "" for none
	Proxy   string // the address of the proxy that has told Address and Person; "" for none
	Agent   string // User-Agent

	Verb    string // such as "set"
	Thing   string // such as "layers/everyone"
	Details string // in a few words; "" for none

	Result   Result
	Status   int    // of HTTP, if it was refused or has failed; 0 for none
	Reason   string // why it was refused or has failed
	Revision int64  // the last revision that the change drew; 0 for none
	Times    int64  // how often; 0 means once
}

// MaxText is the limit of each text of a record, in bytes.
const MaxText = 400

// token matches a token of an operator or a device, which somebody may have typed in the place of its name.
var token = regexp.MustCompile(`(?i)(aspects-(?:operate|enrol)-)[A-Z2-7]+`)

// Clean returns the record with texts that each store takes and each terminal shows: short, and without control characters.
func (r Record) Clean() Record {
	for _, text := range []*string{&r.Request, &r.Name, &r.Person, &r.Role, &r.Scope, &r.Address, &r.Proxy, &r.Agent, &r.Verb, &r.Thing,
		&r.Details, &r.Reason} {
		*text = plain.Clip(plain.Line(token.ReplaceAllString(*text, "$1…")), MaxText)
	}
	r.At = r.At.UTC().Truncate(time.Millisecond)
	return r
}

// A Filter chooses records. The zero value chooses all.
type Filter struct {
	Since  time.Time // records from then on
	Before int64     // records with a lower number, the newest first
	After  int64     // with Ascending: records with a higher number
	// Ascending returns the oldest first.
	Ascending bool
	// Who is a token, a user or a person, a kind other than Operator, or "PERSON (TOKEN)", or the whole as aspects-poc fleet audit shows
	// it: "PERSON (TOKEN, ROLE)", "TOKEN (ROLE)", "command (USER)" or "server (NAME)".
	Who    string
	Thing  string // records of this thing, or of things below it
	Result Result // "" for all
}

// A Store stores the log. Numbers become visible in their order: a reader that sees record 7 sees all before it, as far as they are
// not trimmed. Package storetest of fleet has the contract.
type Store interface {
	// AddRecord adds a record of what was no change of the store. If there is a record of the same Act, it does nothing.
	AddRecord(ctx context.Context, record Record) error
	// Records returns at most limit records that a filter chooses.
	Records(ctx context.Context, filter Filter, limit int) ([]Record, error)
	// LastRecord returns the number that was drawn last; 0 for none.
	LastRecord(ctx context.Context) (int64, error)
	// TrimRecords removes records from before a time, and the oldest that are too many. Of others than Done it leaves half of most.
	TrimRecords(ctx context.Context, before time.Time, most int64) error
}

// ErrBadResult is the error of ParseResult.
var ErrBadResult = errors.New("no result of an act; want done, unchanged, refused or failed")

// ParseResult reads a result.
func ParseResult(text string) (Result, error) {
	for _, known := range Results() {
		if string(known) == text {
			return known, nil
		}
	}
	return "", ErrBadResult
}

// maxPerson is the longest name of a person, in characters.
const maxPerson = 200

// CheckPerson returns why a text cannot name a person; nil if it can.
func CheckPerson(text string) error {
	switch {
	case text == "" || text != strings.TrimSpace(text):
		return errors.New("it is empty, or has white space around it")
	case !utf8.ValidString(text) || plain.Line(text) != text:
		return errors.New("it has characters that cannot be shown")
	case utf8.RuneCountInString(text) > maxPerson:
		return errors.New("it is too long")
	}
	return nil
}
