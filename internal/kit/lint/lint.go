// Package lint checks a confdb-schema, and the snaps that use it, before snapd does. Its main functions are Check and CheckSnaps,
// its main type is Finding.
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

// A Level is the severity of a finding.
type Level string

// The levels.
const (
	Error   Level = "error"   // snapd refuses it, or it breaks what is published
	Warning Level = "warning" // it will be regretted
	Note    Level = "note"    // worth knowing
)

// A Finding is one fault, or one remark, about a place in a file.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Level   Level  `json:"level"`
	Code    string `json:"code"` // of the rule
	Message string `json:"message"`
	Help    string `json:"help,omitempty"` // what to do; "" if that is obvious
	Doc     string `json:"doc"`            // page and anchor of the rule

	Fix *edit.Fix `json:"fix,omitempty"` // change that mends it; nil if there is none
}

// Same reports whether two findings have the same place, rule and message.
func (f Finding) Same(other Finding) bool {
	f.Fix, other.Fix = nil, nil
	return f == other
}

// DocPage is the page that describes the rules. Each rule has an anchor with its code.
const DocPage = "docs/devkit/lint.md"

// Options are options of Check and CheckSnaps. With the zero value, Check checks the document alone.
type Options struct {
	Account string             // account ID that documents and plugs must have; "" for any
	Against *document.Document // the published copy; nil for none
	Snaps   []*Snap            // the snaps that use the confdb-schema
	Schemas []string           // names of other confdb-schemas that the caller checks
	Ignore  []string           // codes of rules that are not reported; errors are reported nevertheless
	Enable  []string           // codes of rules that are off by default
}

// Check returns the findings about a document and its snaps: those of the document first, then by file and line.
func Check(doc *document.Document, options Options) []Finding {
	c := newChecker(doc, options)
	c.checkForm()
	if doc.Header("type") == "aspect-bundle" { // snapd up to 2.63 has it in another language; other findings would mislead
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

// CheckSnaps returns the findings about snaps whose confdb-schema is not given: about their plugs, their hooks, and the hooks' calls
// of snapctl.
func CheckSnaps(options Options) []Finding {
	c := newChecker(&document.Document{Headers: &document.Node{Kind: document.Map}}, options)
	c.broken = true
	(&snapChecker{checker: c}).checkSnaps()
	return c.sorted(c.doc.File)
}

// Unreadable returns the finding for an error of document.Parse or ReadSnap about the content of a file. ok is false for another
// error, such as that of a file that does not exist.
func Unreadable(err error) (found Finding, ok bool) {
	var refused *document.Error
	if !errors.As(err, &refused) {
		return Finding{}, false
	}
	return Finding{File: refused.File, Line: max(refused.Pos.Line, 1), Column: max(refused.Pos.Column, 1), Level: Error,
		Code: "unreadable", Message: refused.Message, Doc: DocPage + "#unreadable"}, true
}

// Failed reports whether the findings have an error or, if strict is true, a warning.
func Failed(findings []Finding, strict bool) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Level == Error || strict && f.Level == Warning
	})
}

// A checker checks one document.
//
// It has many methods because there is one for each rule, or group of rules.
type checker struct {
	doc     *document.Document
	options Options
	findings

	storage *document.Node // the storage schema; nil if there is none
	schema  *confdb.Schema // the sound parts of the document
	views   []*viewModel
	broken  bool // the storage schema has no sound parts

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

// findings collects the findings of a checker.
type findings struct {
	ignore, enable []string // as in Options
	list           []Finding
	full           bool // there are more than maxFindings
}

// maxFindings is how many findings are reported of one document.
const maxFindings = 200

// report adds a finding and returns it, so that the caller can set its fix. If the rule is not wanted or the list is full, it returns
// a Finding that is not in the list.
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

// sorted returns the findings: those of the file own first, then by file and line.
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
