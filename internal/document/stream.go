package document

import (
	"bytes"
	"errors"
	"strconv"
)

// maxStream is how many assertions one text may hold.
const maxStream = 1000

// ParseAll reads a text that may hold several assertions with empty lines between them, as `snap known` prints them.
// They need not be confdb-schemas: Header("type") tells. Any other text is one document. Errors are *Error.
func ParseAll(file string, text []byte) ([]*Document, error) {
	var list []*Document
	for _, part := range split(file, text) {
		doc, err := Parse(file, part.text)
		var refused *Error
		if errors.As(err, &refused) && refused.Pos != (Position{}) {
			refused.Pos.Line += part.line
		}
		if err != nil {
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
	line int // how many lines are before it
}

// split takes a stream of assertions apart; any other text is one part. Of more than can be it returns one too many.
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

// endOf returns where the first assertion of a stream ends: behind its headers, its body of the length that they tell,
// and its signature. Where they tell no length that can be, it is all of the text.
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
		if err != nil || n < 0 || n+len(separator) > len(rest) || !bytes.HasPrefix(rest[n:], separator) {
			return len(text)
		}
		if n > 0 {
			rest = rest[n+len(separator):]
		}
	}
	if i := bytes.Index(rest, separator); i >= 0 {
		return len(text) - len(rest) + i + 1
	}
	return len(text)
}

// shift moves all positions down.
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
