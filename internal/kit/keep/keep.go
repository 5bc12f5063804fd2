// Package keep changes values in a configuration file and leaves all the rest as it is: comments, order, quotes, indentation. It reads
// YAML, JSON, INI and TOML. Its main types are Document and Change, its main functions Parse and Edit. A value that it cannot change
// safely is an entry of the kind Other, with the reason.
//
//	doc, err := keep.Parse(keep.YAML, text)
//	text, err = keep.Edit(keep.YAML, text, []keep.Change{{Path: []string{"server", "port"}, Value: json.Number("8080")}})
//
// Edit parses its own result. If that has another value than requested, or lacks a comment, Edit returns an error and no text.
// The package uses the standard library only, since "registry new --hooks go" writes its source into snaps. Package scaffold has the
// same program in Python; the tests of both compare them with other parsers.
package keep

import (
	"fmt"
	"slices"
	"strings"
)

// A Format is a language of configuration files.
type Format string

// The formats.
const (
	YAML Format = "yaml"
	JSON Format = "json"
	INI  Format = "ini"
	TOML Format = "toml"
)

// A Kind is the kind of a value.
type Kind string

// The kinds of values, and the Go type of Entry.Value.
const (
	Bool   Kind = "bool"   // bool
	Int    Kind = "int"    // json.Number, at most 2⁵³
	Number Kind = "number" // json.Number
	String Kind = "string" // string
	Date   Kind = "date"   // string: a date, a time, or both, without quotes in the file
	List   Kind = "list"   // []any of values of one kind: bool, json.Number or string
	Null   Kind = "null"   // nil
	Other  Kind = "other"  // nil: Why has the reason
)

// An Entry is a value in a file, and the key before it.
type Entry struct {
	Path    []string // keys as the file has them
	Kind    Kind
	Element Kind // of a list; "" if it has no elements
	Value   any
	Why     string // for Other: the reason why the value cannot be changed
	Line    int    // from 1
	Comment string // the comments above and behind the value, without their signs

	from, to int // offsets of the value's text
	lines    [2]int
	member   int // its place in a flow mapping, or -1
	in       *mapping
	items    []item
	flow     bool   // a list in brackets
	raw      string // of Other: its text, to check that it has not changed
}

// An item is an element of a list.
type item struct {
	from, to int
	value    any
	kind     Kind
	end      int // of its line, for lists with one element a line
}

// A mapping is a place for keys.
type mapping struct {
	path     []string
	flow     bool
	from, to int      // of a flow mapping, with its braces
	members  [][2]int // of a flow mapping
	indent   string   // before its keys
	end      int      // offset at which the next line is inserted
	dotted   bool     // TOML: only named by keys with dots
	opaque   bool     // inside a value of the kind Other
	keyEnd   int      // YAML: behind the colon of the key that has a mapping in braces
}

// A Document is a parsed file. It has many methods because the readers of four formats share the methods for values in brackets,
// quotes and literals, and an edit needs the offsets that they have found.
type Document struct {
	Entries []*Entry // in the order of the file

	format   Format
	text     string
	eol      string
	maps     map[string]*mapping
	comments [][2]int
	sep      string // between key and value, as the first entry has it
}

// EmptyMaps returns the paths of maps, tables and sections that have no keys.
func (d *Document) EmptyMaps() (paths [][]string) {
	full := map[string]bool{"": true}
	mark := func(path []string) {
		for n := range path {
			full[join(path[:n])] = true
		}
	}
	for _, e := range d.Entries {
		mark(e.Path)
	}
	for _, m := range d.maps {
		mark(m.path)
	}
	for name, m := range d.maps {
		if !full[name] && !m.opaque {
			paths = append(paths, m.path)
		}
	}
	slices.SortFunc(paths, slices.Compare)
	return paths
}

