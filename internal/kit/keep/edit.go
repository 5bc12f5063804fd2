package keep

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Change sets the value at a path: bool, json.Number, string, or a list of these. Nil removes the key.
type Change struct {
	Path  []string
	Value any
	Like  string // text of an earlier value, whose style the value of a new key gets
}

// Edit applies changes to the text of a file. It returns an error, which says what to do, if the result would differ in anything else
// than these values.
func Edit(format Format, text string, changes []Change) (string, error) {
	before, err := Parse(format, text)
	if err != nil {
		return "", err
	}
	out := text
	for _, c := range changes {
		d, err := Parse(format, out)
		if err != nil {
			return "", fmt.Errorf("cannot set %s: %w", Dotted(c.Path), err)
		}
		if out, err = d.apply(c); err != nil {
			return "", fmt.Errorf("cannot set %s: %w", Dotted(c.Path), err)
		}
	}
	after, err := Parse(format, out)
	if err == nil {
		err = compare(before, after, changes)
	}
	if err != nil {
		return "", fmt.Errorf("cannot change the file safely (%w): change it by hand", err)
	}
	return out, nil
}

// Equal reports whether two values are the same. The notation of numbers does not count.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, is := b.(json.Number)
		x, err := a.Float64()
		y, otherErr := b.Float64()
		return is && (a == b || err == nil && otherErr == nil && x == y)
	case []any:
		b, is := b.([]any)
		return is && slices.EqualFunc(a, b, Equal)
	}
	return reflect.DeepEqual(a, b)
}

// compare returns an error if after has other values than before with the changes, or lacks a comment.
func compare(before, after *Document, changes []Change) error {
	want := map[string]*Entry{}
	for _, e := range before.Entries {
		want[join(e.Path)] = e
	}
	for _, c := range changes {
		if delete(want, join(c.Path)); c.Value != nil {
			want[join(c.Path)] = &Entry{Path: c.Path, Value: c.Value}
		}
	}
	found := 0
	for _, e := range after.Entries {
		w := want[join(e.Path)]
		if w == nil || !Equal(w.Value, e.Value) && !(before.format == INI && w.Value == e.raw && e.raw != "") || // in INI all are texts
			w.Kind == Other && w.raw != e.raw {
			return fmt.Errorf("%s would change", Dotted(e.Path))
		}
		found++
	}
	if found != len(want) {
		return fmt.Errorf("a value would be lost")
	}
	texts := func(d *Document) (list []string) {
		for _, c := range d.comments {
			list = append(list, strings.TrimSpace(d.text[c[0]:c[1]]))
		}
		slices.Sort(list)
		return list
	}
	if !slices.Equal(texts(before), texts(after)) {
		return fmt.Errorf("a comment would be lost")
	}
	return nil
}

func (d *Document) splice(from, to int, text string) string {
	return d.text[:from] + text + d.text[to:]
}

// emptyEnd returns the end of a value's text. The end of an empty value is behind the spaces at the end of its line.
func (d *Document) emptyEnd(e *Entry) int {
	if rest := strings.TrimLeft(d.text[e.to:], " \t"); e.from == e.to && (rest == "" || rest[0] == '\n' || rest[0] == '\r') {
		return len(d.text) - len(rest)
	}
	return e.to
}

func (d *Document) apply(c Change) (string, error) {
	e := d.Find(c.Path)
	switch {
	case e == nil && d.maps[join(c.Path)] != nil:
		return "", fmt.Errorf("the file has keys below it")
	case e == nil && c.Value == nil:
		return d.text, nil
	case e == nil:
		return d.insert(c)
	case e.Kind == Other:
		return "", fmt.Errorf("line %d of the file has %s: change it there", e.Line, e.Why)
	case c.Value == nil:
		return d.remove(e), nil
	}
	if list, is := c.Value.([]any); is && e.Kind == List {
		return d.setList(e, list)
	}
	if _, is := c.Value.([]any); e.Kind == List || is && d.format == INI {
		return "", fmt.Errorf("line %d of the file has another type", e.Line)
	}
	like := d.Literal(e)
	if e.Kind == Null {
		like = c.Like
	}
	text, err := d.literal(c.Value, like)
	if err != nil {
		return "", err
	}
	if e.from == e.to && e.from > 0 && d.text[e.from-1] != ' ' && d.text[e.from-1] != '\t' && (d.format == YAML || strings.HasSuffix(d.sep, " ")) {
		text = " " + text
	}
	return d.splice(e.from, d.emptyEnd(e), text), nil
}

// commentsIn returns the comments inside a part of the text, each on a line of its own.
func (d *Document) commentsIn(from, to int, indent string) string {
	var out strings.Builder
	for _, c := range d.comments {
		if c[0] >= from && c[1] <= to {
			out.WriteString(indent + d.text[c[0]:c[1]] + d.eol)
		}
	}
	return out.String()
}

func (d *Document) remove(e *Entry) string {
	m := e.in
	if !m.flow {
		kept := d.commentsIn(e.lines[0], e.lines[1], m.indent)
		if d.format == YAML && len(m.path) > 0 && d.alone(e) {
			// A map without keys would be no value.
			return d.text[:m.keyEnd] + " {}" + d.text[m.keyEnd:e.lines[0]] + kept + d.text[e.lines[1]:]
		}
		return d.splice(e.lines[0], e.lines[1], kept)
	}
	span := m.members[e.member]
	switch {
	case len(m.members) == 1:
		return d.splice(m.from+1, m.to-1, "")
	case e.member == len(m.members)-1:
		return d.splice(m.members[e.member-1][1], span[1], "")
	}
	return d.splice(span[0], m.members[e.member+1][0], "")
}

// alone reports whether an entry is the only one below its map.
func (d *Document) alone(e *Entry) bool {
	for path := range d.maps {
		if strings.HasPrefix(path, join(e.in.path)+"\x00") {
			return false
		}
	}
	n := 0
	for _, other := range d.Entries {
		if other.in == e.in {
			n++
		}
	}
	return n == 1
}
