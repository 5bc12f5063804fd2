// Package document reads and writes confdb-schemas in their three forms: YAML, JSON for `snap sign` with the storage
// schema as text in "body", and signed assertions. Its main type is Document, a tree in which each value has its line
// and column. The registry and the development kit both use it.
//
//	doc, err := document.Parse("network.yaml", text)
//	signable, err := doc.SignInput(document.SignOptions{Account: "…", Timestamp: time.Now()})
//
// Document.Faults has the faults of the form that do not prevent reading. The engine (registry/confdb) and package
// lint check what a confdb-schema says.
package document

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Form is the format of a document.
type Form string

// The forms.
const (
	YAML      Form = "yaml"
	JSON      Form = "json"
	Assertion Form = "assertion"
)

// A Document is a confdb-schema with positions.
type Document struct {
	File string
	Form Form

	// Headers are an assertion's headers, except those that signing adds: body, body-length and sign-key-sha3-384. In
	// YAML all their scalars are texts.
	Headers *Node
	// Body is the JSON body: a map with "storage". It is nil if there is no readable body.
	Body *Node
	// Embedded means that the body is text inside the document, as for snap sign.
	Embedded bool
	// Faults are the faults of the form, in the order of the file.
	Faults []Fault

	KeyID     string // an assertion's sign-key-sha3-384
	Signature string // an assertion's signature, unchanged
	Text      []byte // an assertion's whole text, without others in the same file
	Whole     []byte // the text of the whole file, which the positions are about

	source *yaml.Node // YAML with its comments
	start  Position   // start of the document in its file
	body   Position   // of JSON with a body as text: where that text is
}

// A FaultKind is the kind of a Fault.
type FaultKind string

// The kinds of faults.
const (
	// BadBody means that the body is missing or no JSON. The document has no Body.
	BadBody FaultKind = "body"
	// BadLayout means that the body's layout is not the one that snapd requires: indented by two spaces, keys sorted.
	BadLayout FaultKind = "layout"
	// BadLength means that body-length is not the body's length.
	BadLength FaultKind = "length"
	// BadSignature means that an assertion has no key or no signature.
	BadSignature FaultKind = "signature"
	// DuplicateKey means that a map has a key twice. The last one counts.
	DuplicateKey FaultKind = "duplicate"
	// NotText means that a header has a scalar that is no string.
	NotText FaultKind = "not-text"
	// Inexact means that snapd cannot store a number exactly.
	Inexact FaultKind = "inexact"
)

// A Fault is a fault in the form of a document that can still be read.
type Fault struct {
	Kind    FaultKind
	Pos     Position
	Message string // in snapd's words if snapd has this error
}

// An Error says why a document cannot be read.
type Error struct {
	File    string
	Pos     Position
	Message string
}

func (e *Error) Error() string {
	if e.Pos == (Position{}) {
		return fmt.Sprintf("cannot read %s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("cannot read %s:%d:%d: %s", e.File, e.Pos.Line, e.Pos.Column, e.Message)
}

// MaxSize is the largest size of a document in bytes. snapd accepts no longer assertion bodies.
const MaxSize = 2 << 20

// Parse reads a file with one confdb-schema. The text decides its form, else the file's extension. Errors are *Error.
func Parse(file string, text []byte) (*Document, error) {
	list, err := ParseSchemas(file, text)
	if err != nil {
		return nil, err
	}
	if len(list) > 1 {
		var names []string
		for _, doc := range list {
			names = append(names, doc.Header("name"))
		}
		return nil, &Error{File: file, Pos: list[1].start, Message: fmt.Sprintf("it holds %d confdb-schemas (%s), and one is wanted here: "+
			"put each into a file of its own", len(list), strings.Join(names, ", "))}
	}
	return list[0], nil
}

// signed matches the headers of an assertion. YAML has none of the headers at their end.
var signed = lazily(`\A\s*type: [^\n]*\n(?:[^\n]+\n)*(?:sign-key-sha3-384|body-length): `)

func formOf(file string, text []byte) Form {
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(start, []byte("{")) && !bytes.HasPrefix(start, []byte("{{")) && !bytes.HasPrefix(start, []byte("{%")):
		return JSON
	case bytes.HasPrefix(start, []byte("/")) && filepath.Ext(file) == ".json": // a comment
		return JSON
	case signed().Match(text), filepath.Ext(file) == ".assert":
		return Assertion
	}
	return YAML
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// Storage returns the storage schema, or nil.
func (d *Document) Storage() *Node { return d.Body.Get("storage") }

// Header returns the text of a header, or "" if it is missing or no text.
func (d *Document) Header(name string) string { return d.Headers.Get(name).String() }

// Position returns the position of a header, or the start of the document if it is missing.
func (d *Document) Position(header string) Position {
	if entry := d.Headers.Entry(header); entry != nil {
		return entry.At()
	}
	return Position{1, 1}
}

// Same reports whether two documents have the same headers and body, whatever their forms. If content is true, account, signer,
// revision and timestamp do not count.
func Same(a, b *Document, content bool) bool {
	if !Equal(a.Body, b.Body) {
		return false
	}
	left, right := a.Headers.Clone(), b.Headers.Clone()
	if content {
		for _, headers := range []*Node{left, right} {
			for _, name := range []string{"account-id", "authority-id", "revision", "timestamp"} {
				headers.Delete(name)
			}
		}
	}
	return Equal(left, right)
}

func (p Position) before(other Position) bool {
	return p.Line < other.Line || p.Line == other.Line && p.Column < other.Column
}

func (d *Document) fault(kind FaultKind, at Position, format string, args ...any) {
	d.Faults = append(d.Faults, Fault{kind, at, fmt.Sprintf(format, args...)})
}

func (d *Document) errorf(at Position, format string, args ...any) error {
	return &Error{File: d.File, Pos: at, Message: fmt.Sprintf(format, args...)}
}

// lines converts offsets in a text to positions.
type lines struct {
	text   []byte
	starts []int
}

func newLines(text []byte) *lines {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return &lines{text, starts}
}

func (l *lines) position(offset int) Position {
	offset = max(0, min(offset, len(l.text)))
	line := sort.SearchInts(l.starts, offset+1) - 1
	return Position{line + 1, utf8.RuneCount(l.text[l.starts[line]:offset]) + 1}
}
