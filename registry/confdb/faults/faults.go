// Package faults collects what a parser finds wrong with a confdb-schema, with the places. Its main types are Report and
// Fault. A parser adds each fault to a Report and continues. The parser's caller gets the first fault, or all of them.
// Messages are in snapd's words.
package faults

import (
	"slices"
	"strings"
)

// A Fault is a part of a confdb-schema that snapd refuses.
type Fault struct {
	// At is the place: keys of maps and decimal indexes of lists, from the top of what was parsed.
	At []string
	// Key means that the last key of At is wrong itself, not its value.
	Key bool
	// Missing are keys that the map at the place does not have. It needs one of them.
	Missing []string
	// Cause is the error at the place, without the words about the parts around it.
	Cause error

	message string
}

func (f *Fault) Error() string { return f.message }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// A Report receives the faults that a parser finds, and records which part the parser is in.
type Report struct {
	each   func(*Fault) bool
	first  *Fault
	enough bool
	at     []string
	parts  []part
}

// A part is a part of a confdb-schema that a parser has entered.
type part struct {
	words string // begin messages; "" for none
	outer int    // length of at around the part
}

// New returns a Report that calls each with every fault, in the order in which snapd looks for them, as long as each
// returns true. If each is nil, only the first fault is wanted.
func New(each func(*Fault) bool) *Report {
	return &Report{each: each, at: make([]string, 0, 16), parts: make([]part, 0, 16)}
}

// Err returns the first fault, or nil.
func (r *Report) Err() error {
	if r.first == nil {
		return nil
	}
	return r.first
}

// Enough reports whether the parser may stop, because no other fault is wanted.
func (r *Report) Enough() bool { return r.enough }

// Enter begins a part: steps lead there, and messages about it begin with words and a colon, unless words is "". Call
// Leave at its end.
func (r *Report) Enter(words string, steps ...string) {
	r.parts = append(r.parts, part{words, len(r.at)})
	r.at = append(r.at, steps...)
}

// Leave ends the part that was entered last.
func (r *Report) Leave() {
	last := len(r.parts) - 1
	r.at = r.at[:r.parts[last].outer]
	r.parts = r.parts[:last]
}

// At returns the place of the present part.
func (r *Report) At() []string { return slices.Clone(r.at) }

// Add reports a fault of the present part, or of what steps lead to from there.
func (r *Report) Add(err error, steps ...string) { r.add(&Fault{Cause: err}, steps) }

// Key reports a fault of a key itself. The last step is the key.
func (r *Report) Key(err error, steps ...string) { r.add(&Fault{Cause: err, Key: true}, steps) }

// Missing reports that the present part has none of some keys.
func (r *Report) Missing(err error, keys ...string) { r.add(&Fault{Cause: err, Missing: keys}, nil) }

func (r *Report) add(fault *Fault, steps []string) {
	if r.enough {
		return
	}
	var text strings.Builder
	for _, part := range r.parts {
		if part.words != "" {
			text.WriteString(part.words + ": ")
		}
	}
	fault.message = text.String() + fault.Cause.Error()
	fault.At = slices.Concat(r.at, steps)
	if r.first == nil {
		r.first = fault
	}
	r.enough = r.each == nil || !r.each(fault)
}
