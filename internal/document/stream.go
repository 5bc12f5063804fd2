package document

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"aspects-poc/registry/dialect"
)

// maxStream is how many assertions a text may have.
const maxStream = 1000

// ParseSchemas reads all confdb-schemas of a text. It skips assertions of other types, but returns an error if there
// is no confdb-schema. Errors are *Error.
func ParseSchemas(file string, text []byte) ([]*Document, error) {
	all, err := ParseAll(file, text)
	if err != nil || len(all) == 1 && !all[0].unlike() {
		return all, err
	}
	var list []*Document
	var others []string
	for _, doc := range all {
		if kind := doc.Header("type"); doc.Form == Assertion && kind != string(dialect.ConfdbSchema) {
			others = append(others, kind)
		} else {
			list = append(list, doc)
		}
	}
	if len(list) == 0 {
		return nil, &Error{File: file, Pos: Position{1, 1}, Message: NoSchema(others)}
	}
	return list, nil
}

// unlike reports whether an assertion is none of a confdb-schema: it has another type, and no views.
func (d *Document) unlike() bool {
	kind := d.Header("type")
	return d.Form == Assertion && kind != "" && kind != string(dialect.ConfdbSchema) && kind != "aspect-bundle" && d.Headers.Get("views") == nil
}

// NoSchema returns the message about a text that has only assertions of these types, and no confdb-schema. "" stands for a missing
// type.
func NoSchema(types []string) string {
	var list []string
	for _, kind := range types {
		list = append(list, cmp.Or(kind, "(no type)"))
	}
	return "it holds no confdb-schema, only assertions of these types: " + strings.Join(list, ", ")
}

// ParseAll reads all documents of a text: several assertions with empty lines between them, as `snap known` prints
// them; several YAML documents; or one document of any form. Assertions may have any type; see Header("type"). Errors
// are *Error.
func ParseAll(file string, text []byte) ([]*Document, error) {
	if len(text) > MaxSize {
		return nil, &Error{File: file, Message: fmt.Sprintf("it has %d bytes; a confdb-schema has %d at most", len(text), MaxSize)}
	}
	if !utf8.Valid(text) {
		return nil, &Error{File: file, Pos: newLines(text).position(invalidAt(text)), Message: "it is not UTF-8"}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, &Error{File: file, Pos: Position{1, 1}, Message: "it is empty"}
	}
	var list []*Document
	var err error
	switch form := formOf(file, text); form {
	case JSON:
		doc := &Document{File: file, Form: form, start: Position{1, 1}}
		list, err = []*Document{doc}, doc.readJSON(text)
	case Assertion:
		list, err = readAssertions(file, text)
	default:
		list, err = readYAMLs(file, text)
	}
	if err != nil {
		return nil, err
	}
	for _, doc := range list {
		doc.Whole = text
		sort.SliceStable(doc.Faults, func(i, j int) bool { return doc.Faults[i].Pos.before(doc.Faults[j].Pos) })
	}
	return list, nil
}

func readAssertions(file string, text []byte) ([]*Document, error) {
	var list []*Document
	for _, part := range split(file, text) {
		doc := &Document{File: file, Form: Assertion, Text: part.text, start: Position{part.line + 1, 1}}
		if err := doc.readAssertion(part.text); err != nil {
			var refused *Error
			if errors.As(err, &refused) && refused.Pos != (Position{}) {
				refused.Pos.Line += part.line
			}
			return nil, err
		}
		doc.shift(part.line)
		list = append(list, doc)
		if len(list) > maxStream {
			return nil, &Error{File: file, Message: "it holds more than " + strconv.Itoa(maxStream) + " assertions"}
		}
	}
	return list, nil
}

// A part is one assertion of a stream.
type part struct {
	text []byte
	line int // number of lines before it
}

// split divides a stream of assertions; any other text is one part. It stops one part after maxStream.
func split(file string, text []byte) []part {
	start := len(text) - len(bytes.TrimLeft(text, "\n"))
	if formOf(file, text[start:]) != Assertion {
		return []part{{text: text}}
	}
	var parts []part
	for start < len(text) && len(parts) <= maxStream {
		end := start + endOf(text[start:])
		next := end + len(text[end:]) - len(bytes.TrimLeft(text[end:], "\n"))
		if next == len(text) {
			end = next
		}
		parts = append(parts, part{text: text[start:end], line: bytes.Count(text[:start], []byte("\n"))})
		start = next
	}
	return parts
}

// endOf returns the end of the first assertion of a stream, from the length of its body. If the length is impossible,
// it is the end of the text.
func endOf(text []byte) int {
	separator := []byte("\n\n")
	head, rest, found := bytes.Cut(text, separator)
	if !found {
		return len(text)
	}
	for line := range bytes.Lines(head) {
		length, isLength := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("body-length: "))
		if !isLength {
			continue
		}
		n, err := strconv.Atoi(string(length))
		if n == 0 && err == nil {
			continue // no body
		}
		if err != nil || n < 0 || n+len(separator) > len(rest) || !bytes.HasPrefix(rest[n:], separator) {
			return len(text)
		}
		rest = rest[n+len(separator):]
	}
	if i := bytes.Index(rest, separator); i >= 0 {
		return len(text) - len(rest) + i + 1
	}
	return len(text)
}

// shift adds to the line of all positions.
func (d *Document) shift(lines int) {
	if lines == 0 {
		return
	}
	for i := range d.Faults {
		d.Faults[i].Pos.Line += lines
	}
	d.Headers.shift(lines)
	d.Body.shift(lines)
}

func (n *Node) shift(lines int) {
	if n == nil {
		return
	}
	n.Pos.Line += lines
	for _, item := range n.Items {
		item.shift(lines)
	}
	for i := range n.Entries {
		n.Entries[i].KeyPos.Line += lines
		n.Entries[i].Value.shift(lines)
	}
}
