package snapdhttp

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

// A Request describes the request that snapd answered. It completes errors and their remedies.
type Request struct {
	Op       string // "get", "set", "unset", "watch" or "open"
	View     backend.ViewID
	Requests []string
	// Plug is SNAP:PLUG for a snap that uses its own plug; "" over REST.
	Plug string
}

// About returns the request in the form of package calls.
func (r Request) About() calls.About {
	return calls.About{Op: r.Op, View: r.View, Requests: r.Requests}
}

// Explain turns a refusal into an error with kind, storage path, reason and remedy. Message keeps snapd's words
// without the prefixes of snapd's layers.
func Explain(refusal Refusal, request Request) *backend.Error {
	message := trimPrefixes(refusal.Message)
	e := &backend.Error{
		Op: request.Op, View: request.View, Requests: request.Requests,
		Kind:    Classify(refusal),
		Message: message,
		Reason:  reason(message),
		Hook:    refusal.Hook,
	}
	switch e.Kind {
	case backend.ErrInvalid:
		e.Path, e.Reason = Violation(message)
	case backend.ErrRejected:
		if _, why, found := Rejection(message); found {
			e.Reason = why
		} else if output, failed := HookOutput(message); failed && output != "" {
			e.Reason = output
		}
	}
	e.Remedy = remedy(e.Kind, message, request)
	return e
}

// Lost turns an error of Client.Do into the error of a request: ErrUnknown for a write that may have been carried
// out, ErrBadRequest for a body that JSON cannot express, otherwise ErrUnreachable.
func Lost(err error, request Request, write bool) *backend.Error {
	e := &backend.Error{
		Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnreachable, Err: err,
	}
	var transport *TransportError
	switch isTransport := asTransport(err, &transport); {
	case !isTransport:
		e.Kind = backend.ErrBadRequest // JSON cannot express the body
	case write && transport.Sent:
		e.Kind = backend.ErrUnknown
		e.Remedy = "read back before writing again"
	case !transport.Sent:
		e.Remedy = "systemctl start snapd.socket"
	}
	return e
}

// Classify returns the kind of a refusal, a kind of package backend: from snapd's kind if there is one, otherwise from its words. The
// facts come from the source of the snapd releases from 2.68 on; 2.68.3 and 2.77.1 were also observed.
func Classify(refusal Refusal) error {
	message := trimPrefixes(refusal.Message)
	for _, row := range kinds {
		if row.Kind == refusal.Kind && (row.Part == "" || strings.Contains(message, row.Part)) {
			return row.Is
		}
	}
	// A quoted value or path must not decide the kind.
	bare := quoted.ReplaceAllString(message, `""`)
	for _, row := range messages {
		if row.match.decides(bare) {
			return row.is
		}
	}
	switch refusal.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return backend.ErrUnauthorized
	case http.StatusNotFound:
		if message == RouteNotFound {
			return backend.ErrUnsupported
		}
	case http.StatusMethodNotAllowed:
		return backend.ErrUnsupported
	}
	return backend.ErrOther
}

// RouteNotFound is the whole message of a 404 for a path that this snapd does not have. In older generations missing
// data is a 404 too, but its message begins with "cannot".
const RouteNotFound = "not found"

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// A KindRow is a row of the table from snapd's kinds (since 2.71) to kinds of errors. Of the rows with snapd's kind, the first one counts
// whose part is in the message.
type KindRow struct {
	Kind, Part string
	Is         error
}

// A WordRow is a row of the table from snapd's messages to kinds of errors. Each quoted text in a message is replaced by "" before. The
// first row counts whose pattern matches.
type WordRow struct {
	Pattern string // regular expression in the syntax that Go and Python share
	Is      error
}

// Kinds and Words return the tables of Classify, for clients in other languages.
func Kinds() []KindRow { return slices.Clone(kinds) }

func Words() []WordRow {
	rows := make([]WordRow, len(messages))
	for i, row := range messages {
		rows[i] = WordRow{row.match.pattern(), row.is}
	}
	return rows
}

