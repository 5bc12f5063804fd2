package lint

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/document"
)

// A call is a use of snapctl that a script's text shows.
type call struct {
	verb      string // get, set, unset or fail
	view      bool   // it has --view
	viewValue bool   // it has --view=…, which snapctl does not take
	plug      string // of --view, as it is written; begins with $ where only a run can tell
	previous  bool
	several   bool // fail has, or may have, more than one word
	exits     bool // fail is followed by an exit that is not 0
	at        document.Position
}

// snapctl finds the word and what it is asked for, on a command line or as the first two elements of a list of arguments.
var snapctl = regexp.MustCompile(`\bsnapctl["']?(?:[ \t]|,\s*|\\\n)+["']?(get|set|unset|fail)\b["']?`)

// calls looks for uses of snapctl in the text of a script, whatever its language. It sees what stands there literally;
// what is put together at run time only a run can show.
func calls(text []byte) []call {
	var found []call
	for _, at := range snapctl.FindAllSubmatchIndex(text, -1) {
		line := bytes.LastIndexByte(text[:at[0]], '\n') + 1
		if before := bytes.TrimSpace(text[line:at[0]]); bytes.HasPrefix(before, []byte("#")) || bytes.HasPrefix(before, []byte("//")) {
			continue
		}
		c := call{verb: string(text[at[2]:at[3]]), at: document.Position{Line: bytes.Count(text[:at[0]], []byte("\n")) + 1,
			Column: utf8.RuneCount(text[line:at[0]]) + 1}}
		words, rest := wordsOf(text, at)
		var others []word
		for _, w := range words {
			switch {
			case w.text == "--view":
				c.view = true
			case strings.HasPrefix(w.text, "--view="):
				c.view, c.viewValue, c.plug = true, true, strings.TrimPrefix(w.text, "--view=")
			case w.text == "--previous":
				c.previous = true
			case strings.HasPrefix(w.text, "-") && w.text != "-":
			default:
				others = append(others, w)
			}
		}
		if c.plug == "" {
			c.plug = plugOf(others, text)
		}
		if c.verb == "fail" {
			c.several = len(others) > 1 || len(others) == 1 && others[0].splits
			c.exits = exitsBehind(text[line:at[0]], text[rest:])
		}
		found = append(found, c)
	}
	return found
}

// plugOf returns the plug among the words that are no flags: --view has no value and may stand before it or behind. It is
// the first with a colon, or else the first.
func plugOf(words []word, text []byte) string {
	for i := range words {
		words[i].text = valueOf(words[i].text, text)
	}
	for _, w := range words {
		if strings.HasPrefix(w.text, ":") {
			return w.text
		}
	}
	for _, w := range words {
		if strings.ContainsAny(w.text, "$`{%") {
			return "$" // it may be the plug
		}
	}
	if len(words) > 0 {
		return words[0].text
	}
	return ""
}

// variable is $NAME or ${NAME}, perhaps behind the plug's colon, as a whole word.
var variable = regexp.MustCompile(`^(:?)\$(?:\{(\w+)\}|(\w+))$`)

// valueOf replaces a variable by its value, if the text sets it once and to something that stands there.
func valueOf(name string, text []byte) string {
	parts := variable.FindStringSubmatch(name)
	if parts == nil || strings.Trim(parts[2]+parts[3], "0123456789") == "" {
		return name
	}
	set := regexp.MustCompile(`(?m)^[ \t]*(?:(?:local|export|readonly|const|var|let|final) )?`+parts[2]+parts[3]+
		`[ \t]*(?:: ?\w+ ?)?:?=[ \t]*(["']?)([^"'\s;$`+"`"+`]*)(["']?);?[ \t]*$`).FindAllSubmatch(text, -1)
	if len(set) != 1 || string(set[0][1]) != string(set[0][3]) || len(set[0][2]) == 0 {
		return name
	}
	return parts[1] + string(set[0][2])
}
