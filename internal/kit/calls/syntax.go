package calls

import (
	"bytes"
	"errors"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/document"

	"mvdan.cc/sh/v3/syntax"
)

// Refused tells why, and where, the shell that a script's first line names cannot read it, "" if it can, or if that is not
// certain: the script is for another shell, changes how it is read, or may end before.
func Refused(text []byte) (at document.Position, reason string) {
	var variants []syntax.LangVariant
	switch shellOf(text) {
	case "bash":
		variants = []syntax.LangVariant{syntax.LangBash}
	case "sh", "dash": // of which nobody knows what it takes beyond POSIX
		variants = []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX, syntax.LangMirBSDKorn}
	default:
		return at, ""
	}
	if !utf8.Valid(text) || bytes.ContainsAny(text, "\x00\r") || unsure.Match(text) {
		return at, ""
	}
	for _, variant := range variants {
		found := refusal(text, variant)
		if found == nil {
			return document.Position{}, ""
		}
		if reason == "" {
			r := &shellReader{lines: strings.Split(string(text), "\n")}
			at, reason = r.position(found.Pos), found.Text
		}
	}
	return at, reason
}

// unsure finds what changes how a script is read, or is read only when it runs: aliases, what is in backquotes, and directives of a
// template.
var unsure = regexp.MustCompile("(?m)\\balias |\\{%|^[^#]*`")

// shellOf is the name of the shell in a script's first line, "" if it names none.
func shellOf(text []byte) string {
	words, interpreted := firstLine(text)
	if !interpreted || len(words) == 0 {
		return ""
	}
	if path.Base(words[0]) == "env" {
		if words = words[1:]; len(words) > 0 && words[0] == "-S" {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return ""
	}
	return path.Base(words[0])
}

// refusal is the parser's error, nil if the script has none or may end before it is read.
func refusal(text []byte, variant syntax.LangVariant) *syntax.ParseError {
	for one, err := range syntax.NewParser(syntax.Variant(variant)).StmtsSeq(bytes.NewReader(text)) {
		var found syntax.ParseError
		switch {
		case errors.As(err, &found) && sure(found.Text):
			return &found
		case err != nil || ends(one):
			return nil
		}
	}
	return nil
}

// sure tells whether shells refuse what the parser does. Of what is in expansions and tests they see less before they run it.
func sure(reason string) bool { return certain.MatchString(reason) }

var certain = regexp.MustCompile("^reached EOF without (?:closing quote [`\"']|matching `(?:\\$?\\(|\\{)`)|^`[^`]*` (?:statement must end with|can only)|" +
	"must be followed by (?:`(?:then|do|in|\\))`|a statement)|^a command can only contain|^case patterns must|^statements must be separated")

// ends tells whether a command may be the last one of a script: exit by itself, or another program in the shell's place.
func ends(one *syntax.Stmt) bool {
	if one == nil {
		return true
	}
	if call, ok := one.Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 && plain(call.Args[0]) == "exit" && !one.Background {
		return true
	}
	found := false
	syntax.Walk(one, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 1 && plain(call.Args[0]) == "exec" {
			found = true
		}
		return !found
	})
	return found
}

// plain is the text of a word without its quotes, "" where only a run can tell.
func plain(word *syntax.Word) string {
	var text strings.Builder
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text.WriteString(part.Value)
		case *syntax.SglQuoted:
			text.WriteString(part.Value)
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				if lit, ok := inner.(*syntax.Lit); ok {
					text.WriteString(lit.Value)
				}
			}
		}
	}
	return text.String()
}
