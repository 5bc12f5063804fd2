// Package document is a confdb-schema as people write it, as `snap sign` takes it and as snapd has it signed: YAML, JSON
// with the storage schema as text in "body", or an assertion with a layout of its own. All three are read into the same
// tree, in which each value knows its line and column, and the tree is written in each form again.
//
//	doc, err := document.Parse("network.yaml", text)
//	signable, err := doc.SignInput(document.SignOptions{Account: "…", Timestamp: time.Now()})
//
// Forms are only read here. What a confdb-schema may say is the engine's and package lint's business; what is odd about
// the form but can be read is in Document.Faults.
package document

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Form is how a document is written.
type Form string

// The forms.
const (
	YAML      Form = "yaml"
	JSON      Form = "json"
	Assertion Form = "assertion"
)

// A Document is a confdb-schema with its positions.
type Document struct {
	File string
	Form Form

	// Headers are all of an assertion's headers but those that signing makes: body, body-length, sign-key-sha3-384. In
	// YAML their scalars are texts, whatever they look like.
	Headers *Node
	// Body is the body as JSON has it: a map with "storage". nil where there is none or it cannot be read.
	Body *Node
	// Embedded tells that the body is text inside the document, as snap sign wants it, and not part of the document.
	Embedded bool
	// Faults are oddities of the form, in the order of the file.
	Faults []Fault

	KeyID     string // sign-key-sha3-384 of an assertion
	Signature string // of an assertion, as it stands there
	Text      []byte // of an assertion: all of it, and nothing of others that are in the same file

	source *yaml.Node // of YAML, with its comments
	start  Position   // where the document begins in its file
}

// A FaultKind tells faults of the form apart.
type FaultKind string

// The kinds of faults.
const (
	// BadBody: there is no body, or it is not JSON. The document has no Body.
	BadBody FaultKind = "body"
	// BadLayout: the body is JSON, but not laid out as snapd demands it: indented by two spaces, keys sorted.
	BadLayout FaultKind = "layout"
	// BadLength: body-length is not the body's length.
	BadLength FaultKind = "length"
	// BadSignature: an assertion without a key's name or a signature.
	BadSignature FaultKind = "signature"
	// DuplicateKey: a map has a key twice. The last one counts.
	DuplicateKey FaultKind = "duplicate"
	// NotText: a scalar among the headers that is no string.
	NotText FaultKind = "not-text"
	// Inexact: a number that snapd cannot keep as it is written.
	Inexact FaultKind = "inexact"
)

// A Fault is something wrong with the form of a document that can be read all the same.
type Fault struct {
	Kind    FaultKind
	Pos     Position
	Message string // as snapd words it, where it has words for it
}

// An Error tells why a document cannot be read at all.
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

// MaxSize is how long a document may be, in bytes. snapd takes no longer assertion bodies.
const MaxSize = 2 << 20

// Parse reads the one confdb-schema of a file; the text tells its form, and the file's name where it does not. Errors are
// *Error.
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

// signed matches the headers of an assertion. YAML has no header that ends them.
var signed = regexp.MustCompile(`\A\s*type: [^\n]*\n(?:[^\n]+\n)*(?:sign-key-sha3-384|body-length): `)

func formOf(file string, text []byte) Form {
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(start, []byte("{")) && !bytes.HasPrefix(start, []byte("{{")) && !bytes.HasPrefix(start, []byte("{%")):
		return JSON
	case signed.Match(text), filepath.Ext(file) == ".assert":
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

// Storage returns the storage schema, nil if there is none.
func (d *Document) Storage() *Node { return d.Body.Get("storage") }

// Header returns the text of a header, "" if it is not there or no text.
func (d *Document) Header(name string) string { return d.Headers.Get(name).String() }

// Position returns where a header is, or the start of the document.
func (d *Document) Position(header string) Position {
	if entry := d.Headers.Entry(header); entry != nil {
		return entry.At()
	}
	return Position{1, 1}
}

// Same tells whether two documents say the same, whatever their forms. With content only, who signs, the revision and
// the time do not matter.
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

// lines turns offsets in a text into positions.
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