// Parse parses the text of a file. It returns an error, which begins with the line, for text that is not in the format.
func Parse(format Format, text string) (*Document, error) {
	d := &Document{format: format, text: text, eol: "\n", maps: map[string]*mapping{}}
	if at := strings.IndexByte(text, '\n'); at > 0 && text[at-1] == '\r' {
		d.eol = "\r\n"
	}
	if strings.HasPrefix(text, "\ufeff") {
		return nil, d.errorAt(0, "the file begins with a byte order mark: remove it")
	}
	var err error
	switch format {
	case YAML:
		err = (&yamlReader{Document: d, lines: linesOf(text)}).read()
	case JSON:
		err = d.readJSON()
	case INI:
		err = (&iniReader{Document: d, lines: linesOf(text)}).read()
	case TOML:
		err = (&tomlReader{Document: d, lines: linesOf(text)}).read()
	default:
		err = fmt.Errorf("%q is no format", format)
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]*Entry{}
	for _, e := range d.Entries {
		if twin := seen[join(e.Path)]; twin != nil {
			return nil, d.errorAt(d.lineStart(e.Line), "%s stands here and in line %d: remove one", Dotted(e.Path), twin.Line)
		}
		seen[join(e.Path)] = e
	}
	return d, nil
}

// Find returns the entry at a path, or nil.
func (d *Document) Find(path []string) *Entry {
	for _, e := range d.Entries {
		if join(e.Path) == join(path) {
			return e
		}
	}
	return nil
}

// Literal returns the text of an entry's value in the file.
func (d *Document) Literal(e *Entry) string { return d.text[e.from:e.to] }

// Dotted returns a path as text for people, with dots between the keys.
func Dotted(path []string) string { return strings.Join(path, ".") }

func join(path []string) string { return strings.Join(path, "\x00") }

// errorAt returns an error that begins with the line of an offset.
func (d *Document) errorAt(offset int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", d.lineOf(offset), fmt.Sprintf(format, args...))
}

func (d *Document) lineOf(offset int) int { return strings.Count(d.text[:offset], "\n") + 1 }

func (d *Document) lineStart(line int) int {
	at := 0
	for ; line > 1; line-- {
		at += strings.IndexByte(d.text[at:], '\n') + 1
	}
	return at
}

// A line has the offsets of one line of a text: its beginning, its end without the line end, and the beginning of the next line.
type line struct{ from, to, next int }

func linesOf(text string) []line {
	var lines []line
	for at := 0; at < len(text); {
		to, next := len(text), len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			to, next = at+i, at+i+1
			if to > at && text[to-1] == '\r' {
				to--
			}
		}
		lines = append(lines, line{at, to, next})
		at = next
	}
	return lines
}

func (d *Document) comment(from, to int) string {
	d.comments = append(d.comments, [2]int{from, to})
	return strings.TrimSpace(strings.TrimLeft(d.text[from:to], "#; \t"))
}

// above has the comment lines above an entry.
type above []string

func (a *above) take(behind string) string {
	words := append(*a, behind)
	*a = nil
	return strings.TrimSpace(strings.Join(words, "\n"))
}

// LikeOfList returns the text of a list's first element, in brackets. It is Change.Like for a list that was removed and is set again.
func (d *Document) LikeOfList(e *Entry) string {
	if len(e.items) == 0 {
		return "[]"
	}
	return "[" + d.text[e.items[0].from:e.items[0].to] + "]"
}

// Cut returns the text without an entry of any kind. It returns false if the entry cannot be removed.
func (d *Document) Cut(e *Entry) (string, bool) {
	if !e.in.flow && (e.lines[1] <= e.lines[0] || e.Kind == Other && d.format == TOML && strings.HasPrefix(strings.TrimLeft(d.text[e.from:e.to], " \t"), "[[")) {
		return "", false
	}
	return d.remove(e), true
}

// Raw returns the text of an entry of the kind Other.
func (e *Entry) Raw() string { return e.raw }

// Fitting returns the value of an entry if it has a kind, such as "int", or "list string" for a list. fits is false if it has another
// kind. In INI files every value also has the kind string.
func (e *Entry) Fitting(format Format, kind string) (value any, fits bool) {
	found := string(e.Kind)
	element, isList := strings.CutPrefix(kind, "list ")
	if isList && e.Kind == List {
		found, kind = string(e.Element), element
	}
	if format == INI && kind == string(String) && (e.Kind == Bool || e.Kind == Int || e.Kind == Number) {
		return e.raw, true
	}
	return e.Value, found == kind || kind == string(Number) && found == string(Int)
}
