package calls

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// One file may be several hooks, which differ by the name that they are run by. That name is a value like others; what
// depends on it runs, does not, or may.

// ownName is the variable with the path that a hook is run by.
const ownName = "0"

var naming = regexp.MustCompile(`\$\{?0|BASH_SOURCE|\bargv\b|__file__|__FILE__|__filename|os\.Args|PROGRAM_NAME|FindBin`)

func ownPath(hook string) value {
	return value{words: []word{{text: "/snap/meta/hooks/" + hook, own: true}}}
}

// A truth is how a condition ends.
type truth int

const (
	open     truth = iota // either way, whatever the hook is called
	yes                   // as the hook is called so
	no                    // as the hook is called so
	doubtful              // it depends on the hook's name, nobody knows how
)

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return t
}

func and(a, b truth) truth {
	switch {
	case a == no || b == no:
		return no
	case a == doubtful || b == doubtful:
		return doubtful
	case a == yes:
		return b
	}
	return open
}

func isTrue(is bool) truth {
	if is {
		return yes
	}
	return no
}

// Which arm of a branch is taken: the number of one, or these.
const (
	anyArm      = -1
	doubtfulArm = -2
)

// arm returns the arm for a condition.
func (t truth) arm(ifYes, ifNo int) int {
	switch t {
	case yes:
		return ifYes
	case no:
		return ifNo
	case doubtful:
		return doubtfulArm
	}
	return anyArm
}

func owned(words []word) bool { return slices.ContainsFunc(words, func(w word) bool { return w.own }) }

func known(words ...word) bool {
	return !slices.ContainsFunc(words, func(w word) bool { return w.many || strings.Contains(w.text, unknown) })
}

// given returns a value that was given where the hook's name led to: it depends on the name as well.
func (s *state) given(v value) value {
	if !s.own {
		return v
	}
	v.words = slices.Clone(v.words)
	for i := range v.words {
		v.words[i].own = true
	}
	return v
}

// matcher tells of texts whether they are what a shell's pattern says.
func matcher(glob string) func(text string) bool {
	expression, err := pattern.Regexp(glob, pattern.EntireString)
	if err == nil {
		var re *regexp.Regexp
		if re, err = regexp.Compile(expression); err == nil {
			return re.MatchString
		}
	}
	return func(string) bool { return false }
}

func matches(glob, text string) bool { return matcher(glob)(text) }

// trimmed takes the shortest or longest part that a pattern matches off the begin or the end of a text.
func trimmed(text, glob string, op syntax.ParExpOperator) string {
	is := matcher(glob)
	for i := range len(text) + 1 {
		switch op {
		case syntax.RemSmallPrefix:
			if is(text[:i]) {
				return text[i:]
			}
		case syntax.RemLargePrefix:
			if is(text[:len(text)-i]) {
				return text[len(text)-i:]
			}
		case syntax.RemSmallSuffix:
			if is(text[len(text)-i:]) {
				return text[:len(text)-i]
			}
		case syntax.RemLargeSuffix:
			if is(text[i:]) {
				return text[:i]
			}
		}
	}
	return text
}

// test tells how a shell's command ends that is a condition.
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
		case slices.Contains(talk[:4], name) || name == "snapctl":
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

// mentions tells whether something of a script depends on the hook's name.
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

// pick returns the arm of a case that is taken.
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

// substituted returns what $(…) stands for, as far as that is the hook's name.
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

// owns tells whether an expression of a program depends on the hook's name.
func (r *codeReader) owns(s *state, list []token, depth int) bool {
	if !r.named {
		return false
	}
	for i, t := range list {
		switch {
		case t.kind == text:
			for _, match := range valueName.FindAllStringSubmatch(t.text, -1) {
				if owned(s.variables[match[1]].words) {
					return true
				}
			}
		case t.kind != name:
		case t.text == "__file__":
			return true
		case t.text == "argv":
			if i+2 >= len(list) || list[i+1].text != "[" || list[i+2].text == "0" {
				return true
			}
		case owned(s.variables[t.text].words), i+2 < len(list) && list[i+1].text == "." && owned(s.variables[t.text+"."+list[i+2].text].words):
			return true
		case depth < 3 && i+1 < len(list) && list[i+1].text == "(" && r.owns(s, r.functions[t.text], depth+1):
			return true
		}
	}
	return false
}

