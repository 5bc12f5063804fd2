package calls

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"aspects-poc/internal/document"
)

// A token is a word of a program's text.
type token struct {
	kind kind
	text string // of a text: its content, with unknown in the place of an inserted value that is no name
	at   document.Position
	line int // its first line in its own script
}

type kind int

const (
	name kind = iota
	text
	sign
	newline // the end of a logical line of Python
)

// A scanner splits a program's text into tokens.
type scanner struct {
	in     language
	rest   string
	at     document.Position
	depth  int
	tokens []token
}

func tokens(source string, in language) []token {
	s := &scanner{in: in, rest: source, at: document.Position{Line: 1, Column: 1}}
	for s.rest != "" {
		s.next()
	}
	return s.tokens
}

// advance moves the scanner on by n bytes.
func (s *scanner) advance(n int) string {
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	if lines := strings.Count(taken, "\n"); lines > 0 {
		s.at.Line += lines
		s.at.Column = 1
		taken = taken[strings.LastIndexByte(taken, '\n')+1:]
	}
	s.at.Column += utf8.RuneCountInString(taken)
	return taken
}

// until returns the number of bytes up to the end of a text, or of all that is left.
func (s *scanner) until(end string) int {
	if i := strings.Index(s.rest, end); i >= 0 {
		return i + len(end)
	}
	return len(s.rest)
}

func (s *scanner) add(k kind, text string, at document.Position) {
	s.tokens = append(s.tokens, token{kind: k, text: text, at: at, line: at.Line})
}

// next scans one token, or skips space or a comment.
func (s *scanner) next() {
	at := s.at
	r, size := utf8.DecodeRuneInString(s.rest)
	switch {
	case s.in == python && strings.HasPrefix(s.rest, "\\\n"):
		s.advance(2)
	case r == '\n':
		s.advance(1)
		if s.in == python && s.depth == 0 {
			s.add(newline, "", at)
		}
	case unicode.IsSpace(r):
		s.advance(size)
	case s.in == python && r == '#', s.in == braces && r == '#':
		s.advance(s.until("\n") - min(1, strings.Count(s.rest, "\n")))
	case s.in == braces && strings.HasPrefix(s.rest, "//"):
		s.advance(s.until("\n") - min(1, strings.Count(s.rest, "\n")))
	case s.in == braces && strings.HasPrefix(s.rest, "/*"):
		s.advance(s.until("*/"))
	case r == '"' || r == '\'' || r == '`':
		s.text("")
	case r == '_' || unicode.IsLetter(r):
		n := strings.IndexFunc(s.rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(s.rest)
		}
		word := s.rest[:n]
		if s.in == python && n <= 2 && n < len(s.rest) && (s.rest[n] == '"' || s.rest[n] == '\'') && strings.Trim(strings.ToLower(word), "rbuf") == "" {
			s.advance(n)
			s.text(strings.ToLower(word))
			return
		}
		s.advance(n)
		s.add(name, word, at)
	default:
		switch r {
		case '(', '[', '{':
			s.depth++
		case ')', ']', '}':
			s.depth = max(s.depth-1, 0)
		}
		n := size
		for _, two := range []string{":=", "+=", "==", "!=", "<=", ">=", "->", "=>", "**", "..."} {
			if strings.HasPrefix(s.rest, two) {
				n = len(two)
			}
		}
		s.add(sign, s.rest[:n], at)
		s.advance(n)
	}
}

// text scans a text in quotes. In a text with inserted values, it marks {name}; other inserted values become unknown.
func (s *scanner) text(prefix string) {
	quote := s.rest[:1]
	if s.in == python && strings.HasPrefix(s.rest, strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	raw := strings.Contains(prefix, "r") || s.in == braces && quote == "`"
	at := s.at
	at.Column += len(quote)
	end := len(quote)
	for end < len(s.rest) && !strings.HasPrefix(s.rest[end:], quote) {
		if s.rest[end] == '\\' {
			end++
		} else if s.rest[end] == '\n' && len(quote) == 1 && quote != "`" {
			break // the quote is not closed
		}
		end++
	}
	end = min(end, len(s.rest))
	inner := s.rest[len(quote):end]
	if strings.HasPrefix(s.rest[end:], quote) {
		end += len(quote)
	}
	s.advance(end)
	out := inner
	if !raw {
		out = unescaped(out)
	}
	values := strings.Contains(prefix, "f") || s.in == braces && quote == "`" && strings.Contains(inner, "${")
	if values {
		out = formatted(out)
	}
	s.tokens = append(s.tokens, token{kind: text, text: out, at: at, line: at.Line})
}

func unescaped(text string) string {
	return strings.NewReplacer("\\\n", "", `\\`, `\`, `\"`, `"`, `\'`, `'`, `\n`, "\n", `\t`, "\t").Replace(text)
}

// opening and closing mark the name of a variable whose value is inserted into a text.
const opening, closing = "\x01", "\x02"

// formatted marks the values of an f-string.
func formatted(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "{{"), strings.HasPrefix(text[i:], "}}"):
			b.WriteByte(text[i])
			i++
		case text[i] == '$' && strings.HasPrefix(text[i+1:], "{"):
		case text[i] == '{':
			depth, end := 0, i
			for ; end < len(text); end++ {
				if text[end] == '{' {
					depth++
				} else if text[end] == '}' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			inner := text[i+1 : min(end, len(text))]
			of, quotes := strings.CutSuffix(inner, "!r")
			if call := quoting.FindStringSubmatch(inner); call != nil {
				of, quotes = call[1], true
			}
			filled := unknown
			if isName(of) {
				filled = opening + of + closing
			}
			if quotes {
				filled = "'" + filled + "'"
			}
			b.WriteString(filled)
			i = end
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

func isName(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) < 0
}

// matching returns the index of the closing bracket, or the length of list if there is none.
func matching(list []token, open int) int {
	depth := 0
	for i := open; i < len(list); i++ {
		if list[i].kind != sign {
			continue
		}
		switch list[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(list)
}

func depthAt(list []token, at int) int {
	depth := 0
	for _, t := range list[:at] {
		if t.kind == sign {
			switch t.text {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
		}
	}
	return depth
}

// split splits tokens at a sign outside of brackets.
func split(list []token, at string) [][]token {
	var parts [][]token
	for len(list) > 0 {
		i := outside(list, at)
		if i < 0 {
			return append(parts, list)
		}
		if i > 0 {
			parts = append(parts, list[:i])
		}
		list = list[i+1:]
	}
	return parts
}

// outside returns the index of the first such sign outside of brackets, or -1.
func outside(list []token, at string) int {
	depth := 0
	for i, t := range list {
		if t.kind != sign {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case at:
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// splitName splits tokens at a word outside of brackets.
func splitName(list []token, at string) [][]token {
	var parts [][]token
	begin := 0
	for i, t := range list {
		if t.kind == name && t.text == at && depthAt(list, i) == 0 {
			parts = append(parts, list[begin:i])
			begin = i + 1
		}
	}
	return append(parts, list[begin:])
}
