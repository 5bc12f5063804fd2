package edit

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/document"
)

// A Text is the text of a file. It converts between offsets in bytes and positions.
type Text struct {
	text   []byte
	starts []int // offsets of the lines
}

// NewText returns a text. It does not copy it.
func NewText(text []byte) *Text {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return &Text{text, starts}
}

// Bytes returns the text itself.
func (t *Text) Bytes() []byte { return t.text }

// Lines returns the number of lines. A newline at the end begins another, empty line.
func (t *Text) Lines() int { return len(t.starts) }

// Line returns a line without its newline; the first line has number 1. It returns "" if there is no such line.
func (t *Text) Line(number int) string {
	if number < 1 || number > len(t.starts) {
		return ""
	}
	end := len(t.text)
	if number < len(t.starts) {
		end = t.starts[number] - 1
	}
	return strings.TrimSuffix(string(t.text[t.starts[number-1]:end]), "\r")
}

// Offset returns the offset of a position. A position behind the end of its line counts as that end.
func (t *Text) Offset(at document.Position) int {
	if at.Line < 1 {
		return 0
	}
	if at.Line > len(t.starts) {
		return len(t.text)
	}
	offset, end := t.starts[at.Line-1], len(t.text)
	if at.Line < len(t.starts) {
		end = t.starts[at.Line] - 1
	}
	for column := 1; column < at.Column && offset < end; column++ {
		_, size := utf8.DecodeRune(t.text[offset:])
		offset += size
	}
	return offset
}

// Position returns the position of an offset.
func (t *Text) Position(offset int) document.Position {
	offset = max(0, min(offset, len(t.text)))
	line := sort.SearchInts(t.starts, offset+1) - 1
	return document.Position{Line: line + 1, Column: utf8.RuneCount(t.text[t.starts[line]:offset]) + 1}
}

// Token returns the end of the scalar, or of the list or map in brackets, that begins at a position, such as "text", 'text', {a: b}
// or [1]. plain is the text of a scalar without quotes. ok is false if the position has something else.
func (t *Text) Token(at document.Position, plain string) (end document.Position, ok bool) {
	start := t.Offset(at)
	rest := t.text[start:]
	if len(rest) == 0 {
		return at, false
	}
	length := 0
	switch rest[0] {
	case '"', '\'':
		length = quotedLength(rest)
	case '{', '[':
		length = nestedLength(rest)
	default:
		if plain == "" || !bytes.HasPrefix(rest, []byte(plain)) {
			return at, false
		}
		length = len(plain)
	}
	if length == 0 {
		return at, false
	}
	return t.Position(start + length), true
}

// quotedLength returns the length of a text in quotes, or 0 if the closing quote is missing.
func quotedLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[0] == '"' && text[i] == '\\':
			i++
		case text[i] == text[0] && text[0] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return 0
}

// nestedLength returns the length of a list or map in brackets, or 0 if the closing bracket is missing.
func nestedLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"', '\'':
			if i > 0 && !bytes.ContainsAny(text[i-1:i], " \t\n,:[{") {
				break // inside of a word
			}
			length := quotedLength(text[i:])
			if length == 0 {
				return 0
			}
			i += length - 1
		case '#':
			if i > 0 && bytes.ContainsAny(text[i-1:i], " \t\n") {
				if end := bytes.IndexByte(text[i:], '\n'); end >= 0 {
					i += end
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// Indent returns the number of spaces at the beginning of a line. filled reports whether the line has more than spaces and a comment.
func (t *Text) Indent(number int) (spaces int, filled bool) {
	line := t.Line(number)
	trimmed := strings.TrimLeft(line, " ")
	return len(line) - len(trimmed), strings.TrimSpace(trimmed) != "" && trimmed[0] != '#'
}

// BlockEnd returns the last line of a block of YAML that begins on the line first. The block continues with lines that are indented
// by more than indent spaces. Empty lines and comments at its end do not count.
func (t *Text) BlockEnd(first, indent int) int {
	last := first
	for line := first + 1; line <= t.Lines(); line++ {
		spaces, filled := t.Indent(line)
		if !filled {
			continue
		}
		if spaces <= indent {
			break
		}
		last = line
	}
	return last
}
