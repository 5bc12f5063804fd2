package document

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// readYAMLs reads documents in YAML: the headers, and beside them "storage", or "body" as a map with storage or as
// text. type, account-id, authority-id and timestamp may be missing.
func readYAMLs(file string, text []byte) ([]*Document, error) {
	sources, err := decodeYAML(file, text)
	if err != nil {
		return nil, err
	}
	var list []*Document
	for _, source := range sources {
		doc := &Document{File: file, Form: YAML, source: source}
		c := newConverter(doc, text)
		doc.start = c.at(source.Content[0])
		if err := doc.readYAML(c); err != nil {
			return nil, err
		}
		list = append(list, doc)
	}
	return list, nil
}

func (d *Document) readYAML(c *converter) error {
	top := d.source.Content[0]
	if top.Kind != yaml.MappingNode {
		return d.errorf(d.start, "want a map with name, views and storage")
	}
	d.Headers = &Node{Kind: Map, Pos: c.at(top)}
	pairs, err := c.pairs(top, 0)
	if err != nil {
		return err
	}
	found := false
	for _, pair := range pairs {
		entry := Entry{Key: pair.name, KeyPos: c.at(pair.key)}
		entry.Value, err = c.node(pair.value, pair.name != "storage" && pair.name != "body", 1)
		if err != nil {
			return err
		}
		switch {
		case pair.name == "storage":
			d.Body = &Node{Kind: Map, Pos: entry.KeyPos, Entries: []Entry{entry}}
		case pair.name == "body" && entry.Value.Kind == String:
			d.Embedded = true
			d.readBody([]byte(strings.TrimSuffix(entry.Value.Text, "\n")), c.inside(pair.value), entry.At())
		case pair.name == "body":
			d.Body = entry.Value
		default:
			d.Headers.Entries = append(d.Headers.Entries, entry)
			continue
		}
		found = true
	}
	if !found {
		d.fault(BadBody, d.start, `body must contain a "storage" stanza`)
	}
	if d.Body != nil && !d.Embedded {
		d.checkNumbers(d.Body)
	}
	d.checkTexts(d.Headers, "")
	return nil
}

// ParseYAML parses any YAML document, such as snap.yaml, into a tree with positions, and returns the faults of its form.
// Scalars have YAML's types. Placeholders such as @ID@ and {{ id }} are texts, and lines of template directives such as
// {% if x %} are skipped. Errors are *Error.
func ParseYAML(file string, text []byte) (*Node, []Fault, error) {
	sources, err := decodeYAML(file, text)
	if err != nil {
		return nil, nil, err
	}
	if len(sources) > 1 {
		return nil, nil, &Error{File: file, Pos: Position{sources[1].Line, 1}, Message: "it holds more than one YAML document"}
	}
	doc := &Document{File: file}
	top, err := newConverter(doc, text).node(sources[0].Content[0], false, 0)
	return top, doc.Faults, err
}

// decodeYAML returns the documents of a text, at least one.
func decodeYAML(file string, text []byte) ([]*yaml.Node, error) {
	if !utf8.Valid(text) {
		return nil, &Error{File: file, Pos: newLines(text).position(invalidAt(text)), Message: "it is not UTF-8"}
	}
	sources, err := allYAML(text)
	if err != nil {
		if again, failed := allYAML(asTexts(text)); failed == nil {
			sources, err = again, nil
		}
	}
	if err != nil {
		reason := yamlLine().ReplaceAllString(err.Error(), "")
		wrong := Position{wrongLine(text, err), 1}
		if line := bytes.Split(text, []byte("\n"))[wrong.Line-1]; tabbed().Match(line) {
			wrong.Column = bytes.IndexByte(line, '\t') + 1
			reason += "; a tab does not indent: use spaces"
		}
		return nil, &Error{File: file, Pos: wrong, Message: "it is not YAML: " + reason}
	}
	if len(sources) == 0 {
		return nil, &Error{File: file, Pos: Position{1, 1}, Message: "it is empty"}
	}
	rows := bytes.Split(text, []byte("\n"))
	for _, source := range sources {
		unbrace(source, rows)
	}
	return sources, nil
}

func allYAML(text []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var sources []*yaml.Node
	for {
		source := &yaml.Node{}
		if err := decoder.Decode(source); errors.Is(err, io.EOF) {
			return sources, nil
		} else if err != nil {
			return nil, err
		}
		// The text between two separators, or after the last one, may be empty.
		if len(source.Content) == 1 && source.Content[0].ShortTag() != "!!null" {
			sources = append(sources, source)
		}
	}
}

// wrongLine returns the first line that makes a text invalid YAML: the lines before it are valid, and no longer
// beginning is. The library's error has another line: the one before, or that where the mapping begins. wrongLine
// returns that one if the text is too long for a search.
func wrongLine(text []byte, err error) int {
	ends := []int{0}
	for at, char := range text {
		if char == '\n' {
			ends = append(ends, at+1)
		}
	}
	budget := 1<<20 + 4*len(text) // number of bytes to parse
	good := func(lines int) bool {
		budget -= ends[lines]
		_, err := allYAML(text[:ends[lines]])
		if err != nil {
			_, err = allYAML(asTexts(text[:ends[lines]]))
		}
		return err == nil
	}
	const longest = 50 // longest value, in lines, which may be valid only with its last line
	last := 0
	for again := true; again; {
		bad := len(ends)
		for last+1 < bad && budget > 0 {
			if middle := (last + bad) / 2; good(middle) {
				last = middle
			} else {
				bad = middle
			}
		}
		again = false
		for more := last + 2; more < min(last+longest, len(ends)) && !again && budget > 0; more++ {
			if again = good(more); again {
				last = more
			}
		}
	}
	if told := toldLine().FindStringSubmatch(err.Error()); budget <= 0 && told != nil {
		line, _ := strconv.Atoi(told[1])
		return max(last+1, line)
	}
	return last + 1
}

