// Package calls finds the calls of snapctl in the text of a hook, without running it. Its main function is Find; its main
// type is Call. It parses shell with mvdan.cc/sh, and Python and languages with braces by their tokens. Then it follows the
// statements in the order in which they would run: it records the values of variables, follows functions where they are
// called, and follows each arm of a branch.
//
//	for _, call := range calls.Find("configure", text) {
//		fmt.Println(call.At.Line, call.Verb, call.Plug)
//	}
//
// Some plugs are only known when the hook runs: the hook computes them, or reads them from a file. The plug of such a call
// is "". Package lint decides whether a call is wrong.
package calls

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A Call is a call of snapctl in a script.
type Call struct {
	Verb      string   // get, set, unset or fail
	View      bool     // it has --view
	ViewValue bool     // it has --view=…, which snapctl refuses
	Plug      string   // the first word that is no flag, with its colon; "" if it is only known at run time
	Requests  []string // with --view: the requests that are written out
	Options   []Option // without --view: the snap's options that are written out
	Previous  bool     // it has --previous
	Several   bool     // of fail: the reason has, or may have, more than one word
	Exits     bool     // of fail: the script ends with a status other than 0 behind it
	Asked     bool     // the script has asked before whether the plug is connected
	Again     bool     // of a write: another write may have run before it in the same run
	May       bool     // whether it runs depends on the hook's name in an unknown way
	At        document.Position
}

// An Option is a key of the snap's own configuration.
type Option struct {
	Key   string
	Value string // the value of a set, if it is written out; otherwise ""
}

// Writes reports whether the call writes through a view.
func (c Call) Writes() bool { return c.View && (c.Verb == "set" || c.Verb == "unset") }

// Find returns the calls in the text of a hook's script, in the order of its lines. The first line decides its language. hook is
// the hook's name, since one file may be several hooks that differ by their name.
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

// A language is a kind of syntax that this package can read.
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

// firstLine returns the words behind #! in a script's first line. interpreted reports whether the script begins with #!.
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
