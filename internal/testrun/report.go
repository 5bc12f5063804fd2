package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/need"
)

// An event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
	FailedBuild                               string
}

// A report shows the progress of go test: a line for each package, and the output of failures.
type report struct {
	out     io.Writer
	output  map[string]map[string][]string // output of running and failed tests, by package and test
	failed  map[string][]string            // failed tests by package
	build   map[string][]string            // output of the compiler, by import path
	cached  map[string]bool
	counts  struct{ passed, cached int }
	broken  []string // failed packages
	skipped []skip
}

// A skip is a skipped test with its reason.
type skip struct{ pkg, test, reason string }

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]map[string][]string{}, failed: map[string][]string{},
		build: map[string][]string{}, cached: map[string]bool{}}
}

// read reads all events.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.add(e)
			} else {
				fmt.Fprintf(r.out, "%s", line) // output of go itself
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// add adds an event, and prints what a finished package has to show.
func (r *report) add(e event) {
	switch {
	case e.Action == "build-output":
		r.build[e.ImportPath] = append(r.build[e.ImportPath], e.Output)
	case e.Action == "output":
		if e.Test == "" && strings.Contains(e.Output, "\t(cached)") {
			r.cached[e.Package] = true
		}
		if r.output[e.Package] == nil {
			r.output[e.Package] = map[string][]string{}
		}
		r.output[e.Package][e.Test] = append(r.output[e.Package][e.Test], e.Output)
	case e.Test == "" && e.Action == "fail":
		r.show(e)
		r.broken = append(r.broken, e.Package)
		delete(r.output, e.Package)
	case e.Test == "" && e.Action == "pass":
		r.passed(e)
		delete(r.output, e.Package)
	case e.Test == "" && e.Action == "skip":
		delete(r.output, e.Package)
	case e.Action == "fail":
		r.failed[e.Package] = append(r.failed[e.Package], e.Test)
	case e.Action == "skip":
		if !strings.HasPrefix(e.Test, "Fuzz") { // an input that the fuzz target skips
			r.skipped = append(r.skipped, skip{e.Package, e.Test, r.reason(e)})
		}
		delete(r.output[e.Package], e.Test)
	case e.Action == "pass":
		delete(r.output[e.Package], e.Test)
	}
}

func (r *report) passed(e event) {
	r.counts.passed++
	if r.cached[e.Package] {
		r.counts.cached++
		fmt.Fprintf(r.out, "ok    %-50s (cached)\n", e.Package)
		return
	}
	fmt.Fprintf(r.out, "ok    %-50s %7.1fs\n", e.Package, e.Elapsed)
}

// marks matches lines that say which test runs.
var marks = regexp.MustCompile(`^\s*=== (RUN|PAUSE|CONT|NAME) `)

// show prints the output of a failed package: that of its failed and unfinished tests, and its own.
func (r *report) show(e event) {
	fmt.Fprintf(r.out, "FAIL  %-50s %7.1fs\n", e.Package, e.Elapsed)
	for _, line := range r.build[e.FailedBuild] {
		fmt.Fprint(r.out, "    "+line)
	}
	tests := slices.Clone(r.failed[e.Package])
	for test := range r.output[e.Package] {
		if test != "" && !slices.Contains(tests, test) {
			tests = append(tests, test)
		}
	}
	slices.Sort(tests)
	for _, test := range append(tests, "") { // last the package's own output, such as a panic
		for _, line := range r.output[e.Package][test] {
			if !marks.MatchString(line) {
				fmt.Fprint(r.out, "    "+line)
			}
		}
	}
}

// said matches a line of a test's output after its place in the source.
var said = regexp.MustCompile(`^\s+[\w.-]+\.go:\d+: (.*)`)

// reason returns the reason of a skip: the Lack in the test's output, otherwise the last line of its output.
func (r *report) reason(e event) string {
	last := ""
	for _, line := range r.output[e.Package][e.Test] {
		if found := said.FindStringSubmatch(strings.TrimRight(line, "\n")); found != nil {
			if _, ok := need.ParseLack(found[1]); ok {
				return found[1]
			}
			last = found[1]
		}
	}
	last, _, _ = strings.Cut(last, " (") // without details, such as an error
	return cmp.Or(last, "no reason given")
}
