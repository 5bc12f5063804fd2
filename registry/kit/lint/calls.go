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
	verb     string // get, set, unset or fail
	view     bool   // it has --view
	plug     string // of --view, as it is written
	previous bool
	at       document.Position
}

// snapctl finds the word and what it is asked for, on a command line or as the first two elements of a list of arguments.
var snapctl = regexp.MustCompile(`\bsnapctl["']?(?:[ \t]|,\s*|\\\n)+["']?(get|set|unset|fail)\b`)

// calls looks for uses of snapctl in the text of a script, whatever its language. It sees what stands there literally;
// what is put together at run time only a run can show.
func calls(text []byte) []call {
	var found []call
	for _, at := range snapctl.FindAllSubmatchIndex(text, -1) {
		line := bytes.LastIndexByte(text[:at[0]], '\n') + 1
		if before := bytes.TrimSpace(text[line:at[0]]); bytes.HasPrefix(before, []byte("#")) || bytes.HasPrefix(before, []byte("//")) {
			continue
		}
		quoted := at[0] > 0 && (text[at[0]-1] == '"' || text[at[0]-1] == '\'')
		words := arguments(text[at[3]:], quoted)
		c := call{verb: string(text[at[2]:at[3]]), at: document.Position{Line: bytes.Count(text[:at[0]], []byte("\n")) + 1,
			Column: utf8.RuneCount(text[line:at[0]]) + 1}}
		for _, word := range words {
			switch {
			case word == "--view":
				c.view, c.plug = true, plugOf(words)
			case strings.HasPrefix(word, "--view="):
				c.view, c.plug = true, strings.TrimPrefix(word, "--view=")
			case word == "--previous":
				c.previous = true
			}
		}
		found = append(found, c)
	}
	return found
}

// plugOf returns the plug among the words: --view is a flag without a value and may come before it or behind. It is the
// first with a colon, or else the first that is no flag.
func plugOf(words []string) string {
	for _, word := range words {
		if strings.HasPrefix(word, ":") {
			return word
		}
	}
	for _, word := range words {
		if !strings.HasPrefix(word, "-") {
			return word
		}
	}
	return ""
}

// arguments returns the words behind a command: to the end of the line, or of the list that it is in.
func arguments(rest []byte, list bool) []string {
	end := "\n;|&)`"
	if list {
		end = "])"
	} else {
		rest = bytes.ReplaceAll(rest, []byte("\\\n"), []byte("  "))
	}
	if i := bytes.IndexAny(rest, end); i >= 0 {
		rest = rest[:i]
	}
	return strings.FieldsFunc(string(rest), func(r rune) bool { return strings.ContainsRune(" \t\r\n\"',[", r) })
}
