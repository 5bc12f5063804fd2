// Package plain makes text that others wrote harmless to show: what a terminal would obey, or what would begin another
// line, is spelled out instead.
package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns a text to be shown as a part of one line: control characters, line breaks and bytes that are no UTF-8 are
// escaped as in a Go string, such as \x1b or \n.
func Line(text string) string { return escape(text, "") }

// Text is Line for a text of several lines: it leaves line breaks and tabs alone.
func Text(text string) string { return escape(text, "\n\t") }

// JSON is Text for JSON, which stays JSON of the same value. An encoder has escaped the rest.
func JSON(text string) string {
	return replace(text, func(r rune, size int) bool { return size > 1 && harmful(r) || r == 0x7f },
		func(char string) string {
			r, _ := utf8.DecodeRuneInString(char)
			return `\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:]
		})
}

func escape(text, keep string) string {
	return replace(text, func(r rune, size int) bool {
		return r == utf8.RuneError && size == 1 || harmful(r) && !strings.ContainsRune(keep, r)
	}, func(char string) string {
		quoted := strconv.QuoteToASCII(char)
		return quoted[1 : len(quoted)-1]
	})
}

// harmful tells of control characters, and of those that turn the direction or break the line of what follows.
func harmful(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func replace(text string, bad func(r rune, size int) bool, with func(char string) string) string {
	var out strings.Builder
	rest := 0 // where what is not in out yet begins
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if bad(r, size) {
			out.WriteString(text[rest:at])
			out.WriteString(with(text[at : at+size]))
			rest = at + size
		}
		at += size
	}
	if rest == 0 {
		return text
	}
	out.WriteString(text[rest:])
	return out.String()
}
