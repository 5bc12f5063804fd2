package lint

import (
	"bytes"
	"regexp"
	"strings"
)

// A word is one argument of a command as a script's text has it.
type word struct {
	text   string
	splits bool // the shell may make several words of it
}

// wordsOf returns the words behind a match of snapctl, and where the text goes on.
func wordsOf(text []byte, match []int) (words []word, rest int) {
	name := match[0] + len("snapctl")
	quote := byte(0)
	if match[0] > 0 && bytes.IndexByte([]byte("\"'`"), text[match[0]-1]) >= 0 {
		quote = text[match[0]-1]
	}
	if quote != 0 && name < len(text) && text[name] == quote {
		return listed(text, match[1])
	}
	end := len(text)
	splits := false
	if quote != 0 { // a command line in a text
		if i := bytes.IndexByte(text[match[1]:], quote); i >= 0 {
			end = match[1] + i
		}
		splits = bytes.HasPrefix(text[min(end+1, len(text)):], []byte(".split("))
	}
	words, rest = commandLine(text[:end], match[1], splits)
	if quote != 0 {
		rest = lineEnd(text, end)
	}
	return words, rest
}

func lineEnd(text []byte, from int) int {
	if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(text)
}

// listed reads arguments as elements of a list, or of a call, to its end: texts in quotes, and names, which become $NAME.
func listed(text []byte, at int) ([]word, int) {
	var words []word
	depth := 0
	for at < len(text) {
		switch c := text[at]; {
		case c == '"' || c == '\'' || c == '`':
			end := at + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			inner := string(text[at+1 : min(end, len(text))])
			words = append(words, word{text: inner})
			at = min(end+1, len(text))
			continue
		case c == '[' || c == '(' || c == '{':
			depth++
		case c == ']' || c == ')' || c == '}':
			if depth--; depth < 0 {
				return words, lineEnd(text, at)
			}
		case c == '#':
			at = lineEnd(text, at)
			continue
		case c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			end := at
			for end < len(text) && (text[end] == '_' || text[end] == '.' || 'a' <= text[end] && text[end] <= 'z' ||
				'A' <= text[end] && text[end] <= 'Z' || '0' <= text[end] && text[end] <= '9') {
				end++
			}
			if end < len(text) && (text[end] == '"' || text[end] == '\'') { // the prefix of a text, as in f"…"
				at = end
				continue
			}
			words = append(words, word{text: "$" + string(text[at:end])})
			at = end
			continue
		}
		at++
	}
	return words, at
}

// commandLine reads arguments as a shell does. With bare there are no quotes, as where a text is split at its spaces.
func commandLine(text []byte, at int, bare bool) ([]word, int) {
	var words []word
	var current strings.Builder
	open, splits := false, bare
	end := func() {
		if open {
			words = append(words, word{current.String(), splits && strings.ContainsAny(current.String(), "$`{")})
		}
		current.Reset()
		open, splits = false, bare
	}
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case c == '\\' && at+1 < len(text):
			if at++; text[at] != '\n' {
				current.WriteByte(text[at])
				open = true
			}
		case (c == '"' || c == '\'') && !bare:
			open = true
			for at++; at < len(text) && text[at] != c; at++ {
				if text[at] == '$' && at+1 < len(text) && text[at+1] == '(' {
					size := substitution(text[at:])
					current.Write(text[at : at+size])
					at += size - 1
					continue
				}
				current.WriteByte(text[at])
			}
		case c == '$' && at+1 < len(text) && text[at+1] == '(':
			size := substitution(text[at:])
			current.Write(text[at : at+size])
			at += size - 1
			open, splits = true, true
		case c == ' ' || c == '\t':
			end()
		case strings.IndexByte("\n;|&)`", c) >= 0, c == '#' && !open, c == '<' || c == '>':
			if (c == '<' || c == '>') && strings.Trim(current.String(), "012") == "" {
				current.Reset()
				open = false
			}
			end()
			return words, at
		default:
			if c == '$' {
				splits = true
			}
			current.WriteByte(c)
			open = true
		}
	}
	end()
	return words, at
}

// substitution returns how long a $(…) is.
func substitution(text []byte) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// exit is an exit with an error, in shell, Python and Go; remark a line that only tells something.
var (
	exit   = regexp.MustCompile(`^(?:\s*(?:;|&&|\|\||\n)\s*)?(?:exit\s+[1-9]|(?:sys\.|os\._?)?[eE]xit\(\s*(?:[1-9]|["']|f["'])|raise SystemExit\(\s*[1-9"'])`)
	remark = regexp.MustCompile(`^(?:echo|logger|printf|print|log|fmt\.)\b`)
)

// exitsBehind tells whether what follows a call, on its line or in the next lines of its block, is an exit with an error.
func exitsBehind(before, rest []byte) bool {
	if exit.Match(bytes.TrimLeft(rest, " \t)")) && !bytes.HasPrefix(bytes.TrimLeft(rest, " \t)"), []byte("\n")) {
		return true
	}
	indent := before[:len(before)-len(bytes.TrimLeft(before, " \t"))]
	_, rest, _ = bytes.Cut(rest, []byte("\n"))
	for line := range bytes.Lines(rest) {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 || trimmed[0] == '#' {
			continue
		}
		if own := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]; !bytes.Equal(own, indent) {
			return false
		}
		if exit.Match(trimmed) {
			return true
		}
		if !remark.Match(trimmed) {
			return false
		}
	}
	return false
}
