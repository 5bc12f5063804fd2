// Package plain makes foreign text safe to print. It escapes what a terminal would obey, and line breaks where they
// would start another line; and it shortens what is long.
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

// Text is Line for several lines: it keeps line breaks and tabs.
func Text(text string) string { return escape(text, "\n\t") }

// JSON is Text for JSON. The result is JSON with the same value. The encoder has already escaped other characters.
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

// Clip shortens a text to a number of bytes, and an ellipsis. It leaves out a character that it would cut.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// harmful reports control characters, and characters that change the direction of text or break lines.
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
