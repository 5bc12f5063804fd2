// Package plain makes foreign text safe to print on a terminal. It escapes control characters and, in text for a part of a line, line
// breaks; and it shortens long text. Its main functions are Line and Text.
package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns text for a part of one line. Control characters, line breaks and invalid UTF-8 are escaped as in a Go
// string, such as \x1b or \n.
func Line(text string) string { return escape(text, "") }

// Text is Line for text of several lines: it does not escape line breaks and tabs.
func Text(text string) string { return escape(text, "\n\t") }

// JSON is Text for JSON from encoding/json, which has escaped ASCII control characters already. The result is JSON with the same value.
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

// Clip shortens a text to at most limit bytes, and adds an ellipsis if it was longer. It does not cut a character in two.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// harmful reports whether a character is a control character, changes the direction of text, or breaks lines.
func harmful(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func replace(text string, bad func(r rune, size int) bool, with func(char string) string) string {
	var out strings.Builder
	rest := 0 // start of the text that is not in out yet
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
