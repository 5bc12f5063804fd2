package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// readJSON reads JSON for snap sign: an object of headers with the body as text. It also accepts "storage" in place
// of "body".
func (d *Document) readJSON(text []byte) error {
	at := newLines(text)
	reader := &jsonReader{text: text, at: at.position, topKey: "body"}
	top, err := reader.read()
	if err != nil {
		reason := reader.reason(err)
		if strings.HasPrefix(reason, "invalid character '/'") || strings.HasPrefix(reason, "invalid character '#'") {
			reason += "; JSON has no comments"
		}
		return d.errorf(reader.where(err), "it is not JSON: %s", reason)
	}
	d.Faults = append(d.Faults, reader.faults...)
	d.Headers = top
	switch body, storage := top.Entry("body"), top.Entry("storage"); {
	case body != nil && body.Value.Kind == String:
		d.Embedded = true
		d.body = body.Value.Pos
		inner, offsets := unescape(text[reader.topStart+1 : reader.topEnd-1])
		d.readBody(inner, func(offset int) Position {
			return at.position(reader.topStart + 1 + offsets[max(0, min(offset, len(offsets)-1))])
		}, body.At())
	case body != nil:
		d.Embedded = true
		d.fault(BadBody, body.At(), "body must be a text that holds JSON, not a %s", body.Value.Kind)
	case storage != nil:
		d.Body = &Node{Kind: Map, Pos: storage.KeyPos, Entries: []Entry{*storage}}
		top.Delete("storage")
		d.checkNumbers(d.Body)
	default:
		d.fault(BadBody, Position{1, 1}, "body must contain JSON")
	}
	top.Delete("body")
	d.checkTexts(top, "")
	return nil
}

// readBody parses the JSON text of a body. at gives the positions of its offsets.
func (d *Document) readBody(text []byte, at func(offset int) Position, start Position) {
	if len(text) == 0 {
		d.fault(BadBody, start, "body must contain JSON")
		return
	}
	reader := &jsonReader{text: text, at: at}
	body, err := reader.read()
	if err == nil {
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			d.fault(BadBody, start, "invalid JSON in body: %v", err) // our parser accepts more
			return
		}
		if formatted, err := json.MarshalIndent(value, "", "  "); err != nil || !bytes.Equal(formatted, text) {
			d.fault(BadLayout, at(firstDifference(formatted, text)), "JSON in body must be indented with 2 spaces and sort object entries by key")
		}
		d.Faults = append(d.Faults, reader.faults...)
		d.Body = body
		d.checkNumbers(body)
		return
	}
	d.fault(BadBody, reader.where(err), "invalid JSON in body: %s", reader.reason(err))
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// checkTexts reports scalars among the headers that are no texts. snapd does not sign them.
func (d *Document) checkTexts(n *Node, header string) {
	switch n.Kind {
	case List:
		for _, item := range n.Items {
			d.checkTexts(item, header)
		}
	case Map:
		for _, entry := range n.Entries {
			name := header
			if name == "" {
				name = entry.Key
			}
			d.checkTexts(entry.Value, name)
		}
	case Null, Bool, Number:
		shown := n.Text
		if n.Kind == Null {
			shown = "<nil>"
		}
		d.fault(NotText, n.Pos, "header %q: header values must be strings or nested lists or maps with strings as the only "+
			"scalars: %s", header, shown)
	}
}

// checkNumbers reports numbers of the body that snapd changes: it stores 64-bit floats.
func (d *Document) checkNumbers(n *Node) {
	if n.Kind == Number {
		if _, err := strconv.ParseFloat(n.Text, 64); err != nil {
			d.fault(BadBody, n.Pos, "invalid JSON in body: number %s does not fit 64 bits", n.Text)
		} else if kept := normalNumber(n.Text); !sameNumber(kept, n.Text) {
			d.fault(Inexact, n.Pos, "number %s cannot be kept: signing makes %s of it", n.Text, kept)
		}
	}
	for _, item := range n.Items {
		d.checkNumbers(item)
	}
	for _, entry := range n.Entries {
		d.checkNumbers(entry.Value)
	}
}

// A jsonReader parses JSON into nodes.
type jsonReader struct {
	text   []byte
	at     func(offset int) Position
	faults []Fault

	topKey           string // key of the outermost object; topStart and topEnd delimit its value
	topStart, topEnd int
	decoder          *jsontext.Decoder
}

func (r *jsonReader) read() (*Node, error) {
	r.decoder = jsontext.NewDecoder(bytes.NewBuffer(r.text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	node, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text behind the value")
	}
	return node, nil
}

// where returns the position of an error, and reason the message of encoding/json, which snapd uses.
func (r *jsonReader) where(err error) Position {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(r.text, new(any)), &syntax) {
		return r.at(int(syntax.Offset) - 1)
	}
	var other *jsontext.SyntacticError
	if errors.As(err, &other) {
		return r.at(int(other.ByteOffset))
	}
	return r.at(int(r.decoder.InputOffset()))
}

