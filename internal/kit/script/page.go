package script

import (
	_ "embed"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A mark summarises how scripts have used the rules of a line. Its text is the CSS class on the page.
type mark string

const (
	nothing mark = ""        // the rules do not allow the access
	covered mark = "yes"     // scripts used all rules
	partly  mark = "part"    // scripts used some rules, or the marks differ
	refused mark = "refused" // each attempt was refused
	missing mark = "no"      // there was no attempt
)

// and joins the marks of two accesses on one line.
func (m mark) and(other mark) mark {
	switch {
	case m == nothing || m == other:
		return other
	case other == nothing:
		return m
	default:
		return partly
	}
}

// Word returns the page's word for a mark.
func (m mark) Word() string {
	return map[mark]string{covered: "yes", partly: "part", refused: "refused", missing: "never"}[m]
}

// A pageLine is a line of a confdb-schema's file.
type pageLine struct {
	Number      int
	Text        string
	Read, Write mark
	Class       mark // of both
}

type pageHook struct {
	Snap, Hook string
	Times      int
}

type pageFile struct {
	Name  string
	Lines []pageLine
}

//go:embed page.html
var pageText string

// A Source is a file with confdb-schemas.
type Source struct {
	File      string // for people
	Text      []byte
	Documents []*document.Document
}

// HTML writes the coverage as a page of HTML without other files. It shows the files of the confdb-schemas, with a colour for the use
// of each rule, and the hooks.
func (c *Coverage) HTML(w io.Writer, sources []Source) error {
	var files []pageFile
	for _, source := range sources {
		file := pageFile{Name: source.File}
		for n, line := range strings.Split(strings.TrimSuffix(string(source.Text), "\n"), "\n") {
			file.Lines = append(file.Lines, pageLine{Number: n + 1, Text: strings.TrimSuffix(line, "\r")})
		}
		for _, doc := range source.Documents {
			c.paint(doc, file.Lines)
		}
		files = append(files, file)
	}
	page, err := template.New("coverage").Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{"Missing": c.Missing(), "Files": files, "Hooks": c.hookList()})
}

func (c *Coverage) hookList() (list []pageHook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.hooks)) {
		snap, hook, _ := strings.Cut(id, " ")
		list = append(list, pageHook{snap, hook, c.hooks[id]})
	}
	return list
}

// paint marks the lines of a document's rules. A content rule has lines of its own within those of its parent.
func (c *Coverage) paint(doc *document.Document, lines []pageLine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := doc.Header("account-id") + "/" + doc.Header("name")
	schema, known := c.schemas[id]
	if !known { // with another account than the file says
		for other, s := range c.schemas {
			if s.Parsed.Name == doc.Header("name") {
				id, schema, known = other, s, true
			}
		}
	}
	if !known {
		return
	}
	state := func(can bool, at access) mark {
		switch allowed, tried := c.touched[at]; {
		case !can:
			return nothing
		case allowed:
			return covered
		case tried:
			return refused
		default:
			return missing
		}
	}
	for _, view := range schema.Parsed.Views() {
		owner := map[int]int{} // line -> depth of the rule that it belongs to
		for index, rule := range schema.Parsed.Rules(view) {
			node, at := doc.Headers.Follow(append([]string{"views", view}, rule.At...)...)
			read := state(rule.Readable, access{id, view, index, false})
			write := state(rule.Writable, access{id, view, index, true})
			for n := at.Line; n <= max(at.Line, lastLine(node)) && n >= 1 && n <= len(lines); n++ {
				line := &lines[n-1]
				if owner[n] < len(rule.At) && owner[n] > 0 && n > at.Line {
					line.Read, line.Write = nothing, nothing // the parent's
				}
				owner[n] = max(owner[n], len(rule.At))
				line.Read, line.Write = line.Read.and(read), line.Write.and(write)
				line.Class = line.Read.and(line.Write)
			}
		}
	}
}

// lastLine returns the last line on which a part of a node begins.
func lastLine(n *document.Node) int {
	if n == nil {
		return 0
	}
	last := n.Pos.Line
	for _, item := range n.Items {
		last = max(last, lastLine(item))
	}
	for _, entry := range n.Entries {
		last = max(last, entry.KeyPos.Line, lastLine(entry.Value))
	}
	return last
}
