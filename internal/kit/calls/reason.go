package calls

import (
	"regexp"
	"strings"

	"aspects-poc/internal/document"

	"mvdan.cc/sh/v3/syntax"
)

// Reason finds the words behind `snapctl fail` in a shell script. at is the position of snapctl. Reason returns the start and the end
// of the words, and a single word in quotes that replaces them. ok is false if the quotes would change the reason, such as that
// of a word with a pattern, or if there is no such call.
func Reason(text []byte, at document.Position) (start, end document.Position, quoted string, ok bool) {
	if languageOf(text) != shell {
		return start, end, "", false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(string(text)), "")
	if err != nil {
		return start, end, "", false
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		c, isCall := n.(*syntax.CallExpr)
		if !isCall || ok {
			return !ok
		}
		for i, arg := range c.Args {
			if i+2 >= len(c.Args) || place(text, arg.Pos()) != at || c.Args[i+1].Lit() != "fail" {
				continue
			}
			words := c.Args[i+2:]
			var parts []string
			for _, w := range words {
				part, plain := inQuotes(string(text[w.Pos().Offset():w.End().Offset()]))
				if !plain {
					return false
				}
				parts = append(parts, part)
			}
			start, end = place(text, words[0].Pos()), place(text, words[len(words)-1].End())
			quoted, ok = `"`+strings.Join(parts, " ")+`"`, true
			return false
		}
		return true
	})
	return start, end, quoted, ok
}

// place returns a parser's position in a script as a document.Position.
func place(text []byte, at syntax.Pos) document.Position {
	begin := int(at.Offset()) - int(at.Col()) + 1
	return document.Position{Line: int(at.Line()), Column: len([]rune(string(text[begin:at.Offset()]))) + 1}
}

// simple matches a word that means the same in double quotes; whole matches a word in double quotes.
var (
	simple = regexp.MustCompile(`^(?:[^\s"'\\*?\[\]~` + "`" + `(){}<>|&;$]|\$\w+|\$\{\w+\})+$`)
	whole  = regexp.MustCompile(`^"((?:[^"\\` + "`" + `]|\\.)*)"$`)
)

// inQuotes returns a word of a script as it is written inside double quotes. It returns false if it would mean something else there.
func inQuotes(written string) (string, bool) {
	if match := whole.FindStringSubmatch(written); match != nil {
		return match[1], true
	}
	if single, found := strings.CutPrefix(written, "'"); found && strings.HasSuffix(single, "'") && !strings.ContainsAny(single[:len(single)-1], "'\"\\$`") {
		return single[:len(single)-1], true
	}
	return written, simple.MatchString(written)
}

// Mentions returns where a script names a plug with its colon, behind white space, a quote or an equals sign. The positions are those
// of the names behind the colons.
func Mentions(text []byte, plug string) []document.Position {
	var found []document.Position
	pattern := regexp.MustCompile(`(?:^|[\s"'=(\[,])(:` + regexp.QuoteMeta(plug) + `)(?:$|[\s"'),;\]|&])`)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		from := 0
		for {
			match := pattern.FindStringSubmatchIndex(line[from:])
			if match == nil {
				break
			}
			found = append(found, document.Position{Line: number, Column: len([]rune(line[:from+match[2]+1])) + 1})
			from += match[3]
		}
	}
	return found
}
