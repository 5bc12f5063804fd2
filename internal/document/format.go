package document

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/jsonvalue"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// wide is the width of a line, in characters, above which Format spreads a map or a list in brackets over several lines.
const wide = 120

// Format returns the text of a file with confdb-schemas in the canonical layout. Values, comments, the order of keys and single empty
// lines stay:
//
//   - YAML is indented by two spaces, and has one space behind a dash and behind a colon. Maps and lists in brackets that do not fit
//     on a line are spread over several lines.
//   - JSON is indented by two spaces. A body that is a text gets the layout that snapd requires.
//   - An unsigned assertion gets a body in that layout, and its length.
//
// It returns an error if the file cannot be read, is signed, or is a template.
func Format(file string, text []byte) ([]byte, error) {
	docs, err := ParseAll(file, text)
	if err != nil {
		return nil, err
	}
	rest := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var formatted []byte
	switch docs[0].Form {
	case JSON:
		formatted, err = formatJSON(docs[0], rest)
	case Assertion:
		formatted, err = formatAssertion(docs, rest)
	default:
		formatted, err = formatYAML(rest)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot format %s: %w", file, err)
	}
	again, err := ParseAll(file, formatted)
	if err != nil || !slices.EqualFunc(docs, again, func(a, b *Document) bool { return Same(a, b, false) }) {
		return nil, fmt.Errorf("cannot format %s: the result would have other values", file)
	}
	return formatted, nil
}

func formatJSON(doc *Document, text []byte) ([]byte, error) {
	value := jsontext.Value(bytes.Clone(text))
	options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.WithIndent("  "),
		jsontext.PreserveRawStrings(true)}
	if doc.Embedded && doc.Body != nil {
		body, err := doc.BodyText()
		if err != nil {
			return nil, err
		}
		at := newLines(text)
		entry := doc.body
		start := at.offset(entry)
		end := start + quotedLength(text[start:])
		value = slices.Concat(text[:start], jsonText(string(body)), text[end:])
	}
	if err := value.Indent(options...); err != nil {
		return nil, err
	}
	return append(value, '\n'), nil
}

// jsonText returns a text as JSON, without escapes that JSON does not need.
func jsonText(text string) []byte {
	encoded, _ := jsonvalue.Encode(text) // a text never fails
	return encoded
}

// quotedLength returns the length of the JSON string at the beginning of a text.
func quotedLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func (l *lines) offset(at Position) int {
	offset := l.starts[at.Line-1]
	for range at.Column - 1 {
		offset += len(string([]rune(string(l.text[offset:min(len(l.text), offset+4)]))[0]))
	}
	return offset
}

// length matches the header with the length of an assertion's body.
var length = lazily(`(?m)^body-length: .*$`)

func formatAssertion(docs []*Document, text []byte) ([]byte, error) {
	for _, doc := range docs {
		if doc.Signature != "" || doc.KeyID != "" {
			return nil, errors.New("it is signed: another layout would break the signature")
		}
	}
	doc := docs[0]
	head, _, found := bytes.Cut(text, []byte("\n\n"))
	if len(docs) > 1 || doc.Body == nil || !found {
		return nil, errors.New("only a single assertion with a body can be formatted")
	}
	body, err := doc.BodyText()
	if err != nil {
		return nil, err
	}
	head = length().ReplaceAll(head, []byte("body-length: "+strconv.Itoa(len(body))))
	return slices.Concat(head, []byte("\n\n"), body, []byte("\n")), nil
}

func formatYAML(text []byte) ([]byte, error) {
	if _, err := allYAML(text); err != nil || directive().Match(text) {
		return nil, errors.New("it is a template, which is no YAML before it is filled in")
	}
	out := text
	for range 4 { // takeApart moves comments, so one pass may not be enough
		next, err := relaid(out)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(next, out) {
			break
		}
		out = next
	}
	if again, err := relaid(out); err != nil || !bytes.Equal(again, out) {
		return nil, errors.New("its comments move each time the file is formatted")
	}
	if !slices.Equal(remarks(text), remarks(out)) {
		return nil, errors.New("comments would get lost: put each on a line of its own")
	}
	return out, nil
}

