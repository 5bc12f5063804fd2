package editor

import (
	"regexp"
	"strings"
	"unicode"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
)

// This file reads hooks and test scripts word by word, without their meaning: a call of snapctl is a line with that word, and the
// words behind it up to the end of the statement. Package calls follows what hooks do.

// A word of a script, without its quotes.
type word struct {
	text string
	at   document.Position // of its first character
	end  document.Position
}

// A statement is a call of snapctl in a hook, or a command of a test script.
type statement struct {
	words []word // the words behind snapctl, or from the command on
	line  int    // its last line
}

// separators are the characters between words, outside of quotes, in the languages of hooks.
const separators = " \t\r\n,()[];|&"

// words returns the words of a line. A text in quotes is one word.
func words(line string, number int) []word {
	var list []word
	runes := []rune(line)
	for i := 0; i < len(runes); {
		switch r := runes[i]; {
		case strings.ContainsRune(separators, r):
			i++
		case r == '"' && (i > 0 && runes[i-1] == ')' || strings.HasPrefix(string(runes[i+1:min(i+3, len(runes))]), "$(")):
			i++ // a quote around $(…), which has words of its own
		case r == '"' || r == '\'':
			end := i + 1
			for end < len(runes) && runes[end] != r {
				if runes[end] == '\\' && r == '"' {
					end++
				}
				end++
			}
			end = min(end, len(runes))
			list = append(list, word{string(runes[i+1 : end]), at(number, i+2), at(number, end+1)})
			i = end + 1
		default:
			end := i
			for end < len(runes) && !strings.ContainsRune(separators, runes[end]) {
				if quote := runes[end]; quote == '"' || quote == '\'' { // key="a value"
					for end++; end < len(runes) && runes[end] != quote; end++ {
					}
				}
				end++
			}
			end = min(end, len(runes))
			list = append(list, word{string(runes[i:end]), at(number, i+1), at(number, end+1)})
			i = end
		}
	}
	return list
}

func at(line, column int) document.Position { return document.Position{Line: line, Column: column} }

