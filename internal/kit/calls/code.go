package calls

import (
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A codeReader makes statements of a program's tokens.
type codeReader struct {
	named     bool               // the program may read the path that it is run by
	functions map[string][]token // bodies of functions, by name
	modules   map[string]bool    // names of imported modules
}

// readCode reads a script in Python, or in a language with braces. base is the place of a script inside another one; it is zero
// for a script in a file of its own.
func readCode(source string, in language, base document.Position) []statement {
	r := &codeReader{named: naming.MatchString(source), functions: map[string][]token{}, modules: map[string]bool{}}
	all := tokens(source, in)
	if base.Line != 0 { // inside another script: all tokens have its place
		for i := range all {
			if all[i].kind != newline {
				all[i].at = base
			}
		}
	}
	if in == braces {
		return r.flat(all)
	}
	list := rows(all, source)
	for _, row := range list {
		if row.tokens[0].kind == name && row.tokens[0].text == "import" {
			for _, part := range split(row.tokens[1:], ",") {
				r.modules[part[len(part)-1].text] = true
			}
		}
	}
	return r.block(list)
}

// A row is a logical line of Python, which may span several lines of the file.
type row struct {
	indent int
	tokens []token
}

func rows(all []token, source string) []row {
	lines := strings.Split(source, "\n")
	var list []row
	var current []token
	begin := 0 // the line of current
	for _, t := range append(all, token{kind: newline}) {
		switch {
		case t.kind != newline:
			if len(current) == 0 {
				begin = t.line
			}
			current = append(current, t)
		case len(current) > 0:
			line := lines[begin-1]
			list = append(list, row{len(line) - len(strings.TrimLeft(line, " \t")), current})
			current = nil
		}
	}
	return list
}

// block reads the rows of a block, with the blocks inside it.
func (r *codeReader) block(list []row) []statement {
	var body []statement
	for len(list) > 0 {
		head := list[0]
		n := 1
		for n < len(list) && list[n].indent > head.indent {
			n++
		}
		inner := list[1:n]
		list = list[n:]
		first := head.tokens[0].text
		if first == "async" && len(head.tokens) > 1 {
			head.tokens = head.tokens[1:]
			first = head.tokens[0].text
		}
		if head.tokens[0].kind != name {
			first = ""
		}
		header, rest := r.header(head.tokens, first)
		if len(rest) > 0 {
			inner = append([]row{{head.indent + 1, rest}}, inner...)
		}
		switch first {
		case "if", "try", "match":
			arms, left := r.arms(list, head.indent)
			list = left
			body = append(body, r.choice(first, header, inner, arms)...)
		case "for":
			body = append(body, r.forLoop(header, inner)...)
		case "while":
			body = append(body, loop{body: append(r.line(header[1:]), r.block(inner)...)})
		case "with":
			body = append(append(body, r.line(header[1:])...), r.block(inner)...)
		case "def":
			body = append(body, r.define(header, inner))
		case "class":
			body = append(body, r.block(inner)...)
		case "elif", "else", "except", "finally", "case":
			body = append(body, r.block(inner)...)
		default:
			for _, part := range split(head.tokens, ";") {
				body = append(body, r.line(part)...)
			}
			body = append(body, r.block(inner)...)
		}
	}
	return body
}

var headers = []string{"if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class", "match", "case"}

// header splits a row at the colon of a compound statement. Any other row is all header.
func (r *codeReader) header(list []token, first string) (header, rest []token) {
	if !slices.Contains(headers, first) {
		return list, nil
	}
	if i := outside(list, ":"); i >= 0 {
		return list[:i], list[i+1:]
	}
	return list, nil
}

// An arm is a further part of a compound statement, such as elif or except.
type arm struct {
	word   string
	header []token
	rows   []row
}

// arms reads the arms at the beginning of rows, and returns the rows behind them.
func (r *codeReader) arms(list []row, indent int) (arms []arm, left []row) {
	for len(list) > 0 && list[0].indent == indent && list[0].tokens[0].kind == name &&
		slices.Contains([]string{"elif", "else", "except", "finally", "case"}, list[0].tokens[0].text) {
		n := 1
		for n < len(list) && list[n].indent > indent {
			n++
		}
		header, rest := r.header(list[0].tokens, list[0].tokens[0].text)
		inner := list[1:n]
		if len(rest) > 0 {
			inner = append([]row{{indent + 1, rest}}, inner...)
		}
		arms = append(arms, arm{list[0].tokens[0].text, header, inner})
		list = list[n:]
	}
	return arms, list
}

// choice reads an if, a try or a match. first is that word.
func (r *codeReader) choice(first string, header []token, inner []row, arms []arm) []statement {
	switch first {
	case "match":
		cases, _ := r.arms(inner, indentOf(inner))
		b := branch{arms: [][]statement{nil}, pick: func(s *state) int { return r.pickCase(s, header[1:], cases) }}
		for _, a := range cases {
			b.arms = append(b.arms, r.block(a.rows))
		}
		return append(r.line(header[1:]), b)
	case "try": // either the body runs or an except; writes of a body that failed do not count
		b := branch{arms: [][]statement{r.block(inner)}}
		var behind []statement
		for _, a := range arms {
			switch a.word {
			case "except":
				b.arms = append(b.arms, r.block(a.rows))
			case "else":
				b.arms[0] = append(b.arms[0], r.block(a.rows)...)
			default:
				behind = append(behind, r.block(a.rows)...)
			}
		}
		return append([]statement{b}, behind...)
	}
	main := strings.Contains(joined(header), "__name__")
	if main {
		return r.block(inner)
	}
	var other []statement
	if len(arms) > 0 {
		if arms[0].word == "elif" {
			other = r.choice("if", arms[0].header, arms[0].rows, arms[1:])
		} else {
			other = r.block(arms[0].rows)
		}
	}
	cond, then := r.line(header[1:]), r.block(inner)
	b := branch{pick: func(s *state) int { return r.truth(s, header[1:]).arm(0, 1) }}
	switch failed := statusOf(header[1:]); {
	case len(cond) == 0:
		then, other = markFailure(failed, then, other)
	case failed == no: // the command in the condition has succeeded
		then, cond = append(cond, then...), nil
	case failed == yes:
		other, cond = append(cond, other...), nil
	}
	b.arms = [][]statement{then, other}
	return append(cond, b)
}

var succeeds, fails = regexp.MustCompile(`^not .*\b(returncode|rc|code|status) $|(\)|returncode|rc|code|status) == 0 $`),
	regexp.MustCompile(`^[^=!]*\b(returncode|rc) $|(\)|returncode|rc|code|status) (!=|>) 0 $`)

// statusOf returns yes for a condition that is true if a command has failed, no for one that is true if it has succeeded, and open
// for any other condition.
func statusOf(list []token) truth {
	switch condition := joined(list); {
	case strings.Contains(condition, " and "), strings.Contains(condition, " or "):
		return open
	case succeeds.MatchString(condition):
		return no
	case fails.MatchString(condition):
		return yes
	}
	return open
}

func indentOf(list []row) int {
	if len(list) == 0 {
		return 0
	}
	return list[0].indent
}

func joined(list []token) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.text + " ")
	}
	return b.String()
}

