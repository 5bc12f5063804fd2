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

// Refused returns why, and where, the shell in a script's first line cannot parse the script. reason is "" if it can, or if that is
// not certain: the shell is not known here, the script changes how it is parsed, or it may end before the fault.
func Refused(text []byte) (at document.Position, reason string) {
	var variants []syntax.LangVariant
	switch shellOf(text) {
	case "bash":
		variants = []syntax.LangVariant{syntax.LangBash}
	case "sh", "dash": // what sh accepts beyond POSIX depends on the system
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

// unsure matches parts of a script that change how it is parsed, or that a shell parses only when it runs them: aliases, backquotes,
// and directives of a template.
var unsure = regexp.MustCompile("(?m)\\balias |\\{%|^[^#]*`")

// shellOf returns the name of the shell in a script's first line, or "" if there is none.
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

// refusal returns the parser's error. It is nil if there is none, or if the script may end before the fault.
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

// sure reports whether shells refuse a script for the parser's reason. Before they run it, shells check less inside expansions and
// tests than the parser does.
func sure(reason string) bool { return certain.MatchString(reason) }

// certain matches the parser's reasons for which shells refuse a script, too.
var certain = regexp.MustCompile("^reached EOF without (?:closing quote [`\"']|matching `(?:\\$?\\(|\\{)`)|^`[^`]*` (?:statement must end with|can only)|" +
	"must be followed by (?:`(?:then|do|in|\\))`|a statement)|^a command can only contain|^case patterns must|^statements must be separated")

// ends reports whether a command may be the last one of a script: exit by itself, or an exec of another program.
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

// plain returns the text of a word without its quotes. It leaves out parts that are only known at run time.
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