// tabbed finds a line that a tab indents.
var tabbed = lazily(`^[ -]*\t`)

var toldLine = lazily(`line (\d+):`)

var yamlLine = lazily(`^(?:yaml: )?(?:unmarshal errors:\n\s*)?(?:line \d+: )?`)

// A converter converts the library's nodes.
type converter struct {
	doc     *Document
	text    []byte
	rows    int                 // number of lines
	left    int                 // number of nodes that it may still make: anchors can multiply them
	parents map[*yaml.Node]bool // anchors in use
}

// at returns the position of a node. The library puts a value that is missing at the end of a file behind the last
// line.
func (c *converter) at(n *yaml.Node) Position {
	if n.Line > c.rows {
		return Position{c.rows, 1}
	}
	return Position{n.Line, n.Column}
}

// newConverter returns a converter for a document.
func newConverter(doc *Document, text []byte) *converter {
	return &converter{doc: doc, text: text, rows: bytes.Count(text, []byte("\n")) + 1, left: 4 * MaxSize / 64}
}

// A pair is an entry of a map.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs returns the entries of a map with those of its merge keys (<<). The map's own entries win, then the first
// merged map.
func (c *converter) pairs(n *yaml.Node, depth int) ([]pair, error) {
	if c.left--; c.left < 0 || depth > deepest {
		return nil, c.doc.errorf(c.at(n), "it is too large when its anchors (&NAME) are expanded")
	}
	own := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := resolved(n.Content[i]); key.Kind == yaml.ScalarNode && key.ShortTag() != "!!merge" {
			own[key.Value] = true
		}
	}
	var list []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, name := c.at(key), resolved(key)
		switch {
		case name.Kind != yaml.ScalarNode:
			return nil, c.doc.errorf(at, "a key must be a text")
		case name.ShortTag() == "!!merge":
			merged, err := c.merged(value, depth)
			if err != nil {
				return nil, err
			}
			for _, pair := range merged {
				if !own[pair.name] {
					own[pair.name] = true
					list = append(list, pair)
				}
			}
			continue
		case seen[name.Value]:
			c.doc.fault(DuplicateKey, at, "key %q is there twice: the last one counts", name.Value)
		}
		seen[name.Value] = true
		list = append(list, pair{name.Value, key, value})
	}
	return list, nil
}

// merged returns the entries of the maps that a merge key names.
func (c *converter) merged(n *yaml.Node, depth int) ([]pair, error) {
	switch target := resolved(n); target.Kind {
	case yaml.MappingNode:
		return c.pairs(target, depth+1)
	case yaml.SequenceNode:
		var list []pair
		for _, item := range target.Content {
			if resolved(item).Kind != yaml.MappingNode {
				return nil, c.doc.errorf(c.at(item), "a merge key (<<) wants maps")
			}
			pairs, err := c.pairs(resolved(item), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, pairs...)
		}
		return list, nil
	}
	return nil, c.doc.errorf(c.at(n), "a merge key (<<) wants a map, or a list of maps")
}

// resolved returns a node, or the node behind an alias.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func (c *converter) node(n *yaml.Node, header bool, depth int) (*Node, error) {
	at := c.at(n)
	if c.left--; c.left < 0 {
		return nil, c.doc.errorf(at, "it is too large when its anchors (&NAME) are expanded")
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
		pairs, err := c.pairs(n, depth)
		if err != nil {
			return nil, err
		}
		for _, pair := range pairs {
			inner, err := c.node(pair.value, header, depth+1)
			if err != nil {
				return nil, err
			}
			object.Entries = append(object.Entries, Entry{pair.name, c.at(pair.key), inner})
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
			n.Value = "null" // the library would write '' inside braces
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
	if node.Text != n.Value {
		node.Source = n.Value
	}
	return node, nil
}

var jsonLiteral = lazily(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)

// jsonNumber returns a YAML number in JSON's notation.
func jsonNumber(n *yaml.Node) (string, error) {
	if jsonLiteral().MatchString(n.Value) {
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

// inside returns a function from offsets in a node's text to positions in the file. It is exact for a literal block;
// otherwise it returns the start of the text.
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

// sameNumber reports whether two literals are exactly the same number.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := parseRat(a)
	y, errY := parseRat(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// plain reports whether a header's text needs no quotes although YAML would read it as another type: all headers are
// texts.
func plain(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for _, r := range text {
		if r != '-' && r != ':' && r != '.' && r != '+' && r != 'T' && r != 'Z' && !unicode.IsDigit(r) {
			return false
		}
	}
	return jsonLiteral().MatchString(text) || stamp().MatchString(text)
}

var stamp = lazily(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)$`)