// gap is a comment in the place of an empty line: the library writes comments, and leaves out empty lines.
const gap = "#\u2063"

// relaid returns YAML as the library writes it, but with the empty lines.
func relaid(text []byte) ([]byte, error) {
	sources, err := allYAML(marked(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, source := range sources {
		takeApart(source, 0, 0)
		if err := encoder.Encode(source); err != nil {
			return nil, err
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, " \t\r\n")
		if strings.TrimSpace(line) == gap {
			line = ""
		}
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// marked returns YAML with gaps in the place of its empty lines, except for those inside texts.
func marked(text []byte) []byte {
	rows := strings.Split(string(text), "\n")
	inside := textLines(rows, text)
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, "\r")
		if strings.TrimSpace(row) == "" && i+1 < len(rows) && !inside[i] {
			// The gap gets the indentation of the next line that is not empty.
			indent := ""
			for _, next := range rows[i+1:] {
				if trimmed := strings.TrimLeft(next, " "); strings.TrimSpace(trimmed) != "" {
					indent = next[:len(next)-len(trimmed)]
					break
				}
			}
			rows[i] = indent + gap
		}
	}
	return []byte(strings.Join(rows, "\n"))
}

// textLines returns the numbers of the lines, from 0, that may be inside a text of several lines.
func textLines(rows []string, text []byte) map[int]bool {
	inside := map[int]bool{}
	sources, err := allYAML(text)
	if err != nil {
		return inside
	}
	var walk func(n *yaml.Node, end int)
	walk = func(n *yaml.Node, end int) {
		for i, child := range n.Content {
			last := end
			if i+1 < len(n.Content) {
				last = n.Content[i+1].Line - 1
			}
			walk(child, last)
		}
		if n.Kind == yaml.ScalarNode && (n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || strings.Contains(n.Value, "\n")) {
			for line := n.Line; line < end; line++ {
				inside[line] = true
			}
		}
	}
	for i, source := range sources {
		end := len(rows)
		if i+1 < len(sources) {
			end = sources[i+1].Content[0].Line - 1
		}
		walk(source, end)
	}
	return inside
}

// takeApart spreads maps and lists in brackets over several lines if they are too wide, or have comments inside. column is the column
// at which the node begins, and indent the indentation of its entries.
func takeApart(n *yaml.Node, indent, column int) {
	if n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
		if !commented(n, true) && column+flowWidth(n) <= wide {
			return
		}
		n.Style &^= yaml.FlowStyle
	}
	switch n.Kind {
	case yaml.DocumentNode:
		takeApart(n.Content[0], 0, 0)
	case yaml.SequenceNode:
		for _, item := range n.Content {
			takeApart(item, indent+2, indent+2)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			takeApart(n.Content[i+1], indent+2, indent+flowWidth(n.Content[i])+len(": "))
		}
	}
}

// commented reports whether a node has comments inside. outer means that the comments of the node itself do not count.
func commented(n *yaml.Node, outer bool) bool {
	if !outer && n.HeadComment+n.LineComment+n.FootComment != "" {
		return true
	}
	return slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return commented(child, false) })
}

// flowWidth returns the width of a node on one line, without the escapes of texts in quotes.
func flowWidth(n *yaml.Node) int {
	width := len([]rune(n.Value))
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 || n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		width += 2
	}
	for i, child := range n.Content {
		width += flowWidth(child)
		if i > 0 {
			width += len(", ") // or ": "
		}
	}
	return width
}

// remarks returns the lines of the comments of YAML, sorted.
func remarks(text []byte) []string {
	sources, err := allYAML(text)
	if err != nil {
		return nil
	}
	var walk func(n *yaml.Node)
	var list []string
	collect := func(comment string) {
		for line := range strings.Lines(comment) {
			if line = strings.TrimSpace(line); line != "" {
				list = append(list, line)
			}
		}
	}
	walk = func(n *yaml.Node) {
		collect(n.HeadComment)
		collect(n.LineComment)
		for _, child := range n.Content {
			walk(child)
		}
		collect(n.FootComment)
	}
	for _, source := range sources {
		walk(source)
	}
	slices.Sort(list)
	return list
}
