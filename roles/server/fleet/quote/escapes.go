package quote

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// spellings returns a text, and if it has possible escapes also the text that they mean.
func spellings(text string) []string {
	if !strings.ContainsAny(text, `\%&`) {
		return []string{text}
	}
	meant := unescape(html.UnescapeString(text))
	if meant == text {
		return []string{text}
	}
	return []string{text, meant}
}

// unescape replaces the escapes of JSON, of programming languages and shells, and of URLs.
func unescape(text string) string {
	meant := make([]byte, 0, len(text))
	for text != "" {
		if content, size := escaped(text); size > 0 {
			meant, text = append(meant, content...), text[size:]
		} else {
			meant, text = append(meant, text[0]), text[1:]
		}
	}
	return string(meant)
}

// escaped returns the meaning of the escape at the beginning of a text, and its length; 0 if there is none.
func escaped(text string) (content []byte, size int) {
	switch {
	case text[0] == '%':
		if code, ok := digitsOf(text[1:], 2, 16); ok {
			return []byte{byte(code)}, 3
		}
		return nil, 0
	case text[0] != '\\' || len(text) == 1:
		return nil, 0
	}
	switch rest := text[2:]; text[1] {
	case 'u', 'U':
		if code, ok := digitsOf(rest, 8, 16); ok && text[1] == 'U' {
			return utf8.AppendRune(nil, rune(code)), 10
		}
		code, ok := digitsOf(rest, 4, 16)
		if !ok {
			break
		}
		if strings.HasPrefix(rest[4:], `\u`) {
			if low, ok := digitsOf(rest[6:], 4, 16); ok && utf16.DecodeRune(rune(code), rune(low)) != utf8.RuneError {
				return utf8.AppendRune(nil, utf16.DecodeRune(rune(code), rune(low))), 12
			}
		}
		return utf8.AppendRune(nil, rune(code)), 6
	case 'x':
		if code, ok := digitsOf(rest, 2, 16); ok {
			return []byte{byte(code)}, 4
		}
	case 'n', 't', 'r', 'f', 'v', 'b', 'a', 'e':
		return []byte{'\n'}, 2
	}
	if code, ok := digitsOf(text[1:], 3, 8); ok {
		return []byte{byte(code)}, 4
	}
	return []byte{text[1]}, 2
}

func digitsOf(text string, count, base int) (uint64, bool) {
	if len(text) < count {
		return 0, false
	}
	code, err := strconv.ParseUint(text[:count], base, 32)
	return code, err == nil
}
