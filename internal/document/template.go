package document

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"aspects-poc/registry/dialect"

	"go.yaml.in/yaml/v3"
)

// placeholder matches a text in the place of a value that is filled in later: marks around a name, as in <your-account-id>,
// @ID@, %%ID%%, ${ID}, {{ id }}, [[ID]], __ID__ or ~ID~; $ID, %(id)s, YOUR_ID, and dots.
var placeholder = lazily(`^\s*(?:[^\pL\pN\s"'.,:;-].*[^\pL\pN\s"'.,:;-]|\$\w+|%\(\w+\)s|[A-Z][A-Z0-9_-]{2,}|\.\.\.|…)\s*$`)

// Placeholder reports whether a text is a placeholder for an account ID, a revision or a timestamp.
func Placeholder(text string) bool {
	return placeholder().MatchString(text) && dialect.ValidAccount(text) != nil
}

// Unfilled reports whether a header is a placeholder. A signed assertion has none.
func (d *Document) Unfilled(header string) bool {
	return d.Form != Assertion && Placeholder(d.Header(header))
}

// SetAccount sets the account that publishes and signs.
func (d *Document) SetAccount(id string) {
	for _, name := range []string{"account-id", "authority-id"} {
		d.setHeader(name, id)
	}
}

// FillAccount sets the account if the document has none or a placeholder. If id is "", it only completes the signer. It
// does not change a signed assertion.
func (d *Document) FillAccount(id string) {
	if d.Form == Assertion {
		return
	}
	if own := d.Header("account-id"); own != "" && !Placeholder(own) {
		id = own // the publisher also signs
		if d.Headers.Get("authority-id") == nil {
			return
		}
	}
	for _, name := range []string{"account-id", "authority-id"} {
		if text := d.Header(name); id != "" && (text == "" || Placeholder(text)) {
			d.setHeader(name, id)
		}
	}
}

// SetRevision sets the revision.
func (d *Document) SetRevision(revision int) { d.setHeader("revision", strconv.Itoa(revision)) }

// SetTimestamp sets the timestamp.
func (d *Document) SetTimestamp(at time.Time) {
	d.setHeader("timestamp", at.UTC().Format(time.RFC3339))
}

// NeedsTimestamp reports whether the timestamp is missing or a placeholder.
func (d *Document) NeedsTimestamp() bool {
	return d.Headers.Get("timestamp") == nil || Placeholder(d.Header("timestamp"))
}

// setHeader sets a header's text, also in the YAML source.
func (d *Document) setHeader(name, text string) {
	value := &Node{Kind: String, Text: text, Pos: Position{1, 1}}
	if entry := d.Headers.Entry(name); entry != nil {
		value.Pos = entry.Value.Pos
	}
	d.Headers.Set(name, value)
	if d.source == nil {
		return
	}
	top := d.source.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if key, old := top.Content[i], top.Content[i+1]; key.Value == name {
			fresh := textYAML(text)
			fresh.HeadComment, fresh.LineComment, fresh.FootComment = old.HeadComment, old.LineComment, old.FootComment
			top.Content[i+1] = fresh
			return
		}
	}
	top.Content = append([]*yaml.Node{textYAML(name), textYAML(text)}, top.Content...)
}

// bare matches a template's value that YAML cannot read; directive matches a line that only a template can have.
var (
	bare      = lazily("(?m)^([ \t]*(?:- +)*(?:[\\w.-]+|\"[^\"\n]*\"|'[^'\n]*'):[ \t]+|[ \t]*(?:- +)+)([@%`][^#\n]*?|\\{[{%][^\n]*?[}%]\\}[^#\n]*?)([ \t]*(?:#[^\n]*)?)$")
	directive = lazily(`(?m)^[ \t]*\{[%#].*[%#]\}[ \t]*$`)
)

// asTexts returns YAML with placeholders in quotes, on the same lines.
func asTexts(text []byte) []byte {
	text = directive().ReplaceAllFunc(text, func(line []byte) []byte { return []byte("#") })
	return bare().ReplaceAllFunc(text, func(line []byte) []byte {
		parts := bare().FindSubmatch(line)
		quoted := "'" + strings.ReplaceAll(string(parts[2]), "'", "''") + "'"
		return bytes.Join([][]byte{parts[1], []byte(quoted), parts[3]}, nil)
	})
}

// braced reports whether a node is {{ id }}. YAML reads it as a map whose key is a map.
func braced(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) == 2 &&
		n.Content[0].Kind == yaml.MappingNode && n.Content[0].Style&yaml.FlowStyle != 0 && n.Content[1].ShortTag() == "!!null"
}

// unbrace turns all {{ id }} in a tree into texts.
func unbrace(n *yaml.Node, rows [][]byte) {
	if braced(n) && n.Line <= len(rows) {
		row := []rune(string(rows[n.Line-1]))
		text := string(row[min(n.Column-1, len(row)):])
		if end := strings.Index(text, "}}"); end >= 0 {
			text = text[:end+2]
		}
		*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.SingleQuotedStyle, Value: text, Line: n.Line, Column: n.Column,
			HeadComment: n.HeadComment, LineComment: n.LineComment, FootComment: n.FootComment}
		return
	}
	for _, inner := range n.Content {
		unbrace(inner, rows)
	}
}

// lazily returns a function that compiles a pattern at its first call, since most programs never need it.
func lazily(pattern string) func() *regexp.Regexp {
	var once sync.Once
	var compiled *regexp.Regexp
	return func() *regexp.Regexp {
		once.Do(func() { compiled = regexp.MustCompile(pattern) })
		return compiled
	}
}
