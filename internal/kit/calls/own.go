package calls

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// One file may be several hooks, which differ by the name that they are run by. That name is a value like others; what
// depends on it runs, does not, or may.

// ownName is the variable with the path that a hook is run by.
const ownName = "0"

var naming = regexp.MustCompile(`\$\{?0|BASH_SOURCE|\bargv\b|__file__|__FILE__|__filename|os\.Args|PROGRAM_NAME|FindBin`)

func ownPath(hook string) value {
	return value{words: []word{{text: "/snap/meta/hooks/" + hook, own: true}}}
}

// A truth is how a condition ends.
type truth int

const (
	open     truth = iota // either way, whatever the hook is called
	yes                   // as the hook is called so
	no                    // as the hook is called so
	doubtful              // it depends on the hook's name, nobody knows how
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

// Which arm of a branch is taken: the number of one, or these.
const (
	anyArm      = -1
	doubtfulArm = -2
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

func owned(words []word) bool { return slices.ContainsFunc(words, func(w word) bool { return w.own }) }

func known(words ...word) bool {
	return !slices.ContainsFunc(words, func(w word) bool { return w.many || strings.Contains(w.text, unknown) })
}

// given returns a value that was given where the hook's name led to: it depends on the name as well.
func (s *state) given(v value) value {
	if !s.own {
		return v
	}
	v.words = slices.Clone(v.words)
	for i := range v.words {
		v.words[i].own = true
	}
	return v
}

// matcher tells of texts whether they are what a shell's pattern says.
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

// trimmed takes the shortest or longest part that a pattern matches off the begin or the end of a text.
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
