package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A diagram is a Mermaid flowchart of folders in docs/ARCHITECTURE.md. An arrow means: packages of the one import packages of
// the other. An import may also follow several arrows.
type diagram struct {
	about   string              // the first folder: "main" for all packages of the program
	folders map[string]string   // folder -> node
	arrows  map[string][]string // node -> nodes
}

var (
	flowchart = regexp.MustCompile("(?s)```mermaid\nflowchart [A-Z]+\n(.*?)```")
	node      = regexp.MustCompile(`^(\w+)\["([^"]+)"\]$`)
	arrow     = regexp.MustCompile(`^(\w+(?: & \w+)*) --> (\w+(?: & \w+)*)$`)
)

func readDiagrams(text string) ([]diagram, error) {
	var list []diagram
	for _, block := range flowchart.FindAllStringSubmatch(text, -1) {
		d := diagram{folders: map[string]string{}, arrows: map[string][]string{}}
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			if match := node.FindStringSubmatch(line); match != nil {
				for folder := range strings.SplitSeq(match[2], "<br>") {
					if d.about == "" {
						d.about = folder
					}
					d.folders[folder] = match[1]
				}
			} else if match := arrow.FindStringSubmatch(line); match != nil {
				for from := range strings.SplitSeq(match[1], " & ") {
					d.arrows[from] = append(d.arrows[from], strings.Split(match[2], " & ")...)
				}
			} else if line != "" {
				return nil, fmt.Errorf("neither a folder nor an arrow: %q", line)
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// of returns the node of a package: that of the longest folder that it is in, or "".
func (d diagram) of(name string) string {
	for {
		if node, found := d.folders[name]; found {
			return node
		}
		if name = filepath.ToSlash(filepath.Dir(name)); name == "." {
			return ""
		}
	}
}

// follows reports whether arrows lead from one node to another.
func (d diagram) follows(from, to string) bool {
	seen := map[string]bool{}
	var walk func(from string) bool
	walk = func(from string) bool {
		return slices.ContainsFunc(d.arrows[from], func(next string) bool {
			if seen[next] {
				return false
			}
			seen[next] = true
			return next == to || walk(next)
		})
	}
	return walk(from)
}

// check compares a diagram with the imports of the packages that are in the program.
func (d diagram) check(packages map[string]source) (faults []string) {
	within := func(name string) bool {
		return d.about == "main" || name == d.about || strings.HasPrefix(name, d.about+"/")
	}
	drawn := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(inProgram(packages))) {
		if !within(name) {
			continue
		}
		from := d.of(name)
		if from == "" {
			faults = append(faults, fmt.Sprintf("%s is in no folder of the diagram", name))
			continue
		}
		for _, imported := range packages[name].imports {
			to := d.of(imported)
			if _, ours := packages[imported]; !ours || !within(imported) || to == from {
				continue
			}
			if drawn[from+" "+to] = true; !d.follows(from, to) {
				faults = append(faults, fmt.Sprintf("%s imports %s, and no arrows lead there", name, imported))
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(d.arrows)) {
		if d.follows(from, from) {
			faults = append(faults, fmt.Sprintf("arrows lead from %s back to it", from))
		}
		for _, to := range d.arrows[from] {
			if !drawn[from+" "+to] {
				faults = append(faults, fmt.Sprintf("no package of %s imports one of %s", from, to))
			}
		}
	}
	return faults
}

// inProgram returns the packages that main imports, by itself or through others.
func inProgram(packages map[string]source) map[string]bool {
	found := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if _, ours := packages[name]; ours && !found[name] {
			found[name] = true
			for _, imported := range packages[name].imports {
				add(imported)
			}
		}
	}
	add("main")
	return found
}

func TestDiagramsShowTheImports(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	diagrams, err := readDiagrams(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(diagrams) != 2 {
		t.Fatalf("got %d flowcharts, want that of the program and that of the server", len(diagrams))
	}
	packages := load(t)
	for _, d := range diagrams {
		for _, fault := range d.check(packages) {
			t.Errorf("diagram of %s: %s", d.about, fault)
		}
	}
}

func TestWrongDiagramsAreFound(t *testing.T) {
	packages := map[string]source{
		"main":     {imports: []string{"a", "strings"}},
		"a":        {imports: []string{"b/inner"}},
		"b":        {},
		"b/inner":  {imports: []string{"c"}},
		"c":        {},
		"testonly": {imports: []string{"a"}},
	}
	const nodes = "\tm[\"main\"]\n\ta[\"a\"]\n\tb[\"b\"]\n\tc[\"c\"]\n"
	tests := []struct{ lines, want string }{
		{nodes + "\tm --> a\n\ta --> b\n\tb --> c\n", ""},
		{"\tm[\"main\"]\n\ta[\"a<br>b\"]\n\tc[\"c\"]\n\tm --> a\n\ta --> c\n", ""},
		{nodes + "\tm --> a & b\n\ta --> b\n\tb --> c\n", "no package of m imports one of b"},
		{nodes + "\tm --> a\n\tb --> c\n", "a imports b/inner, and no arrows lead there"},
		{nodes + "\tm --> a\n\ta --> b\n\tb --> c\n\tc --> m\n", "no package of c imports one of m"},
		{nodes + "\tm --> a\n\ta --> b\n\tb --> c\n\tc --> a\n", "arrows lead from a back to it"},
		{"\tm[\"main\"]\n\ta[\"a\"]\n\tb[\"b\"]\n\tm --> a\n\ta --> b\n", "c is in no folder of the diagram"},
	}
	for _, test := range tests {
		diagrams, err := readDiagrams("```mermaid\nflowchart TD\n" + test.lines + "```\n")
		if err != nil {
			t.Fatal(err)
		}
		faults := diagrams[0].check(packages)
		if test.want == "" && faults != nil || test.want != "" && !slices.Contains(faults, test.want) {
			t.Errorf("%s: got %q, want %q", test.lines, faults, test.want)
		}
	}
	if _, err := readDiagrams("```mermaid\nflowchart TD\n\ta ==> b\n```\n"); err == nil {
		t.Error("an arrow that cannot be read is not reported")
	}
}
