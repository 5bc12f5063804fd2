package document

import (
	"bytes"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// readYAML reads a document as people write it: the headers, and "storage" beside them (or "body", a map with storage,
// or the text that snap sign wants). type may be left out; account-id, authority-id and timestamp are filled in when it
// is built.
func (d *Document) readYAML(text []byte) error {
	c, top, err := d.decodeYAML(text)
	if err != nil {
		return err
	}
	if top.Kind != yaml.MappingNode {
		return d.errorf(Position{1, 1}, "want a map with name, views and storage")
	}
	d.Headers = &Node{Kind: Map, Pos: c.at(top)}
	seen := map[string]bool{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		name, err := c.key(key, seen)
		if err != nil {
			return err
		}
		entry := Entry{Key: name, KeyPos: c.at(key)}
		entry.Value, err = c.node(value, name != "storage" && name != "body", 1)
		if err != nil {
			return err
		}
		switch {
		case name == "storage":
			d.Body = &Node{Kind: Map, Pos: entry.KeyPos, Entries: []Entry{entry}}
		case name == "body" && entry.Value.Kind == String:
			d.Embedded = true
			d.readBody([]byte(strings.TrimSuffix(entry.Value.Text, "\n")), c.inside(value), entry.At())
		case name == "body":
			d.Body = entry.Value
		default:
			d.Headers.Entries = append(d.Headers.Entries, entry)
		}
	}
	if !seen["storage"] && !seen["body"] {
		d.fault(BadBody, Position{1, 1}, `body must contain a "storage" stanza`)
	}
	if d.Body != nil && !d.Embedded {
		d.checkNumbers(d.Body)
	}
	d.checkTexts(d.Headers, "")
	return nil
}

// ParseYAML reads any YAML document, such as a snap's, into a tree with positions. Numbers, booleans and null are what
// YAML takes them for. Errors are *Error.
func ParseYAML(file string, text []byte) (*Node, error) {
	d := &Document{File: file}
	c, top, err := d.decodeYAML(text)
	if err != nil {
		return nil, err
	}
	return c.node(top, false, 0)
}

func (d *Document) decodeYAML(text []byte) (*converter, *yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var source yaml.Node
	if err := decoder.Decode(&source); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, d.errorf(Position{1, 1}, "it is empty")
		}
		at, reason := yamlError(err)
		return nil, nil, d.errorf(at, "it is not YAML: %s", reason)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, nil, d.errorf(Position{1, 1}, "it holds more than one YAML document")
	}
	if len(source.Content) != 1 {
		return nil, nil, d.errorf(Position{1, 1}, "it is empty")
	}
	d.source = &source
	c := &converter{doc: d, text: text, rows: bytes.Count(text, []byte("\n")) + 1, left: 4 * MaxSize / 64}
	return c, source.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\n\s*)?(?:line (\d+): )?`)

// yamlError takes an error of the library apart.
func yamlError(err error) (Position, string) {
	text := err.Error()
	found := yamlLine.FindStringSubmatch(text)
	line, convErr := strconv.Atoi(found[1])
	if convErr != nil {
		line = 1
	}
	return Position{line, 1}, strings.TrimPrefix(text, found[0])
}

// A converter makes our nodes of the library's.
type converter struct {
	doc     *Document
	text    []byte
	rows    int                 // lines of the text
	left    int                 // nodes that may still be made: anchors can multiply them without end
	parents map[*yaml.Node]bool // anchors that are being used
}

// at is where a node is. What is left out at the end of a file is behind its last line for the library.
func (c *converter) at(n *yaml.Node) Position {
	if n.Line > c.rows {
		return Position{c.rows, 1}
	}
	return Position{n.Line, n.Column}
}

func (c *converter) key(n *yaml.Node, seen map[string]bool) (string, error) {
	at := c.at(n)
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", c.doc.errorf(at, "a key must be a text")
	case n.ShortTag() == "!!merge":
		return "", c.doc.errorf(at, "merge keys (<<) are not supported: name the anchor where its value is wanted")
	}
	if seen[n.Value] {
		c.doc.fault(DuplicateKey, at, "key %q is there twice: the last one counts", n.Value)
	}
	seen[n.Value] = true
	return n.Value, nil
}

func (c *converter) node(n *yaml.Node, header bool, depth int) (*Node, error) {
	at := c.at(n)
	if c.left--; c.left < 0 {
		return nil, c.doc.errorf(at, "anchors make it too large")
	}
	if depth > deepest {
		return nil, c.doc.errorf(at, "more than %d levels of nesting", deepest)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if c.parents[n.Alias] {
			return nil, c.doc.errorf(at, "anchor %q contains itself", n.Value)
		}
		if c.parents == nil {
			c.parents = map[*yaml.Node]bool{}
		}
		c.parents[n.Alias] = true
		node, err := c.node(n.Alias, header, depth+1)
		delete(c.parents, n.Alias)
		if node != nil {
			node.Pos = at
		}
		return node, err
	case yaml.SequenceNode:
		list := &Node{Kind: List, Pos: at}
		for _, item := range n.Content {
			inner, err := c.node(item, header, depth+1)
			if err != nil {
				return nil, err
			}
			list.Items = append(list.Items, inner)
		}
		return list, nil
	case yaml.MappingNode:
		object := &Node{Kind: Map, Pos: at}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, err := c.key(n.Content[i], seen)
			if err != nil {
				return nil, err
			}
			inner, err := c.node(n.Content[i+1], header, depth+1)
			if err != nil {
				return nil, err
			}
			object.Entries = append(object.Entries, Entry{name, c.at(n.Content[i]), inner})
		}
		return object, nil
	}
	return c.scalar(n, header)
}

func (c *converter) scalar(n *yaml.Node, header bool) (*Node, error) {
	node := &Node{Kind: String, Text: n.Value, Pos: c.at(n)}
	tag := n.ShortTag()
	if tag == "!!null" {
		if n.Value == "" {
			n.Value = "null" // the library would write '' where it stands in braces
		}
		return &Node{Kind: Null, Pos: node.Pos}, nil
	}
	if header {
		return node, nil
	}
	switch tag {
	case "!!bool":
		var value bool
		if err := n.Decode(&value); err != nil {
			return nil, c.doc.errorf(node.Pos, "%q is no bool", n.Value)
		}
		node.Kind, node.Text = Bool, strconv.FormatBool(value)
	case "!!int", "!!float":
		literal, err := jsonNumber(n)
		if err != nil {
			return nil, c.doc.errorf(node.Pos, "%q is no number that JSON knows", n.Value)
		}
		node.Kind, node.Text = Number, literal
	}
	return node, nil
}

var jsonLiteral = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)

// jsonNumber writes a number of YAML, which has more forms, as JSON does.
func jsonNumber(n *yaml.Node) (string, error) {
	if jsonLiteral.MatchString(n.Value) {
		if number, err := strconv.ParseFloat(n.Value, 64); err != nil || math.IsInf(number, 0) {
			return "", errors.New("out of range")
		}
		return n.Value, nil
	}
	if n.ShortTag() == "!!int" {
		var whole int64
		if err := n.Decode(&whole); err == nil {
			return strconv.FormatInt(whole, 10), nil
		}
	}
	var float float64
	if err := n.Decode(&float); err != nil {
		return "", err
	}
	if math.IsInf(float, 0) || math.IsNaN(float) {
		return "", errors.New("out of range")
	}
	return normalNumber(strconv.FormatFloat(float, 'g', -1, 64)), nil
}

// inside returns where offsets of a text are in the file: exactly for a literal block, else where the text begins.
func (c *converter) inside(n *yaml.Node) func(offset int) Position {
	start := c.at(n)
	if n.Style&yaml.LiteralStyle == 0 {
		return func(int) Position { return start }
	}
	rows := bytes.Split(c.text, []byte("\n"))
	indent := 0
	for _, row := range rows[min(n.Line, len(rows)):] {
		if trimmed := bytes.TrimLeft(row, " "); len(trimmed) > 0 {
			indent = len(row) - len(trimmed)
			break
		}
	}
	at := newLines([]byte(n.Value))
	return func(offset int) Position {
		inner := at.position(offset)
		return Position{n.Line + inner.Line, inner.Column + indent}
	}
}

// sameNumber tells whether two literals stand for the same number exactly.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := parseRat(a)
	y, errY := parseRat(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// plain tells whether a header's text can be written without quotes although YAML would read it as something else: in
// headers everything is a text.
func plain(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for _, r := range text {
		if r != '-' && r != ':' && r != '.' && r != '+' && r != 'T' && r != 'Z' && !unicode.IsDigit(r) {
			return false
		}
	}
	return jsonLiteral.MatchString(text) || stamp.MatchString(text)
}

var stamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)$`)
