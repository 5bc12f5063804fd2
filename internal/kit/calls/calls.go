// Package calls finds in the text of a hook what the hook asks snapctl for, without running it. Its main function is
// Find. It parses shell with mvdan.cc/sh, and Python and languages with braces by their tokens. Then it follows the
// statements in the order in which they would run: variables with their values, functions where they are called, the
// arms of a branch one by one.
//
//	for _, call := range calls.Find("configure", text) {
//		fmt.Println(call.At.Line, call.Verb, call.Plug)
//	}
//
// Only a run can show a plug that is put together at run time, or that comes from another file or a user. The plug of
// such a call is "".
package calls

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A Call is a use of snapctl.
type Call struct {
	Verb      string   // get, set, unset or fail
	View      bool     // it has --view
	ViewValue bool     // it has --view=…, which snapctl does not take
	Plug      string   // the first word that is no flag, with its colon; "" where only a run can tell
	Requests  []string // of the plug's view, those that are written out
	Options   []Option // of the snap itself, without --view, those that are written out
	Previous  bool     // it has --previous
	Several   bool     // a fail has, or may have, more than one word
	Exits     bool     // a fail is followed by an exit that is not 0
	Asked     bool     // the hook has asked whether the plug is connected
	Again     bool     // a write may follow another one of the same run
	May       bool     // it runs or not by the name of the hook, nobody knows which
	At        document.Position
}

// An Option is a key of the snap's own configuration.
type Option struct {
	Key   string
	Value string // that a set gives it, if that is written out; "" if not
}

// Writes tells whether the call changes a view.
func (c Call) Writes() bool { return c.View && (c.Verb == "set" || c.Verb == "unset") }

// Find returns the calls in the text of a hook's script, in the order of its lines. The first line tells its language.
func Find(hook string, text []byte) []Call {
	e := &evaluator{functions: map[string]*define{}, named: naming.Match(text)}
	s, in := newState(), languageOf(text)
	s.variables[ownName], s.variables["BASH_SOURCE"] = ownPath(hook), ownPath(hook)
	s.doubt = e.named && in == braces
	e.script(s, in, string(text), document.Position{})
	slices.SortStableFunc(e.found, func(a, b *Call) int {
		return cmp.Or(a.At.Line-b.At.Line, a.At.Column-b.At.Column)
	})
	var found []Call
	for _, c := range e.found {
		found = append(found, *c)
	}
	return found
}

// A language is how a script is read.
type language int

const (
	shell  language = iota
	python          // blocks by their indentation
	braces          // Go, JavaScript and the like: blocks in braces
)

func languageOf(text []byte) language {
	switch fields, interpreted := firstLine(text); {
	case !interpreted && (bytes.HasPrefix(text, []byte("package ")) || bytes.Contains(text, []byte("\npackage "))):
		return braces
	case !interpreted || len(fields) == 0:
		return shell
	default:
		return interpreter(fields)
	}
}

// firstLine returns the words behind #! in a script's first line, and whether it begins so.
func firstLine(text []byte) (words []string, interpreted bool) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	line, interpreted := bytes.CutPrefix(first, []byte("#!"))
	return strings.Fields(string(line)), interpreted
}

// interpreter returns the language of a command that runs scripts, such as /usr/bin/env python3.
func interpreter(fields []string) language {
	for _, field := range fields {
		name := strings.TrimRight(path.Base(field), "0123456789.")
		switch {
		case name == "python" || name == "pypy":
			return python
		case strings.HasSuffix(name, "sh") || name == "busybox":
			return shell
		case name == "node" || name == "perl" || name == "ruby" || name == "php" || name == "lua" || name == "go":
			return braces
		}
	}
	return shell
}
