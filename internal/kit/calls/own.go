package calls

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// One file may be several hooks that differ by the path that they are run by. That path is the value of a variable. An arm of a
// branch whose condition depends on it runs, does not run, or may run.

// ownName is the variable with the path that a hook is run by.
const ownName = "0"

// naming matches scripts that may read the path that they are run by.
var naming = regexp.MustCompile(`\$\{?0|BASH_SOURCE|\bargv\b|__file__|__FILE__|__filename|os\.Args|PROGRAM_NAME|FindBin`)

func ownPath(hook string) value {
	return value{words: []word{{text: "/snap/meta/hooks/" + hook, own: true}}}
}

// A truth is the result of a condition.
type truth int

const (
	open     truth = iota // it does not depend on the hook's name, and may be true or false
	yes                   // it is true for the hook's name
	no                    // it is false for the hook's name
	doubtful              // it depends on the hook's name in an unknown way
)

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return t
}

func and(a, b truth) truth {
	switch {
	case a == no || b == no:
		return no
	case a == doubtful || b == doubtful:
		return doubtful
	case a == yes:
		return b
	}
	return open
}

func isTrue(is bool) truth {
	if is {
		return yes
	}
	return no
}

// Results of branch.pick besides the index of an arm.
const (
	anyArm      = -1 // the hook's name does not choose the arm
	doubtfulArm = -2 // the hook's name chooses the arm in an unknown way
)

// arm returns the arm for a condition.
func (t truth) arm(ifYes, ifNo int) int {
	switch t {
	case yes:
		return ifYes
	case no:
		return ifNo
	case doubtful:
		return doubtfulArm
	}
	return anyArm
}

// owned reports whether a word depends on the hook's name.
func owned(words []word) bool { return slices.ContainsFunc(words, func(w word) bool { return w.own }) }

// known reports whether the texts of all words are known.
func known(words ...word) bool {
	return !slices.ContainsFunc(words, func(w word) bool { return w.many || strings.Contains(w.text, unknown) })
}

// assigned returns a value that is assigned in this state. If the hook's name chose the way here, the value depends on the name.
func (s *state) assigned(v value) value {
	if !s.own {
		return v
	}
	v.words = slices.Clone(v.words)
	for i := range v.words {
		v.words[i].own = true
	}
	return v
}

// matcher returns a function that reports whether a shell's pattern matches a text.
func matcher(glob string) func(text string) bool {
	expression, err := pattern.Regexp(glob, pattern.EntireString)
	if err == nil {
		var re *regexp.Regexp
		if re, err = regexp.Compile(expression); err == nil {
			return re.MatchString
		}
	}
	return func(string) bool { return false }
}

func matches(glob, text string) bool { return matcher(glob)(text) }

// trimmed returns a text without the shortest or longest part at its beginning or end that a pattern matches.
func trimmed(text, glob string, op syntax.ParExpOperator) string {
	is := matcher(glob)
	for i := range len(text) + 1 {
		switch op {
		case syntax.RemSmallPrefix:
			if is(text[:i]) {
				return text[i:]
			}
		case syntax.RemLargePrefix:
			if is(text[:len(text)-i]) {
				return text[len(text)-i:]
			}
		case syntax.RemSmallSuffix:
			if is(text[len(text)-i:]) {
				return text[:len(text)-i]
			}
		case syntax.RemLargeSuffix:
			if is(text[i:]) {
				return text[:i]
			}
		}
	}
	return text
}