// kinds has a row with a part before the general one.
var kinds = []KindRow{
	{"option-not-found", "", backend.ErrNoData},
	{"confdb-no-matching-rule", "", backend.ErrNoMatch},
	{"confdb-view-not-found", "", backend.ErrNoView},
	{"option-not-available", "cannot find view ", backend.ErrNoView},
	{"option-not-available", "unauthorized access", backend.ErrUnauthorized},
	{"option-not-available", "", backend.ErrNoMatch},
	{"assertion-not-found", "", backend.ErrNoSchema},
	{"login-required", "", backend.ErrUnauthorized},
}

// A matcher decides about a message in which each quoted text is replaced by "".
type matcher struct {
	text     string
	begin    bool                  // text is at the beginning
	end      bool                  // text is at the end
	compiled func() *regexp.Regexp // for a text that is a pattern; compiles it at the first use, since most programs never get an error of snapd
}

func has(part string) matcher      { return matcher{text: part} }
func begins(prefix string) matcher { return matcher{text: prefix, begin: true} }
func ends(suffix string) matcher   { return matcher{text: suffix, end: true} }

func like(pattern string) matcher {
	return matcher{text: pattern, compiled: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })}
}

func (m matcher) decides(bare string) bool {
	switch {
	case m.compiled != nil:
		return m.compiled().MatchString(bare)
	case m.begin:
		return strings.HasPrefix(bare, m.text)
	case m.end:
		return strings.HasSuffix(bare, m.text)
	}
	return strings.Contains(bare, m.text)
}

func (m matcher) pattern() string {
	switch {
	case m.compiled != nil:
		return m.text
	case m.begin:
		return "^" + regexp.QuoteMeta(m.text)
	case m.end:
		return regexp.QuoteMeta(m.text) + "$"
	}
	return regexp.QuoteMeta(m.text)
}

// messages maps messages to kinds. The first match counts. The words of a custodian or hook are at the end of a message and may be
// anything, so the rows for such messages come first.
var messages = []struct {
	match matcher
	is    error
}{
	{has(" rejected changes: "), backend.ErrRejected},
	{begins(`run hook ""`), backend.ErrRejected},
	{has("from aborted transaction"), backend.ErrRejected},
	{has("to aborted transaction"), backend.ErrRejected},

	{begins("cannot write data: "), backend.ErrInvalid},
	{begins("cannot unset data: "), backend.ErrInvalid},
	{has("cannot accept element in "), backend.ErrInvalid},
	{has("cannot accept top level element"), backend.ErrInvalid},

	{has("feature flag is disabled"), backend.ErrDisabled},
	{like(`^feature flag "" is disabled`), backend.ErrDisabled},
	{has("no custodian snap "), backend.ErrNoCustodian},
	{has("through unconnected plug "), backend.ErrNotConnected},

	{has("timed out waiting for access"), backend.ErrBusy},
	{like(`timed out \(.*\) waiting for change `), backend.ErrUnknown},
	{has(": ongoing transaction for "), backend.ErrUnsupported}, // from a hook that runs for another confdb-schema
	{has("ongoing transaction"), backend.ErrBusy},
	{has("ongoing write transaction"), backend.ErrBusy},
	{has("transaction is ongoing"), backend.ErrBusy},
	{has("ongoing commit task"), backend.ErrBusy},

	{ends(": no data"), backend.ErrNoData},
	{ends(": no view data"), backend.ErrNoData},
	{like(`: no matching (read |write )?rule$`), backend.ErrNoMatch},
	{has(`cannot find view ""`), backend.ErrNoView},
	{like(`^cannot find plug `), backend.ErrNoView},
	{has("cannot use --view with non-"), backend.ErrNoView},
	{has("assertion not found"), backend.ErrNoSchema},
	{like(`^confdb(-schema)? \(.*\) not found$`), backend.ErrNoSchema},
	{has("persistent network error"), backend.ErrNoSchema}, // snapd searched in the store
	{ends("unauthorized access"), backend.ErrUnauthorized},
	{ends("access denied"), backend.ErrUnauthorized},
	{like(`^cannot use "" with uid \d+, try with sudo`), backend.ErrUnauthorized},
	{has("from outside of a snap"), backend.ErrUnauthorized},

	{like(`^cannot (get|set|unset) "" through confdb view `), backend.ErrBadRequest},
	{has(`invalid subkey ""`), backend.ErrBadRequest},
	{has("cannot have empty subkeys"), backend.ErrBadRequest},
	{has("non UTF-8 character"), backend.ErrBadRequest},
	{has("cannot set empty container"), backend.ErrBadRequest},
	{has("value contains unused data"), backend.ErrBadRequest},
	{has("for unmatched request parts but got"), backend.ErrBadRequest},
	{has("cannot use unmatched part "), backend.ErrBadRequest}, // in snapd 2.68
	{has("doesn't conform to required format"), backend.ErrBadRequest},
	{has("request body contains no values"), backend.ErrBadRequest},
	{begins("cannot decode confdb request body: "), backend.ErrBadRequest},
	{has(`"" must be a JSON object`), backend.ErrBadRequest},
	{has("constraint value must be non-null scalar"), backend.ErrBadRequest},
	{has("no placeholder for constraint "), backend.ErrBadRequest},
	{has("cannot be read unless constrained"), backend.ErrBadRequest},
	{has("invalid access-timeout"), backend.ErrBadRequest},
	{has("failed to parse JSON"), backend.ErrBadRequest},
	{has("invalid configuration: "), backend.ErrBadRequest},

	{like(`^cannot modify \S+ in "" hook`), backend.ErrUnsupported},
	{has("cannot use --"), backend.ErrUnsupported},
	{has("unknown flag `"), backend.ErrUnsupported},
	{begins("Unknown command `"), backend.ErrUnsupported},
}

