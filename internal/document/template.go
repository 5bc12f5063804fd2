package document

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"aspects-poc/registry/dialect"

	"go.yaml.in/yaml/v3"
)

// placeholder matches text in place of a value that is filled in later: <your-account-id>, @ID@, ${ID}, $(ID), $ID,
// {{ id }}, {% id %}, %ID%, %(id)s, __ID__, YOUR_ID.
var placeholder = regexp.MustCompile(`^\s*(?:<[^<>]*>|@[^@]+@|\$\{.*\}|\$\([^()]*\)|\$\w+|\{\{.*\}\}|\{%.*%\}|\{\w+\}|%[^%]+%|%\(\w+\)s|` +
	`__\w+__|[A-Z][A-Z0-9_-]{2,}|\.\.\.|…)\s*$`)

// Placeholder reports whether a text stands for a value that is filled in later.
func Placeholder(text string) bool { return placeholder.MatchString(text) }

// SetAccount sets the account that publishes and signs.
func (d *Document) SetAccount(id string) {
	for _, name := range []string{"account-id", "authority-id"} {
		d.setHeader(name, id)
	}
}

// FillAccount sets the account if the document has none or a placeholder. If id is "", it only completes the signer.
func (d *Document) FillAccount(id string) {
	if own := d.Header("account-id"); own != "" && !unfilled(own) {
		id = own // the publisher also signs
		if d.Headers.Get("authority-id") == nil {
			return
		}
	}
	for _, name := range []string{"account-id", "authority-id"} {
		if text := d.Header(name); id != "" && (text == "" || unfilled(text)) {
			d.setHeader(name, id)
		}
	}
}

func unfilled(id string) bool { return dialect.ValidAccount(id) != nil && Placeholder(id) }

// SetTimestamp sets the timestamp.
func (d *Document) SetTimestamp(at time.Time) {
	d.setHeader("timestamp", at.UTC().Format(time.RFC3339))
}

// NeedsTimestamp reports whether the timestamp is missing or a placeholder.
func (d *Document) NeedsTimestamp() bool {
	header := d.Headers.Get("timestamp")
	return header == nil || Placeholder(header.String())
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
	bare      = regexp.MustCompile("(?m)^([ \t]*(?:- +)*(?:[\\w.-]+|\"[^\"\n]*\"|'[^'\n]*'):[ \t]+|[ \t]*(?:- +)+)([@%`][^#\n]*?|\\{[{%][^\n]*?[}%]\\}[^#\n]*?)([ \t]*(?:#[^\n]*)?)$")
	directive = regexp.MustCompile(`(?m)^[ \t]*\{[%#].*[%#]\}[ \t]*$`)
)

// asTexts returns YAML with placeholders in quotes, on the same lines.
func asTexts(text []byte) []byte {
	text = directive.ReplaceAllFunc(text, func(line []byte) []byte { return []byte("#") })
	return bare.ReplaceAllFunc(text, func(line []byte) []byte {
		parts := bare.FindSubmatch(line)
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