func (r *codeReader) forLoop(header []token, inner []row) []statement {
	l := loop{body: r.block(inner), items: func(*state) []word { return nil }}
	if i := slices.IndexFunc(header, func(t token) bool { return t.kind == name && t.text == "in" }); i > 0 {
		if i == 2 {
			l.name = header[1].text
		}
		over := header[i+1:]
		l.items = func(s *state) []word {
			if v := r.value(s, over); v.list && i == 2 {
				return v.words
			}
			return nil
		}
		return append(r.line(over), l)
	}
	return []statement{l}
}

// define reads a function of Python: its header, and the rows of its body.
func (r *codeReader) define(header []token, inner []row) *define {
	f := &define{parameters: []parameter{}}
	if len(header) > 1 {
		f.name = header[1].text
	}
	if open := slices.IndexFunc(header, func(t token) bool { return t.kind == sign && t.text == "(" }); open > 0 {
		f.parameters = r.parameters(header[open+1 : matching(header, open)])
	}
	for _, row := range inner {
		r.functions[f.name] = append(r.functions[f.name], row.tokens...)
	}
	f.body = r.block(inner)
	return f
}

func (r *codeReader) parameters(list []token) []parameter {
	parameters := []parameter{}
	for _, part := range split(list, ",") {
		var p parameter
		for i, t := range part {
			switch {
			case t.kind == sign && (t.text == "*" || t.text == "..."):
				p.rest = true
			case t.kind == sign && t.text == "=":
				fallback := part[i+1:]
				p.fallback = func(s *state) value { return r.value(s, fallback) }
			case t.kind == name && p.name == "":
				p.name = t.text
			}
			if p.fallback != nil {
				break
			}
		}
		if p.name != "" && p.name != "self" && p.name != "cls" {
			parameters = append(parameters, p)
		}
	}
	return parameters
}