// ownValue evaluates what programs make of the path that they are run by.
func (r *codeReader) ownValue(s *state, list []token) (value, bool) {
	n := len(list)
	first, last := list[0], list[n-1]
	text := func(list []token, make func(string) string) (value, bool) {
		v := r.value(s, list)
		if v.list || len(v.words) != 1 || !known(v.words...) {
			return value{}, false
		}
		w := v.words[0]
		w.text = make(w.text)
		return value{words: []word{w}}, true
	}
	same := func(text string) string { return text }
	switch {
	case n == 1 && first.text == "__file__", n >= 4 && n <= 6 && strings.HasSuffix(joined(list), "argv [ 0 ] ") && (n == 4 || n == 6):
		return s.variables[ownName], true
	case n > 2 && list[n-2].text == "." && last.text == "name":
		return text(list[:n-2], path.Base)
	case n > 2 && list[n-2].text == "." && last.text == "stem":
		return text(list[:n-2], func(text string) string {
			base := path.Base(text)
			return strings.TrimSuffix(base, path.Ext(base))
		})
	}
	begin := slices.IndexFunc(list, func(t token) bool { return t.kind == sign && t.text == "(" })
	for begin > 0 && matching(list, begin) != n-1 {
		next := slices.IndexFunc(list[begin+1:], func(t token) bool { return t.kind == sign && t.text == "(" })
		if next < 0 {
			return value{}, false
		}
		begin += next + 1
	}
	if begin < 1 {
		return value{}, false
	}
	inside := list[begin+1 : n-1]
	switch callee := list[begin-1].text; callee {
	case "basename":
		return text(inside, path.Base)
	case "Path", "PurePath", "str", "fspath":
		return text(inside, same)
	case "removeprefix", "removesuffix":
		if part := r.value(s, inside); begin > 2 && len(part.words) == 1 && known(part.words...) {
			return text(list[:begin-2], func(text string) string {
				if callee == "removeprefix" {
					return strings.TrimPrefix(text, part.words[0].text)
				}
				return strings.TrimSuffix(text, part.words[0].text)
			})
		}
	}
	return value{}, false
}

// splitName takes tokens apart at a word that is in no brackets.
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

// truth tells how a condition of a program ends.
func (r *codeReader) truth(s *state, list []token) truth {
	if len(list) == 0 || !r.owns(s, list, 0) {
		return open
	}
	if list[0].text == "(" && list[0].kind == sign && matching(list, 0) == len(list)-1 {
		return r.truth(s, list[1:len(list)-1])
	}
	for _, word := range []string{"or", "and"} {
		if parts := splitName(list, word); len(parts) > 1 {
			all := yes
			for _, part := range parts {
				t := r.truth(s, part)
				if word == "or" {
					t = t.not()
				}
				all = and(all, t)
			}
			if word == "or" {
				return all.not()
			}
			return all
		}
	}
	if list[0].text == "not" {
		return r.truth(s, list[1:]).not()
	}
	texts := func(list []token) []string {
		v := r.value(s, list)
		if !known(v.words...) {
			return nil
		}
		var texts []string
		for _, w := range v.words {
			texts = append(texts, w.text)
		}
		return texts
	}
	compare := func(left, right []token, is func(a, b string) bool) truth {
		l, r := texts(left), texts(right)
		if len(l) != 1 || len(r) == 0 {
			return doubtful
		}
		return isTrue(slices.ContainsFunc(r, func(r string) bool { return is(l[0], r) }))
	}
	equal := func(a, b string) bool { return a == b }
	if i := outside(list, "=="); i > 0 {
		return compare(list[:i], list[i+1:], equal)
	}
	if i := outside(list, "!="); i > 0 {
		return compare(list[:i], list[i+1:], equal).not()
	}
	if parts := splitName(list, "in"); len(parts) == 2 && len(parts[0]) > 0 {
		left, is := parts[0], equal
		if v := r.value(s, parts[1]); !v.list {
			is = func(a, b string) bool { return strings.Contains(b, a) }
		}
		if last := len(left) - 1; left[last].text == "not" {
			return compare(left[:last], parts[1], is).not()
		}
		return compare(left, parts[1], is)
	}
	n := len(list)
	open := slices.IndexFunc(list, func(t token) bool {
		return t.kind == name && (t.text == "startswith" || t.text == "endswith")
	})
	if open > 1 && open+1 < n && matching(list, open+1) == n-1 {
		is := strings.HasPrefix
		if list[open].text == "endswith" {
			is = strings.HasSuffix
		}
		return compare(list[:open-1], list[open+2:n-1], is)
	}
	return doubtful
}

// pickCase returns the arm of a match that is taken. Arm 0 is for none.
func (r *codeReader) pickCase(s *state, of []token, cases []arm) int {
	if !r.owns(s, of, 0) {
		return anyArm
	}
	v := r.value(s, of)
	if len(v.words) != 1 || !known(v.words...) {
		return doubtfulArm
	}
	for i, c := range cases {
		for _, p := range split(c.header[1:], "|") {
			switch {
			case len(p) == 1 && p[0].text == "_" && p[0].kind == name:
				return i + 1
			case len(p) != 1 || p[0].kind != text:
				return doubtfulArm
			case p[0].text == v.words[0].text:
				return i + 1
			}
		}
	}
	return 0
}
