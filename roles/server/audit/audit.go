// Package audit has the audit log: a record of each act of an operator, of a command on the database, and of the server
// itself. Its main types are Record and Log. Records are added and never changed. The oldest are removed when there are
// too many.
//
// A change and its record are one transaction. A Pending is the record of an act that is under way, in the context of
// the call. The store completes it and writes it with the change:
//
//	ctx = audit.With(ctx, audit.Begin(audit.Record{Kind: audit.Operator, Name: "anna", Verb: "set", Thing: "layers/everyone"}))
//	_, err := store.ChangeAll(ctx, batch) // changes the layer and adds the record, or neither
//
// Log writes the records of acts that change nothing: refusals, failures, and the number of requests without a valid
// token. File copies the log to a file. A record never has a secret. The stores of package fleet write the records.
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

// A Kind is the kind of an actor.
type Kind string

// The kinds. Stores contain the values.
const (
	Operator Kind = "operator" // has a token
	Loopback Kind = "loopback" // calls from the server's machine while there is no operator's token
	Command  Kind = "command"  // runs a command on the database
	Server   Kind = "server"   // the server itself
	Stranger Kind = "stranger" // has no valid token
)

// A Result is the result of an act.
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

// A Record says who did what, from where, and with which result.
//
// It has many fields because each column is one.
type Record struct {
	Number  int64     // drawn by the store; a later record has a higher one
	Act     uuid.UUID // unique to the act
	At      time.Time // to the millisecond
	Request string    // the ID of the request in the server's log; "" for none

	Kind    Kind
	Name    string // of the token, of the user who ran the command, or of the release that advances by itself
	Person  string // the person whom a proxy names; "" for none
	Role    string // of the token; "" for none
	Scope   string // of the token, as a selector; "" for none
	Address string // of the caller; "" for none
	Proxy   string // the address of the proxy that has sent Address and Person; "" for none
	Agent   string // User-Agent

	Verb    string // such as "set"
	Thing   string // such as "layers/everyone"
	Details string // in a few words; "" for none

	Result   Result
	Status   int    // of HTTP, if it was refused or has failed; 0 for none
	Reason   string // why it was refused or failed
	Revision int64  // the last revision of the change; 0 for none
	Times    int64  // how often it happened; 0 means once
}

// MaxText is the largest size of each text of a record, in bytes.
const MaxText = 400

// token matches a token of an operator or a device. Somebody may have typed one in the place of a name.
var token = regexp.MustCompile(`(?i)(aspects-(?:operate|enrol)-)[A-Z2-7]+`)

// Clean returns the record with texts that every store accepts and every terminal shows: short, without control
// characters and tokens.
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
	Since  time.Time // records of this time and later
	Before int64     // records with lower numbers, the newest first
	After  int64     // with Ascending: records with higher numbers
	// Ascending returns the oldest first.
	Ascending bool
	// Who is a token, a user or a person; a kind other than Operator; "PERSON (TOKEN)"; or the text that aspects-poc
	// fleet audit shows: "PERSON (TOKEN, ROLE)", "TOKEN (ROLE)", "command (USER)" or "server (NAME)".
	Who    string
	Thing  string // records of this thing, or of things below it
	Result Result // "" means all
}

// A Store stores the log. Records become visible in the order of their numbers: a reader that sees record 7 sees all
// earlier ones that are not trimmed. Package storetest of fleet has the contract.
type Store interface {
	// AddRecord adds the record of an act that changes nothing in the store. If the Act has a record already, it does
	// nothing.
	AddRecord(ctx context.Context, record Record) error
	// Records returns at most limit records that a filter chooses.
	Records(ctx context.Context, filter Filter, limit int) ([]Record, error)
	// LastRecord returns the highest number so far; 0 for none.
	LastRecord(ctx context.Context) (int64, error)
	// TrimRecords removes the records from before a time, and the oldest of more than most. For records other than Done
	// the limit is half of most.
	TrimRecords(ctx context.Context, before time.Time, most int64) error
}

// ErrBadResult means that a text is no Result.
var ErrBadResult = errors.New("no result of an act; want done, unchanged, refused or failed")

// ParseResult parses a result, or returns ErrBadResult.
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

// CheckPerson returns an error for a text that cannot name a person.
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