// line reads one simple statement, or an expression. If the program may read its own path, the calls of a line with a condition or
// a lambda are an arm that may not run.
func (r *codeReader) line(list []token) []statement {
	body := r.simple(list)
	if !r.named || len(body) == 0 || !slices.ContainsFunc(list, func(t token) bool {
		return t.kind == name && slices.Contains([]string{"if", "and", "or", "lambda"}, t.text)
	}) {
		return body
	}
	if _, ok := body[0].(*define); ok {
		return body
	}
	return []statement{branch{[][]statement{body}, func(s *state) int {
		if r.owns(s, list, 0) || slices.ContainsFunc(list, func(t token) bool { return t.kind == name && t.text == "lambda" }) {
			return doubtfulArm
		}
		return anyArm
	}}}
}

func (r *codeReader) simple(list []token) []statement {
	if len(list) == 0 || len(list) == 1 && list[0].kind == text { // a text alone is a comment
		return nil
	}
	switch first := list[0]; {
	case first.kind != name:
	case first.text == "return":
		return append(r.line(list[1:]), leave{what: back})
	case first.text == "break", first.text == "continue" && len(list) == 1:
		return []statement{leave{what: map[string]flow{"break": jump, "continue": on}[first.text]}}
	case first.text == "raise":
		exits := len(list) > 1 && list[1].text == "SystemExit"
		if exits {
			return []statement{r.exit(list[2:])}
		}
		return []statement{leave{what: ending, failed: func(*state) bool { return true }}}
	case first.text == "import", first.text == "from", first.text == "global", first.text == "assert", first.text == "package":
		return nil
	}
	equals := slices.IndexFunc(list, func(t token) bool { return t.kind == sign && (t.text == "=" || t.text == ":=" || t.text == "+=") })
	if equals > 0 && depthAt(list, equals) == 0 {
		target := list[0]
		if slices.Contains([]string{"var", "const", "let", "my", "local"}, target.text) && equals > 1 {
			target = list[1]
		}
		simple := equals == 1 || list[1].text == ":" || target != list[0]
		if list[0].kind == name && equals == 3 && list[1].text == "." {
			target.text, simple = list[0].text+"."+list[2].text, true
		}
		behind := list[equals+1:]
		if simple && len(behind) > 1 && behind[0].kind == name && behind[0].text == "lambda" {
			if colon := slices.IndexFunc(behind, func(t token) bool { return t.kind == sign && t.text == ":" }); colon > 0 {
				return []statement{&define{name: target.text, parameters: r.parameters(behind[1:colon]), body: r.line(behind[colon+1:])}}
			}
		}
		body := r.uses(behind)
		if targets := split(list[:equals], ","); r.named && len(targets) > 1 {
			for _, target := range targets {
				body = append(body, assign{name: joinedName(target), value: func(s *state) value {
					return value{words: []word{{text: unknown, own: r.owns(s, behind, 0)}}}
				}})
			}
		}
		if simple && len(behind) > 1 && behind[0].text == "{" {
			body = append(body, r.entries(target.text, behind[1:matching(behind, 0)])...)
		}
		if simple && target.kind == name {
			body = append(body, assign{name: target.text, more: list[equals].text == "+=", value: func(s *state) value { return r.value(s, behind) }})
		}
		return body
	}
	return r.uses(list)
}