func (r *jsonReader) reason(err error) string {
	if standard := json.Unmarshal(r.text, new(any)); standard != nil {
		return standard.Error()
	}
	return err.Error()
}

// deepest is how many levels of lists and maps a document may have. It bounds the recursion.
const deepest = 1000

func (r *jsonReader) value(depth int) (*Node, error) {
	if depth > deepest {
		return nil, fmt.Errorf("more than %d levels of nesting", deepest)
	}
	switch kind := r.decoder.PeekKind(); kind {
	case '{', '[':
		if _, err := r.decoder.ReadToken(); err != nil {
			return nil, err
		}
		node := &Node{Kind: List, Pos: r.at(int(r.decoder.InputOffset()) - 1)}
		if kind == '{' {
			node.Kind = Map
			return node, r.entries(node, depth)
		}
		for r.decoder.PeekKind() != ']' {
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			node.Items = append(node.Items, item)
		}
		_, err := r.decoder.ReadToken()
		return node, err
	}
	raw, start, err := r.scalar()
	if err != nil {
		return nil, err
	}
	node := &Node{Text: string(raw), Pos: r.at(start)}
	switch raw[0] {
	case 'n':
		node.Text = ""
	case 't', 'f':
		node.Kind = Bool
	case '"':
		node.Kind = String
		text, _ := unescape(raw[1 : len(raw)-1])
		node.Text = string(text)
	default:
		node.Kind = Number
	}
	return node, nil
}

func (r *jsonReader) scalar() (raw []byte, start int, err error) {
	raw, err = r.decoder.ReadValue()
	return raw, int(r.decoder.InputOffset()) - len(raw), err
}

func (r *jsonReader) entries(node *Node, depth int) error {
	seen := map[string]bool{}
	for r.decoder.PeekKind() != '}' {
		raw, start, err := r.scalar()
		if err != nil {
			return err
		}
		key, _ := unescape(raw[1 : len(raw)-1])
		entry := Entry{Key: string(key), KeyPos: r.at(start)}
		if seen[entry.Key] {
			r.faults = append(r.faults, Fault{DuplicateKey, entry.KeyPos, fmt.Sprintf("key %q is there twice: the last one counts", entry.Key)})
		}
		seen[entry.Key] = true
		if entry.Value, err = r.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 && entry.Key == r.topKey && entry.Value.Kind == String {
			r.topEnd = int(r.decoder.InputOffset())
			r.topStart = r.startOf(r.topEnd)
		}
		node.Entries = append(node.Entries, entry)
	}
	_, err := r.decoder.ReadToken()
	return err
}

// startOf returns where the string that ends before an offset begins: at its first unescaped quote.
func (r *jsonReader) startOf(end int) int {
	for i := end - 2; i >= 0; i-- {
		if r.text[i] != '"' {
			continue
		}
		slashes := 0
		for j := i - 1; j >= 0 && r.text[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// unescape returns a JSON string's content as encoding/json does, and the offset of each of its bytes and of its end
// in raw.
func unescape(raw []byte) (text []byte, offsets []int) {
	text, offsets = make([]byte, 0, len(raw)), make([]int, 0, len(raw)+1)
	add := func(at int, bytes ...byte) {
		for _, b := range bytes {
			text, offsets = append(text, b), append(offsets, at)
		}
	}
	for i := 0; i < len(raw); {
		if raw[i] != '\\' || i+1 == len(raw) {
			_, size := utf8.DecodeRune(raw[i:])
			if size == 1 && raw[i] >= utf8.RuneSelf {
				add(i, []byte("\ufffd")...)
			} else {
				add(i, raw[i:i+size]...)
			}
			i += size
			continue
		}
		start := i
		i += 2
		switch c := raw[start+1]; c {
		case 'b':
			add(start, '\b')
		case 'f':
			add(start, '\f')
		case 'n':
			add(start, '\n')
		case 'r':
			add(start, '\r')
		case 't':
			add(start, '\t')
		case 'u':
			r, next := hex(raw, i), i+4
			if utf16.IsSurrogate(r) {
				r2 := rune(-1)
				if next+1 < len(raw) && raw[next] == '\\' && raw[next+1] == 'u' {
					r2 = hex(raw, next+2)
				}
				if pair := utf16.DecodeRune(r, r2); pair != utf8.RuneError {
					r, next = pair, next+6
				} else {
					r = utf8.RuneError
				}
			}
			add(start, utf8.AppendRune(nil, r)...)
			i = next
		default:
			add(start, c)
		}
	}
	return text, append(offsets, len(raw))
}

// hex parses four hexadecimal digits.
func hex(raw []byte, at int) rune {
	if at+4 > len(raw) {
		return -1
	}
	var r rune
	for _, c := range raw[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		}
		r = r<<4 | rune(c)
	}
	return r
}
