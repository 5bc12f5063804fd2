package calls

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test returns the result of commands of a shell as a condition.
func (r *shellReader) test(s *state, list []*syntax.Stmt) truth {
	if len(list) == 0 {
		return open
	}
	one := list[len(list)-1]
	t := r.ends(s, one.Cmd)
	if one.Negated {
		return t.not()
	}
	return t
}

// ends returns the result of one command as a condition.
func (r *shellReader) ends(s *state, cmd syntax.Command) truth {
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		words := r.words(s, cmd.Args)
		if len(words) == 0 {
			break
		}
		switch name := path.Base(words[0].text); {
		case name == "[" || name == "test":
			if !owned(words) {
				return open
			}
			return bracket(words[1:])
		case slices.Contains(printing[:4], name) || name == "snapctl":
			return open
		case owned(words):
			return doubtful
		}
	case *syntax.TestClause:
		return r.expression(s, cmd.X)
	case *syntax.BinaryCmd:
		x, y := r.test(s, []*syntax.Stmt{cmd.X}), r.test(s, []*syntax.Stmt{cmd.Y})
		switch cmd.Op {
		case syntax.AndStmt:
			return and(x, y)
		case syntax.OrStmt:
			return and(x.not(), y.not()).not()
		}
	case *syntax.Block:
		return r.test(s, cmd.Stmts)
	case *syntax.Subshell:
		return r.test(s, cmd.Stmts)
	case nil:
		return open
	}
	if r.mentions(s, cmd, 0) {
		return doubtful
	}
	return open
}

// bracket evaluates [ … ].
func bracket(words []word) truth {
	if n := len(words); n > 0 && words[n-1].text == "]" {
		words = words[:n-1]
	}
	if len(words) > 0 && words[0].text == "!" {
		return bracket(words[1:]).not()
	}
	if !known(words...) {
		return doubtful
	}
	switch len(words) {
	case 1:
		return isTrue(words[0].text != "")
	case 2:
		switch words[0].text {
		case "-n":
			return isTrue(words[1].text != "")
		case "-z":
			return isTrue(words[1].text == "")
		}
	case 3:
		switch words[1].text {
		case "=", "==":
			return isTrue(words[0].text == words[2].text)
		case "!=":
			return isTrue(words[0].text != words[2].text)
		}
	}
	return doubtful
}

// expression evaluates [[ … ]].
func (r *shellReader) expression(s *state, x syntax.TestExpr) truth {
	if !r.mentions(s, x, 0) {
		return open
	}
	switch x := x.(type) {
	case *syntax.ParenTest:
		return r.expression(s, x.X)
	case *syntax.Word:
		if w := r.text(s, x.Parts, true); known(w) {
			return isTrue(w.text != "")
		}
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			return r.expression(s, x.X).not()
		}
		if of, ok := x.X.(*syntax.Word); ok && (x.Op == syntax.TsEmpStr || x.Op == syntax.TsNempStr) {
			if w := r.text(s, of.Parts, true); known(w) {
				return isTrue((w.text == "") == (x.Op == syntax.TsEmpStr))
			}
		}
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return and(r.expression(s, x.X), r.expression(s, x.Y))
		case syntax.OrTest:
			return and(r.expression(s, x.X).not(), r.expression(s, x.Y).not()).not()
		}
		left, ok := x.X.(*syntax.Word)
		right, too := x.Y.(*syntax.Word)
		if !ok || !too {
			break
		}
		text, glob := r.text(s, left.Parts, true), r.text(s, right.Parts, true)
		if !known(text, glob) {
			break
		}
		switch x.Op {
		case syntax.TsMatch, syntax.TsMatchShort:
			return isTrue(matches(glob.text, text.text))
		case syntax.TsNoMatch:
			return isTrue(!matches(glob.text, text.text))
		}
	}
	return doubtful
}

// mentions reports whether a part of a script depends on the hook's name.
func (r *shellReader) mentions(s *state, node syntax.Node, depth int) bool {
	found := false
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp:
			found = found || n.Param != nil && owned(s.variables[n.Param.Value].words)
		case *syntax.CallExpr:
			if len(n.Args) > 0 && depth < 3 {
				if body := r.functions[n.Args[0].Lit()]; body != nil {
					found = found || r.mentions(s, body, depth+1)
				}
			}
		}
		return !found
	})
	return found
}

// pick returns the arm of a case that runs.
func (r *shellReader) pick(s *state, c *syntax.CaseClause) int {
	of := r.text(s, c.Word.Parts, true)
	switch {
	case !of.own:
		return anyArm
	case !known(of):
		return doubtfulArm
	}
	for i, item := range c.Items {
		for _, p := range item.Patterns {
			glob := r.text(s, p.Parts, true)
			if !known(glob) || item.Op != syntax.Break {
				return doubtfulArm
			}
			if matches(glob.text, of.text) {
				return i
			}
		}
	}
	return len(c.Items)
}

// substituted returns the output of $(…) if it is made of the hook's name; otherwise it is unknown.
func (r *shellReader) substituted(s *state, c *syntax.CmdSubst) word {
	w := word{text: unknown, own: r.mentions(s, c, 0)}
	if !w.own || len(c.Stmts) != 1 {
		return w
	}
	call, ok := c.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok {
		return w
	}
	words := r.words(s, call.Args)
	if len(words) == 0 || !known(words...) {
		return w
	}
	name, args := words[0].text, words[1:]
	if len(args) > 0 && (args[0].text == "--" || name == "printf" && (args[0].text == "%s" || args[0].text == `%s\n`)) {
		args = args[1:]
	}
	switch {
	case name == "basename" && len(args) == 1:
		w.text = path.Base(args[0].text)
	case name == "basename" && len(args) == 2:
		w.text = strings.TrimSuffix(path.Base(args[0].text), args[1].text)
	case (name == "echo" || name == "printf") && len(args) == 1:
		w.text = args[0].text
	}
	return w
}
