package calls

import (
	"path"
	"slices"
	"strings"
)

// owns reports whether an expression of a program depends on the hook's name.
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

// ownValue evaluates an expression of the path that the program is run by, such as Path(sys.argv[0]).name.
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

// truth returns the result of a condition of a program.
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

// pickCase returns the arm of a match that runs: the index of the case plus 1, or 0 if no case matches.
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