// calls returns the calls of snapctl in a hook.
func (x *indexer) calls() []statement {
	var list []statement
	for number := 1; number <= x.text.Lines(); number++ {
		line := x.text.Line(number)
		if strings.HasPrefix(strings.TrimSpace(line), "#") || !strings.Contains(line, "snapctl") {
			continue
		}
		all := words(line, number)
		for i, w := range all {
			if !isSnapctl(w) {
				continue
			}
			call := statement{words: all[i+1:], line: number}
			open := strings.Count(line, "[") + strings.Count(line, "(") - strings.Count(line, "]") - strings.Count(line, ")")
			for more := number + 1; more <= min(number+20, x.text.Lines()) && (open > 0 || strings.HasSuffix(strings.TrimSpace(x.text.Line(more-1)), `\`)); more++ {
				next := x.text.Line(more)
				call.words = append(call.words, words(next, more)...)
				call.line = more
				open += strings.Count(next, "[") + strings.Count(next, "(") - strings.Count(next, "]") - strings.Count(next, ")")
			}
			list = append(list, call)
			break
		}
	}
	return list
}

func (x *indexer) hook(s *lint.Snap) {
	for _, call := range x.calls() {
		x.call(s, call.words)
	}
}

// call adds the plug and the requests of a call of snapctl.
func (x *indexer) call(s *lint.Snap, call []word) {
	plug := plugIn(s, call)
	if plug == nil {
		return
	}
	own, view := x.viewOf(s, plug)
	for i, w := range call {
		switch {
		case w.text == ":"+plug.Name:
			x.add(plugSymbol(s, plug.Name), at(w.at.Line, w.at.Column+1), false)
		case i == 0 || strings.HasPrefix(w.text, "-") || strings.HasPrefix(w.text, ":"):
		case own != nil && !(i > 1 && call[i-1].text == "--default"):
			x.argument(own, view, w)
		}
	}
}

// plugIn returns the plug among the words of a call.
func plugIn(s *lint.Snap, call []word) *snapfile.Plug {
	for _, w := range call {
		if name, ok := strings.CutPrefix(w.text, ":"); ok {
			if plug := s.Plug(name); plug != nil {
				return plug
			}
		}
	}
	return nil
}

// requestWord matches the request at the beginning of an argument: a, a.b=value, a.b!, a[0].b.
var requestWord = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9_.{}$\[\]-]*`)

// argument adds the steps of a request path at the beginning of an argument, and the keys of a value that is a JSON object.
func (x *indexer) argument(own *Schema, view string, w word) {
	if strings.HasPrefix(strings.TrimSpace(w.text), "{") {
		x.keys(own, view, "", w.text, w.at)
		return
	}
	request := requestWord.FindString(w.text)
	if request == "" {
		return
	}
	rest := w.text[len(request):]
	if rest != "" && !strings.HasPrefix(rest, "=") && rest != "!" {
		return
	}
	before, offset := "", 0
	for step := range strings.SplitSeq(request, ".") {
		name, _, _ := strings.Cut(step, "[")
		if name != "" && !strings.ContainsAny(name, "{}$") {
			x.add(own.request(view, name, own.generic(view, before)), at(w.at.Line, w.at.Column+offset), false)
		}
		if before != "" {
			before += "."
		}
		before += step
		offset += len([]rune(step)) + 1
	}
	if value, found := strings.CutPrefix(rest, "="); found {
		value = strings.TrimLeft(value, `'"`)
		if strings.HasPrefix(value, "{") {
			begin := strings.Index(w.text, value)
			x.keys(own, view, before, value, at(w.at.Line, w.at.Column+len([]rune(w.text[:begin]))))
		}
	}
}

// keys adds the keys of a JSON object on one line. The request path before leads to the object.
func (x *indexer) keys(own *Schema, view, before, text string, start document.Position) {
	above := []string{before}
	name, value := "", false
	runes := []rune(text)
	join := func(a, b string) string {
		if a == "" || b == "" {
			return a + b
		}
		return a + "." + b
	}
	for i := 0; i < len(runes); i++ {
		switch runes[i] {
		case '{':
			above = append(above, join(above[len(above)-1], name))
			name, value = "", false
		case '}':
			if len(above) > 1 {
				above = above[:len(above)-1]
			}
		case ',':
			value = false
		case ':':
			value = true
		case '[':
			return // elements have no names
		case '"':
			end := i + 1
			for end < len(runes) && runes[end] != '"' {
				if runes[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(runes))
			if !value {
				name = string(runes[i+1 : end])
				x.add(own.request(view, name, own.generic(view, above[len(above)-1])), at(start.Line, start.Column+i+1), false)
			}
			i = end
		}
	}
}

// generic returns a request path as the matching rule has it, with its placeholders: http.url becomes {protocol}.url. Symbols of
// requests are steps of rules.
func (s *Schema) generic(view, request string) string {
	if request == "" {
		return ""
	}
	steps := strings.Split(strings.ReplaceAll(request, "[", ".["), ".")
	for _, rule := range s.engine().Rules(view) {
		if len(rule.Request) < len(steps) {
			continue
		}
		fits := true
		for i, step := range steps {
			accessor := rule.Request[i]
			fits = fits && (accessor.Bare() == step || accessor.Open() && accessor.List() == strings.HasPrefix(step, "["))
		}
		if fits {
			return rule.Request[:len(steps)].Bare()
		}
	}
	return request
}

// viewCommands are the commands of test scripts with a view as their first argument, and requests behind it.
var viewCommands = map[string]bool{"set": true, "unset": true, "get": true, "expect": true, "await": true}

// test adds the names in the commands of a test script.
func (x *indexer) test() {
	for number := 1; number <= x.text.Lines(); number++ {
		line := x.text.Line(number)
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --") {
			return // the rest are files
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		x.command(command(line, number))
	}
}

// command returns the words of a line of a test script from its command on. It skips "!", conditions, and "fail REGEXP".
func command(line string, number int) []word {
	list := words(line, number)
	for len(list) > 0 && (list[0].text == "!" || strings.HasPrefix(line[max(0, list[0].at.Column-2):], "[")) {
		list = list[1:]
	}
	if len(list) > 2 && list[0].text == "fail" {
		list = list[2:]
	}
	return list
}

func (x *indexer) command(list []word) {
	if len(list) < 2 {
		return
	}
	switch name := list[0].text; {
	case viewCommands[name]:
		own, view := x.view(list[1].text)
		if own == nil {
			return
		}
		x.add(own.symbol(View, view), at(list[1].at.Line, list[1].at.Column+len([]rune(list[1].text))-len([]rune(view))), false)
		for _, w := range list[2:] {
			x.argument(own, view, w)
		}
	case name == "snapctl-as":
		if s := x.snapNamed(list[1].text); s != nil && len(list) > 2 {
			x.call(s, list[2:])
		}
	case name == "connect" || name == "disconnect":
		for _, w := range list[1:] {
			snapName, plug, found := strings.Cut(w.text, ":")
			if s := x.snapNamed(snapName); found && s != nil && s.Plug(plug) != nil {
				x.add(plugSymbol(s, plug), at(w.at.Line, w.at.Column+len([]rune(snapName))+1), false)
			}
		}
	case (name == "ran" || name == "run") && len(list) > 2:
		if s := x.snapNamed(list[1].text); s != nil {
			x.add(hookSymbol(s, list[2].text), list[2].at, false)
			if kind, plug := snapfile.Split(list[2].text); kind != "" && s.Plug(plug) != nil {
				x.add(plugSymbol(s, plug), at(list[2].at.Line, list[2].at.Column+len(kind)), false)
			}
		}
	}
}

// view returns the view that a test script names: VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW.
func (x *indexer) view(name string) (*Schema, string) {
	parts := strings.Split(name, "/")
	view := parts[len(parts)-1]
	if len(parts) > 1 {
		own := x.schemaOf(x.file, parts[len(parts)-2])
		if own == nil || own.Headers.Get("views").Get(view) == nil {
			return nil, ""
		}
		return own, view
	}
	return x.nearest(x.file, func(s *Schema) bool { return s.Headers.Get("views").Get(view) != nil }), view
}

// snapNamed returns the first snap with a name, or nil. The name may be that of a parallel instance.
func (p *Project) snapNamed(name string) *lint.Snap {
	name, _, _ = strings.Cut(name, "_") // of a parallel instance
	for _, s := range p.Snaps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// isWord reports whether a character can be part of a word that is completed.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.:${}[]/", r)
}
