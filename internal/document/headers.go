package document

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"aspects-poc/registry/confdb/path"
)

// The headers of an assertion are lines "name: text". If nothing follows the colon, the value is in the next lines:
// indented by two, a list of "- item" or a map of "name: value"; indented by four, a text of several lines. The
// layout is that of assertions signed with snapd 2.77.1.

// ParseHeaders parses the headers of an assertion into texts, lists and maps. The error is the first fault, in
// snapd's words.
func ParseHeaders(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("header is not utf8")
	}
	doc := &Document{}
	headers, err := doc.parseHeaders(text)
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return nil, errors.New(refused.Message)
	case err != nil:
		return nil, err
	case len(doc.Faults) > 0:
		return nil, errors.New(doc.Faults[0].Message)
	}
	values, _ := headers.Value().(map[string]any)
	return values, nil
}

// parseHeaders is ParseHeaders with positions. Duplicate names become faults of the document.
func (d *Document) parseHeaders(text []byte) (*Node, error) {
	parser := &headerParser{doc: d, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	headers, err := parser.entries(0, 0)
	if err != nil {
		return nil, err
	}
	if parser.next < len(parser.lines) {
		return nil, d.errorf(parser.position(parser.next, 0), "header entry missing ':' separator: %q", parser.lines[parser.next])
	}
	return headers, nil
}

// A headerParser parses the headers of an assertion line by line.
type headerParser struct {
	doc   *Document
	lines []string
	next  int // index of the next line
}

func (p *headerParser) position(line, offset int) Position {
	return Position{line + 1, len([]rune(p.lines[line][:offset])) + 1}
}

func (p *headerParser) errorf(line, offset int, format string, args ...any) error {
	return p.doc.errorf(p.position(line, offset), format, args...)
}

// entries parses lines of NAME: VALUE with this indentation. The next line is the first of them.
func (p *headerParser) entries(indent, depth int) (*Node, error) {
	if depth > deepest {
		return nil, p.errorf(p.next, 0, "more than %d levels of nesting", deepest)
	}
	what := "header"
	if indent > 0 {
		what = "map"
	}
	node := &Node{Kind: Map, Pos: p.position(p.next, indent)}
	prefix := strings.Repeat(" ", indent)
	seen := map[string]bool{}
	for p.next < len(p.lines) {
		line, at := p.lines[p.next], p.next
		if !strings.HasPrefix(line, prefix) || len(line) > indent && (line[indent] == ' ' || line[indent] == '-') {
			break
		}
		name, _, found := strings.Cut(line[indent:], ":")
		switch {
		case !found:
			return nil, p.errorf(at, indent, "%s entry missing ':' separator: %q", what, line[indent:])
		case !path.ValidSubkey(name) && indent == 0:
			return nil, p.errorf(at, indent, "invalid header name: %q", name)
		case !path.ValidSubkey(name):
			return nil, p.errorf(at, indent, "invalid map entry name: %q", name)
		}
		entry := Entry{Key: name, KeyPos: p.position(at, indent)}
		if seen[name] {
			p.doc.fault(DuplicateKey, entry.KeyPos, "repeated %s: %q", map[string]string{"header": "header", "map": "map entry"}[what], name)
		}
		seen[name] = true
		var err error
		if entry.Value, err = p.value(indent+len(name)+1, indent, depth); err != nil {
			return nil, err
		}
		node.Entries = append(node.Entries, entry)
	}
	return node, nil
}

// value parses the value after the intro of the next line, or in the lines below it.
func (p *headerParser) value(intro, indent, depth int) (*Node, error) {
	line, at := p.lines[p.next], p.next
	p.next++
	if intro < len(line) {
		if line[intro] != ' ' {
			return nil, p.errorf(at, intro, "header entry should have a space or newline (for multiline) before value: %q", line)
		}
		return &Node{Kind: String, Text: line[intro+1:], Pos: p.position(at, intro+1)}, nil
	}
	nested := strings.Repeat(" ", indent+2)
	if p.next == len(p.lines) || !strings.HasPrefix(p.lines[p.next], nested) {
		got := "EOF"
		if p.next < len(p.lines) {
			got = strconv.Quote(p.lines[p.next])
		}
		return nil, p.errorf(at, 0, "expected %d chars nesting prefix after multiline introduction %q: %s", indent+4, line, got)
	}
	switch below := p.lines[p.next]; {
	case strings.HasPrefix(below, nested+"-"):
		return p.list(indent+2, depth+1)
	case strings.HasPrefix(below, nested+"  "):
		return p.text(nested + "  "), nil
	case below == nested:
		return nil, p.errorf(p.next, 0, "expected a value after multiline introduction %q", line)
	}
	return p.entries(indent+2, depth+1)
}

func (p *headerParser) list(indent, depth int) (*Node, error) {
	if depth > deepest {
		return nil, p.errorf(p.next, 0, "more than %d levels of nesting", deepest)
	}
	node := &Node{Kind: List, Pos: p.position(p.next, indent)}
	prefix := strings.Repeat(" ", indent) + "-"
	for p.next < len(p.lines) && strings.HasPrefix(p.lines[p.next], prefix) {
		item, err := p.value(len(prefix), indent, depth)
		if err != nil {
			return nil, err
		}
		node.Items = append(node.Items, item)
	}
	return node, nil
}

func (p *headerParser) text(prefix string) *Node {
	node := &Node{Kind: String, Pos: p.position(p.next, len(prefix))}
	var lines []string
	for p.next < len(p.lines) && strings.HasPrefix(p.lines[p.next], prefix) {
		lines = append(lines, p.lines[p.next][len(prefix):])
		p.next++
	}
	node.Text = strings.Join(lines, "\n")
	return node
}

// Content returns the text that an assertion's signature signs, in the layout of snap sign. headers are texts,
// lists and maps, without body-length and sign-key-sha3-384 (keyID). names are the headers that identify an assertion
// of its type. It returns an error for values that an assertion cannot have, such as an empty list.
func Content(headers map[string]any, names []string, body, keyID string) ([]byte, error) {
	order := slices.Concat([]string{"type", "format", "authority-id", "revision"}, names)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	var text bytes.Buffer
	for _, name := range order {
		value, found := headers[name]
		switch {
		case !found:
			continue
		case !path.ValidSubkey(name):
			return nil, fmt.Errorf("invalid header name: %q", name)
		}
		if err := writeHeader(&text, name+":", value, 0); err != nil {
			return nil, fmt.Errorf("cannot write header %q: %w", name, err)
		}
	}
	fmt.Fprintf(&text, "body-length: %d\nsign-key-sha3-384: %s", len(body), keyID)
	if body != "" {
		text.WriteString("\n\n" + body)
	}
	return text.Bytes(), nil
}

// writeHeader writes the intro, "name:" or "-", and a value. The intro is already indented.
func writeHeader(text *bytes.Buffer, intro string, value any, indent int) error {
	text.WriteString(intro)
	within := strings.Repeat(" ", indent+2)
	switch value := value.(type) {
	case string:
		if !strings.Contains(value, "\n") {
			text.WriteString(" " + value + "\n")
			return nil
		}
		prefix := "\n" + within + "  "
		text.WriteString(prefix + strings.ReplaceAll(value, "\n", prefix) + "\n")
		return nil
	case []any:
		if len(value) == 0 {
			return errors.New("a list cannot be empty")
		}
		text.WriteByte('\n')
		for _, item := range value {
			if err := writeHeader(text, within+"-", item, indent+2); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if len(value) == 0 {
			return errors.New("a map cannot be empty")
		}
		text.WriteByte('\n')
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if !path.ValidSubkey(key) {
				return fmt.Errorf("invalid map entry name: %q", key)
			}
			if err := writeHeader(text, within+key+":", value[key], indent+2); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%v is neither text nor a list or map of texts", value)
}
