package calls

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/document"

	"mvdan.cc/sh/v3/syntax"
)

// A shellReader makes statements of a shell's syntax tree.
type shellReader struct {
	named bool // the script may read the path that it is run by
	lines []string
	base  document.Position // place of a script inside another one; zero for a script in a file of its own

	functions map[string]*syntax.Stmt
}

// readShell reads a shell script. Of a script that cannot be parsed, it reads the lines that are commands by themselves.
func readShell(text string, base document.Position) []statement {
	r := &shellReader{named: naming.MatchString(text), lines: strings.Split(text, "\n"), base: base, functions: map[string]*syntax.Stmt{}}
	parse := func(text string) (*syntax.File, error) {
		return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	}
	file, err := parse(text)
	if err == nil {
		return r.sequence(file.Stmts)
	}
	var body []statement
	for i, line := range r.lines {
		if file, err := parse(strings.Repeat("\n", i) + line); err == nil {
			body = append(body, r.sequence(file.Stmts)...)
		}
	}
	return body
}

func (r *shellReader) position(pos syntax.Pos) document.Position {
	if r.base.Line != 0 {
		return r.base
	}
	at := document.Position{Line: int(pos.Line()), Column: int(pos.Col())}
	if at.Line >= 1 && at.Line <= len(r.lines) {
		line := r.lines[at.Line-1]
		at.Column = utf8.RuneCountInString(line[:min(max(at.Column-1, 0), len(line))]) + 1
	}
	return at
}

func (r *shellReader) sequence(list []*syntax.Stmt) []statement {
	var body []statement
	for _, one := range list {
		body = append(body, r.statement(one)...)
	}
	return body
}

func (r *shellReader) statement(one *syntax.Stmt) []statement {
	var body []statement
	for _, redirect := range one.Redirs {
		body = append(body, r.substitutions(redirect.Word)...)
		if redirect.Hdoc != nil {
			body = append(body, r.substitutions(redirect.Hdoc)...)
			if in, ok := inputLanguage(one.Cmd); ok {
				body = append(body, embedded{in, func(s *state) string { return hideUnknown(r.text(s, redirect.Hdoc.Parts, true).text) },
					r.position(redirect.Pos())})
			}
		}
	}
	return append(body, r.node(one.Cmd)...)
}

// inputLanguage returns the language of a command that runs its standard input. ok is false for any other command.
func inputLanguage(cmd syntax.Command) (language, bool) {
	c, ok := cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) == 0 {
		return 0, false
	}
	var fields []string
	for _, arg := range c.Args {
		fields = append(fields, arg.Lit())
	}
	base := path.Base(fields[0])
	if base == "env" || base == "sudo" || base == "exec" {
		if fields = fields[1:]; len(fields) == 0 {
			return 0, false
		}
		base = path.Base(fields[0])
	}
	for _, field := range fields[1:] {
		if field != "-" && !strings.HasPrefix(field, "-") {
			return 0, false // it runs a file
		}
	}
	if strings.HasSuffix(base, "sh") || strings.HasPrefix(base, "python") {
		return interpreter(fields[:1]), true
	}
	return 0, false
}

