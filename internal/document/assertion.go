package document

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/path"
)

// readAssertion reads a signed assertion: headers in a layout of their own, the body, and the signature, with an empty
// line between them. The signature is not verified. The layout was taken from assertions that snapd 2.77.1 signed.
func (d *Document) readAssertion(text []byte) error {
	at := newLines(text)
	head, rest, found := bytes.Cut(text, []byte("\n\n"))
	parser := &headerParser{doc: d, lines: strings.Split(strings.TrimSuffix(string(head), "\n"), "\n")}
	headers, err := parser.entries(0, 0)
	if err != nil {
		return err
	}
	if parser.next < len(parser.lines) {
		return d.errorf(parser.position(parser.next, 0), "header entry missing ':' separator: %q", parser.lines[parser.next])
	}
	d.Headers = headers
	length := d.takeHeader("body-length")
	key := d.takeHeader("sign-key-sha3-384")
	d.KeyID = key.String()
	if key == nil {
		d.fault(BadSignature, Position{1, 1}, `assertion: "sign-key-sha3-384" header is mandatory`)
	}
	d.Embedded = true
	if !found {
		d.fault(BadBody, parser.position(len(parser.lines)-1, 0), "body must contain JSON")
		return nil
	}
	start := len(head) + 2
	body, signature := splitBody(rest, length.String())
	if length.String() != strconv.Itoa(len(body)) {
		where := Position{1, 1}
		if length != nil {
			where = length.Pos
		}
		d.fault(BadLength, where, "assertion body length and declared body-length don't match: %d != %s", len(body), orZero(length.String()))
	}
	if d.Signature = strings.Trim(string(signature), "\n"); d.Signature == "" {
		d.fault(BadSignature, at.position(len(text)), "empty assertion signature")
	}
	d.readBody(body, func(offset int) Position { return at.position(start + offset) }, at.position(start))
	return nil
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// splitBody takes body and signature apart: by the declared length if what is behind it looks like it, else at the last
// empty line.
func splitBody(rest []byte, length string) (body, signature []byte) {
	if n, err := strconv.Atoi(length); err == nil && n >= 0 && n <= len(rest) && (n == len(rest) || bytes.HasPrefix(rest[n:], []byte("\n\n"))) {
		return rest[:n], bytes.TrimPrefix(rest[n:], []byte("\n\n"))
	}
	trimmed := bytes.TrimRight(rest, "\n")
	if i := bytes.LastIndex(trimmed, []byte("\n\n")); i >= 0 {
		return rest[:i], rest[i+2:]
	}
	return trimmed, nil
}

func (d *Document) takeHeader(name string) *Node {
	node := d.Headers.Get(name)
	d.Headers.Delete(name)
	return node
}

// A headerParser reads the headers of an assertion, line by line.
type headerParser struct {
	doc   *Document
	lines []string
	next  int // line
}

func (p *headerParser) position(line, offset int) Position {
	return Position{line + 1, len([]rune(p.lines[line][:offset])) + 1}
}

func (p *headerParser) errorf(line, offset int, format string, args ...any) error {
	return p.doc.errorf(p.position(line, offset), format, args...)
}

// entries reads lines of NAME: VALUE that are indented as deep; the first one is there.
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

// value reads what stands behind the intro of the next line, or below it.
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

// Content returns the text of an assertion that a signature is made of: headers, and the body as snapd demands it. keyID
// is the sign-key-sha3-384 header. It returns an error for what an assertion cannot hold.
func (d *Document) Content(keyID string) ([]byte, error) {
	headers := d.Headers.Clone()
	body, err := d.BodyText()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, name := range []string{"type", "format", "authority-id", "revision", "account-id", "name"} {
		if entry := headers.Entry(name); entry != nil && !(name == "revision" && entry.Value.Text == "0") {
			if err := writeEntry(&text, name+":", entry.Value, 0); err != nil {
				return nil, fmt.Errorf("cannot write header %q: %w", name, err)
			}
		}
		headers.Delete(name)
	}
	for _, name := range sortedKeys(headers) {
		if !path.ValidSubkey(name) {
			return nil, fmt.Errorf("invalid header name: %q", name)
		}
		if err := writeEntry(&text, name+":", headers.Get(name), 0); err != nil {
			return nil, fmt.Errorf("cannot write header %q: %w", name, err)
		}
	}
	fmt.Fprintf(&text, "body-length: %d\nsign-key-sha3-384: %s\n\n%s", len(body), keyID, body)
	return text.Bytes(), nil
}

func writeEntry(text *bytes.Buffer, intro string, n *Node, indent int) error {
	text.WriteString(intro)
	switch n.Kind {
	case String:
		if !strings.Contains(n.Text, "\n") {
			text.WriteString(" " + n.Text + "\n")
			return nil
		}
		prefix := "\n" + strings.Repeat(" ", indent+4)
		text.WriteString(prefix + strings.ReplaceAll(n.Text, "\n", prefix) + "\n")
		return nil
	case List:
		if len(n.Items) == 0 {
			return fmt.Errorf("a list cannot be empty")
		}
		text.WriteByte('\n')
		for _, item := range n.Items {
			if err := writeEntry(text, strings.Repeat(" ", indent+2)+"-", item, indent+2); err != nil {
				return err
			}
		}
		return nil
	case Map:
		if len(n.Entries) == 0 {
			return fmt.Errorf("a map cannot be empty")
		}
		text.WriteByte('\n')
		for _, key := range sortedKeys(n) {
			if !path.ValidSubkey(key) {
				return fmt.Errorf("invalid map entry name: %q", key)
			}
			if err := writeEntry(text, strings.Repeat(" ", indent+2)+key+":", n.Get(key), indent+2); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("a %s is no text", n.Kind)
}