// wrapper matches the prefix that snapd's daemon adds to some errors about rules and constraints.
var wrapper = regexp.MustCompile(`^internal error: cannot read confdb [^\s/]+/[^\s/]+: (cannot )`)

func trimPrefixes(message string) string {
	for _, prefix := range []string{"error running snapctl: ", "snapctl: ", "error: "} {
		message = strings.TrimPrefix(message, prefix)
	}
	return wrapper.ReplaceAllString(message, "$1")
}

// reason returns the text behind the last colon outside of quotes.
func reason(message string) string {
	last := -1
	masked := quoted.ReplaceAllStringFunc(message, func(text string) string { return strings.Repeat("x", len(text)) })
	for i := 0; i+1 < len(masked); i++ {
		if masked[i] == ':' && masked[i+1] == ' ' {
			last = i
		}
	}
	if last < 0 {
		return ""
	}
	return message[last+2:]
}

// Violation returns the storage path and the reason of a schema violation, such as `cannot write data: cannot accept
// element in "metrics.sample-rate": -3 is less than the allowed minimum 0`. The path is "" for the top level.
func Violation(message string) (path, reason string) {
	const element, top = `cannot accept element in "`, "cannot accept top level element: "
	if i := strings.Index(message, element); i >= 0 {
		rest := message[i+len(element):]
		if path, reason, found := strings.Cut(rest, `": `); found {
			return path, reason
		}
		return strings.TrimSuffix(rest, `"`), ""
	}
	if i := strings.Index(message, top); i >= 0 {
		return "", message[i+len(top):]
	}
	for _, prefix := range []string{"cannot write data: ", "cannot unset data: "} {
		if rest, found := strings.CutPrefix(message, prefix); found {
			return "", rest
		}
	}
	return "", message
}

var rejected = regexp.MustCompile(`(?s)([a-z0-9_-]+) rejected changes: (.*)$`)

// Rejection finds the custodian and its reason in `… SNAP rejected changes: REASON`.
func Rejection(message string) (snap, reason string, found bool) {
	match := rejected.FindStringSubmatch(message)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}