func (r *shellReader) node(cmd syntax.Command) []statement {
	switch cmd := cmd.(type) {
	case nil:
		return nil
	case *syntax.CallExpr:
		return r.call(cmd)
	case *syntax.DeclClause:
		return r.assigns(cmd.Args)
	case *syntax.Block:
		return r.sequence(cmd.Stmts)
	case *syntax.Subshell:
		return []statement{inner{r.sequence(cmd.Stmts)}}
	case *syntax.IfClause:
		return r.choice(cmd)
	case *syntax.CaseClause:
		b := branch{pick: func(s *state) int { return r.pick(s, cmd) }}
		all := false
		for _, item := range cmd.Items {
			b.arms = append(b.arms, r.sequence(item.Stmts))
			all = all || len(item.Patterns) == 1 && item.Patterns[0].Lit() == "*"
		}
		if !all {
			b.arms = append(b.arms, nil)
		}
		return append(r.substitutions(cmd.Word), b)
	case *syntax.WhileClause:
		return []statement{loop{body: append(r.sequence(cmd.Cond), r.sequence(cmd.Do)...)}}
	case *syntax.ForClause:
		return r.forClause(cmd)
	case *syntax.BinaryCmd:
		x, y := r.statement(cmd.X), r.statement(cmd.Y)
		if cmd.Op != syntax.AndStmt && cmd.Op != syntax.OrStmt {
			return []statement{inner{x}, inner{y}}
		}
		// Writes of a command that fails do not count: the second command runs behind the first, or in its place.
		b := branch{arms: [][]statement{append(x, y...), nil}}
		if cmd.X.Negated == (cmd.Op == syntax.AndStmt) {
			b.arms = [][]statement{y, x}
		}
		if first, ok := cmd.X.Cmd.(*syntax.CallExpr); ok {
			if len(first.Args) == 0 && cmd.Op == syntax.AndStmt && len(r.substitutions(first)) == 0 { // an assignment
				b.arms[0] = y
				return append(r.node(first), b)
			}
			failed := status(first)
			if cmd.Op == syntax.OrStmt {
				failed = failed.not()
			}
			b.arms[0], b.arms[1] = markFailure(failed, b.arms[0], b.arms[1])
		}
		b.pick = func(s *state) int {
			t := r.test(s, []*syntax.Stmt{cmd.X})
			if cmd.Op == syntax.OrStmt {
				t = t.not()
			}
			return t.arm(0, 1)
		}
		return []statement{b}
	case *syntax.FuncDecl:
		f := &define{body: r.statement(cmd.Body)}
		if cmd.Name != nil { // the parser accepts a function without a name
			f.name = cmd.Name.Value
			r.functions[f.name] = cmd.Body
		}
		return []statement{f}
	case *syntax.TimeClause:
		if cmd.Stmt != nil {
			return r.statement(cmd.Stmt)
		}
	case *syntax.CoprocClause:
		return []statement{inner{r.statement(cmd.Stmt)}}
	}
	return r.substitutions(cmd)
}

// markFailure marks the arm of a branch that runs if the command before has failed: the first arm if failed is yes, the second
// if it is no.
func markFailure(failed truth, first, second []statement) (a, b []statement) {
	switch failed {
	case yes:
		first = append([]statement{afterFailure{}}, first...)
	case no:
		second = append([]statement{afterFailure{}}, second...)
	}
	return first, second
}

// status returns yes for a condition that is true if the command before has failed, no for one that is true if it has succeeded,
// and open for any other condition.
func status(c *syntax.CallExpr) truth {
	if len(c.Args) < 4 || c.Args[0].Lit() != "[" && c.Args[0].Lit() != "test" {
		return open
	}
	asks := false
	syntax.Walk(c.Args[1], func(n syntax.Node) bool {
		p, ok := n.(*syntax.ParamExp)
		asks = asks || ok && p.Param != nil && p.Param.Value == "?"
		return true
	})
	switch op := c.Args[2].Lit(); {
	case !asks || c.Args[3].Lit() != "0":
	case op == "-ne" || op == "!=" || op == "-gt":
		return yes
	case op == "-eq" || op == "=" || op == "==":
		return no
	}
	return open
}

// choice reads an if. The commands of its condition belong to the arm that runs if they succeed.
func (r *shellReader) choice(c *syntax.IfClause) []statement {
	cond, then := r.sequence(c.Cond), r.sequence(c.Then)
	var other []statement
	if c.Else != nil {
		if other = r.sequence(c.Else.Then); len(c.Else.Cond) > 0 {
			other = r.choice(c.Else)
		}
	}
	if len(c.Cond) == 1 && !c.Cond[0].Negated {
		if call, ok := c.Cond[0].Cmd.(*syntax.CallExpr); ok {
			then, other = markFailure(status(call), then, other)
		}
	}
	pick := func(s *state) int { return r.test(s, c.Cond).arm(0, 1) }
	if len(c.Cond) > 0 && c.Cond[len(c.Cond)-1].Negated {
		return []statement{branch{[][]statement{then, append(cond, other...)}, pick}}
	}
	return []statement{branch{[][]statement{append(cond, then...), other}, pick}}
}

