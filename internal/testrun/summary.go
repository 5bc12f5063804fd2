package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/need"
)

// summary prints failed packages and skipped tests.
func (r *report) summary() {
	lacks, others := map[need.Lack][]skip{}, map[string][]skip{}
	for _, s := range r.skipped {
		if lack, ok := need.ParseLack(s.reason); ok {
			lacks[*lack] = append(lacks[*lack], s)
		} else {
			others[s.reason] = append(others[s.reason], s)
		}
	}
	if len(lacks) > 0 {
		fmt.Fprintln(r.out, "\nSkipped, because something is missing:")
	}
	packages := map[string]bool{}
	for _, lack := range slices.SortedFunc(maps.Keys(lacks), func(a, b need.Lack) int { return strings.Compare(a.What, b.What) }) {
		fmt.Fprintf(r.out, "  %s: %s\n", lack.What, lack.Remedy)
		r.list(lacks[lack])
		if names, ok := strings.CutPrefix(lack.Remedy, "apt-get install "); ok {
			for _, name := range strings.Fields(names) {
				packages[name] = true
			}
		}
	}
	if len(packages) > 0 {
		fmt.Fprintf(r.out, "All that Debian has of it: apt-get install %s\n", strings.Join(slices.Sorted(maps.Keys(packages)), " "))
	}
	if len(others) > 0 {
		fmt.Fprintln(r.out, "\nSkipped for another reason:")
	}
	for _, reason := range slices.Sorted(maps.Keys(others)) {
		fmt.Fprintf(r.out, "  %s\n", reason)
		r.list(others[reason])
	}
	fmt.Fprintf(r.out, "\n%d packages passed (%d cached), %d failed; %d tests skipped\n", r.counts.passed, r.counts.cached,
		len(r.broken), len(r.skipped))
	slices.Sort(r.broken)
	for _, name := range r.broken {
		fmt.Fprintf(r.out, "FAIL  %s\n", strings.Join(append([]string{name}, r.failed[name]...), " "))
	}
}

// list prints tests, one line for each package.
func (r *report) list(skipped []skip) {
	packages := map[string]map[string][]string{} // subtests by package and test
	for _, s := range skipped {
		test, part, _ := strings.Cut(s.test, "/")
		if packages[s.pkg] == nil {
			packages[s.pkg] = map[string][]string{}
		}
		packages[s.pkg][test] = append(packages[s.pkg][test], part)
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		var tests []string
		for _, test := range slices.Sorted(maps.Keys(packages[name])) {
			switch parts := packages[name][test]; {
			case len(parts) > 1:
				test = fmt.Sprintf("%s (%d parts)", test, len(parts))
			case parts[0] != "":
				test += "/" + parts[0]
			}
			tests = append(tests, test)
		}
		fmt.Fprintf(r.out, "    %s: %s\n", name, strings.Join(tests, ", "))
	}
}
