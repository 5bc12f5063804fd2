// Package lint checks a confdb-schema before snapd does. Its main function is Check.
//
//	doc, err := document.Parse("network.yaml", text)
//	findings := lint.Check(doc, lint.Options{})
//
// It reports at once:
//
//   - every fault that snapd 2.77 refuses, in snapd's words and with its place in the file
//   - what snapd accepts, but people regret later
//   - changes that break users of the published copy
//   - faults of the snaps that use the confdb-schema
//
// The engine (package confdb) parses the document and finds what snapd refuses. The rules of this package find the
// rest; Rules lists all rules.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/registry/confdb"
)

// A Level tells how bad a finding is.
type Level string

// The levels.
const (
	Error   Level = "error"   // snapd refuses it, or it breaks what is published
	Warning Level = "warning" // it will be regretted
	Note    Level = "note"    // worth knowing
)

// A Finding is one thing to tell about a file.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Level   Level  `json:"level"`
	Code    string `json:"code"` // of the rule
	Message string `json:"message"`
	Help    string `json:"help,omitempty"` // what to do, if it is not plain
	Doc     string `json:"doc"`            // where more is told

	Fix *edit.Fix `json:"fix,omitempty"` // what mends it; nil if a person has to
}

// Same reports whether two findings say the same of the same place.
func (f Finding) Same(other Finding) bool {
	f.Fix, other.Fix = nil, nil
	return f == other
}

// DocPage is the page that tells of the rules; each has an anchor named after its code.
const DocPage = "docs/devkit/lint.md"

// Options say what else to look at. The zero value looks at the document alone.
type Options struct {
	Account string             // the account ID that will sign, for documents and plugs that are compared with it
	Against *document.Document // the copy that is published; nil for none
	Snaps   []*Snap            // the snaps that use it
	Schemas []string           // names of other confdb-schemas that are looked at, too
	Ignore  []string           // codes of rules that shall be silent; errors that snapd makes cannot be ignored
	Enable  []string           // codes of rules that are off by default
}

// Check returns what there is to tell about a document, in the order of the files and lines.
func Check(doc *document.Document, options Options) []Finding {
	c := newChecker(doc, options)
	c.checkForm()
	if doc.Header("type") == "aspect-bundle" { // of snapd up to 2.63, in words of its own: nothing else would be of use
		c.add("header", doc.Position("type"), "invalid assertion type: aspect-bundle")
		return c.sorted(c.doc.File)
	}
	c.checkHeaders()
	c.readSchema()
	c.checkRegrets()
	if options.Against != nil {
		c.checkAgainst(options.Against)
	}
	(&snapChecker{checker: c}).checkSnaps()
	return c.sorted(c.doc.File)
}

// CheckSnaps returns what there is to tell about snaps whose confdb-schema is not at hand: their plugs, their hooks, and what
// these ask snapctl for.
func CheckSnaps(options Options) []Finding {
	c := newChecker(&document.Document{Headers: &document.Node{Kind: document.Map}}, options)
	c.broken = true
	(&snapChecker{checker: c}).checkSnaps()
	return c.sorted(c.doc.File)
}

// Unreadable is the finding that a document, or a snap's file, could not be read. The error is one of document.Parse or
// ReadSnap; for others, such as a file that is not there, ok is false.
func Unreadable(err error) (found Finding, ok bool) {
	var refused *document.Error
	if !errors.As(err, &refused) {
		return Finding{}, false
	}
	return Finding{File: refused.File, Line: max(refused.Pos.Line, 1), Column: max(refused.Pos.Column, 1), Level: Error,
		Code: "unreadable", Message: refused.Message, Doc: DocPage + "#unreadable"}, true
}

// Failed tells whether findings are reason to fail: an error, or with strict a warning.
func Failed(findings []Finding, strict bool) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Level == Error || strict && f.Level == Warning
	})
}

// A checker looks at one document.
//
// It has many methods because each rule, or group of rules, is one.
type checker struct {
	doc     *document.Document
	options Options
	findings

	storage *document.Node // the storage schema; nil if there is none
	schema  *confdb.Schema // what of the document is sound
	views   []*viewModel
	broken  bool // nothing of the storage schema is sound

	text *edit.Text // of the document, for fixes; nil until one is made
}

func newChecker(doc *document.Document, options Options) *checker {
	return &checker{doc: doc, options: options, findings: findings{ignore: options.Ignore, enable: options.Enable}}
}

// advise reports a finding in the document, with help of its own unless that is "".
func (c *checker) advise(help, code string, at document.Position, format string, args ...any) *Finding {
	return c.report(c.doc.File, help, code, at, format, args...)
}

// add reports a finding in the document.
func (c *checker) add(code string, at document.Position, format string, args ...any) *Finding {
	return c.addTo(c.doc.File, code, at, format, args...)
}

func (c *checker) addTo(file, code string, at document.Position, format string, args ...any) *Finding {
	return c.report(file, "", code, at, format, args...)
}

// findings are what a checker reports.
type findings struct {
	ignore, enable []string // as in Options
	list           []Finding
	full           bool // there are more than anyone reads
}

// maxFindings is how many findings are reported of one document.
const maxFindings = 200

// report adds a finding and returns it, for its fix. What it returns for one that is not wanted belongs to nothing.
func (f *findings) report(file, help, code string, at document.Position, format string, args ...any) *Finding {
	rule, ok := ruleOf(code)
	if !ok {
		panic("internal error: no rule " + code)
	}
	if rule.Level != Error && slices.Contains(f.ignore, code) || rule.Off && !slices.Contains(f.enable, code) {
		return &Finding{}
	}
	if len(f.list) >= maxFindings {
		f.full = true
		return &Finding{}
	}
	found := Finding{File: file, Line: max(at.Line, 1), Column: max(at.Column, 1), Level: rule.Level, Code: code,
		Message: fmt.Sprintf(format, args...), Help: cmp.Or(help, rule.Help), Doc: DocPage + "#" + code}
	if i := slices.IndexFunc(f.list, found.Same); i >= 0 {
		return &f.list[i]
	}
	f.list = append(f.list, found)
	return &f.list[len(f.list)-1]
}

// sorted returns the findings: those of the document, whose file is own, first.
func (f *findings) sorted(own string) []Finding {
	order := func(found Finding) int { return slices.Index([]Level{Error, Warning, Note}, found.Level) }
	slices.SortStableFunc(f.list, func(a, b Finding) int {
		other := func(found Finding) int {
			if found.File == own {
				return 0
			}
			return 1
		}
		return cmp.Or(other(a)-other(b), cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, order(a)-order(b))
	})
	if f.full {
		last := f.list[len(f.list)-1]
		last.Message, last.Code, last.Level, last.Help, last.Doc = fmt.Sprintf("there are more: only %d are shown", maxFindings),
			"more", Note, "", DocPage+"#more"
		last.Fix = nil
		f.list = append(f.list, last)
	}
	return f.list
}