func (r *shellReader) forClause(c *syntax.ForClause) []statement {
	l := loop{body: r.sequence(c.Do)}
	var before []statement
	switch c := c.Loop.(type) {
	case *syntax.WordIter:
		l.name = c.Name.Value
		l.items = func(s *state) []word {
			if !c.InPos.IsValid() {
				return s.variables["@"].words
			}
			return r.words(s, c.Items)
		}
		for _, item := range c.Items {
			before = append(before, r.substitutions(item)...)
		}
	default:
		l.items = func(*state) []word { return nil }
		before = r.substitutions(c)
	}
	return append(before, l)
}

func (r *shellReader) assigns(list []*syntax.Assign) []statement {
	var body []statement
	for _, a := range list {
		body = append(body, r.substitutions(a)...)
		if a.Name == nil || a.Naked {
			continue
		}
		body = append(body, assign{name: a.Name.Value, more: a.Append && a.Array != nil, value: func(s *state) value {
			switch {
			case a.Array != nil:
				v := value{list: true}
				for _, element := range a.Array.Elems {
					if element.Value != nil {
						v.words = append(v.words, r.words(s, []*syntax.Word{element.Value})...)
					}
				}
				return v
			case a.Append || a.Index != nil:
			case a.Value == nil:
				return value{words: []word{{}}}
			default:
				return value{words: []word{r.text(s, a.Value.Parts, true)}}
			}
			return value{words: []word{{text: unknown}}}
		}})
	}
	return body
}

func (r *shellReader) call(c *syntax.CallExpr) []statement {
	if len(c.Args) == 0 {
		return r.assigns(c.Assigns)
	}
	body := r.substitutions(c)
	switch name := c.Args[0].Lit(); name {
	case "exit", "return", "break", "continue":
		what := map[string]flow{"exit": ending, "return": back, "break": jump, "continue": on}[name]
		return append(body, leave{what, func(s *state) bool {
			words := r.words(s, c.Args[1:])
			if len(words) == 0 {
				return false
			}
			status, err := strconv.Atoi(words[0].text)
			return err == nil && status != 0
		}})
	case "read":
		for _, arg := range c.Args[1:] {
			if lit := arg.Lit(); lit != "" && lit[0] != '-' {
				body = append(body, assign{name: lit, value: func(s *state) value {
					return value{words: []word{{text: unknown, own: r.named}}}
				}})
			}
		}
	case "exec":
		if len(c.Args) > 1 {
			return append(body, run{func(s *state) []word { return r.words(s, c.Args[1:]) }, r.position(c.Pos())}, leave{what: ending})
		}
	}
	return append(body, run{func(s *state) []word { return r.words(s, c.Args) }, r.position(c.Pos())})
}

// substitutions returns the commands that a node runs first: those in $(…), `…` and <(…).
func (r *shellReader) substitutions(node syntax.Node) []statement {
	var body []statement
	if node == nil {
		return nil
	}
	if w, ok := node.(*syntax.Word); ok && w == nil {
		return nil
	}
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			body = append(body, inner{r.sequence(n.Stmts)})
			return false
		case *syntax.ProcSubst:
			body = append(body, inner{r.sequence(n.Stmts)})
			return false
		case *syntax.Stmt:
			return false
		}
		return true
	})
	return body
}

// literal returns a word without the backslashes that escape.
func literal(text string, quoted bool) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if text[i+1] == '\n' {
				i++
				continue
			}
			if !quoted || strings.IndexByte("$`\"\\", text[i+1]) >= 0 {
				i++
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