// entries assigns each entry of a map literal to a variable NAME[KEY].
func (r *codeReader) entries(of string, list []token) []statement {
	var body []statement
	for _, entry := range split(list, ",") {
		if len(entry) > 2 && entry[0].kind == text && entry[1].text == ":" {
			body = append(body, assign{name: of + "[" + entry[0].text + "]", value: func(s *state) value { return r.value(s, entry[2:]) }})
		}
	}
	return body
}

// quiet matches functions that run no command. useOf reads append and extend.
var quiet = regexp.MustCompile(`(?i)^(print|f?printf?(ln)?|log\w*|warn\w*|error|info|debug|exception|critical|fatal\w*|errorf|format|join|startswith|endswith|replace|write|echo|new|isinstance|len|str|repr|mock|patch|assert\w*)$`)

// uses returns the calls of functions in an expression, those in arguments first.
func (r *codeReader) uses(list []token) []statement {
	var body []statement
	for i := 0; i < len(list); i++ {
		t := list[i]
		if t.kind == name && i+1 < len(list) && list[i+1].kind == sign && list[i+1].text == "(" {
			end := matching(list, i+1)
			inside := list[i+2 : end]
			body = append(body, r.uses(inside)...)
			body = append(body, r.useOf(list, i, inside)...)
			i = end
		}
	}
	return body
}

// useOf returns the statements for a call of a function: its name is at a token, and inside are the tokens of its arguments.
func (r *codeReader) useOf(list []token, at int, inside []token) []statement {
	callee := list[at].text
	receiver := ""
	if at >= 2 && list[at-1].text == "." {
		receiver = list[at-2].text
	}
	switch {
	case (callee == "append" || callee == "extend") && receiver != "":
		return []statement{assign{name: receiver, more: true, value: func(s *state) value { return r.value(s, inside) }}}
	case callee == "exit" && (receiver == "" || receiver == "sys" || receiver == "process"), callee == "_exit" && receiver == "os",
		callee == "Exit" && receiver == "os", callee == "quit" && receiver == "":
		return []statement{r.exit(inside)}
	case quiet.MatchString(callee) && (receiver != "" || callee != "log"):
		return nil
	}
	if r.modules[receiver] { // a function of a module, not of the script
		callee = ""
	}
	return []statement{call{name: callee, at: list[at].at, args: func(s *state) arguments { return r.arguments(s, inside) }}}
}

func (r *codeReader) arguments(s *state, inside []token) arguments {
	args := arguments{named: map[string]value{}}
	for _, part := range split(inside, ",") {
		if len(part) > 2 && part[0].kind == name && part[1].kind == sign && part[1].text == "=" {
			args.named[part[0].text] = r.value(s, part[2:])
			continue
		}
		args.positional = append(args.positional, r.value(s, part))
	}
	return args
}

// exit returns the statement that ends the script. list has the status.
func (r *codeReader) exit(list []token) leave {
	return leave{ending, func(*state) bool {
		for _, t := range list {
			switch {
			case t.kind == text:
				return true // Python prints the text and ends with status 1
			case t.kind == sign && t.text != "(" && t.text != ")":
				return strings.Trim(t.text, "0123456789") == "" && t.text != "0"
			}
		}
		return false
	}}
}
