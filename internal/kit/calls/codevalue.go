package calls

import (
	"regexp"
	"slices"
	"strings"
)

// value evaluates an expression as far as its value is known without a run.
func (r *codeReader) value(s *state, list []token) value {
	if !r.owns(s, list, 0) {
		return r.evaluate(s, list)
	}
	v, ok := r.ownValue(s, list)
	if !ok {
		v = r.evaluate(s, list)
	}
	v.words = slices.Clone(v.words)
	for i := range v.words {
		v.words[i].own = true
	}
	return v
}

func (r *codeReader) evaluate(s *state, list []token) value {
	open := value{words: []word{{text: unknown}}}
	if len(list) == 0 {
		return value{}
	}
	if parts := split(list, "+"); len(parts) > 1 {
		return r.sum(s, parts)
	}
	first := list[0]
	last := len(list) - 1
	switch {
	case first.kind == sign && first.text == "*" && len(list) > 1, first.kind == sign && first.text == "...":
		v := r.value(s, list[1:])
		if !v.list {
			return value{words: []word{{text: unknown, many: true, splits: true}}, list: true}
		}
		return v
	case list[last].text == "..." && last > 0:
		v := r.value(s, list[:last])
		if !v.list {
			return value{words: []word{{text: unknown, many: true, splits: true}}, list: true}
		}
		return v
	case first.kind == text && !slices.ContainsFunc(list, func(t token) bool { return t.kind != text }):
		var w word
		w.at = first.at
		for _, t := range list {
			w.text += r.filled(s, t.text)
		}
		return value{words: []word{w}}
	case first.kind == sign && (first.text == "[" || first.text == "(") && matching(list, 0) == last:
		inside := list[1:last]
		if first.text == "[" && last == 1 && len(list) > 2 { // []string{…}
			break
		}
		if first.text == "(" && len(split(inside, ",")) == 1 {
			return r.value(s, inside)
		}
		if slices.ContainsFunc(inside, func(t token) bool { return t.kind == name && t.text == "for" }) {
			return value{words: []word{{text: unknown, many: true, splits: true}}, list: true}
		}
		return r.elements(s, inside)
	case first.text == "[" && len(list) > 3 && list[1].text == "]" && list[3].text == "{":
		return r.elements(s, list[4:matching(list, 3)])
	case len(list) == 4 && first.kind == name && list[1].text == "[" && list[2].kind == text:
		if v, ok := s.variables[first.text+"["+list[2].text+"]"]; ok {
			return v
		}
		return open
	case isChain(list):
		if v, ok := s.variables[joinedName(list)]; ok {
			return v
		}
		return open
	}
	return r.method(s, list)
}

// method evaluates TEXT.split(), shlex.split(TEXT), TEXT.format(…), list(X) and fmt.Sprintf(TEXT, …).
func (r *codeReader) method(s *state, list []token) value {
	open := value{words: []word{{text: unknown}}}
	last := len(list) - 1
	begin := -1
	for i, t := range list {
		if t.kind == sign && t.text == "(" && i > 0 && matching(list, i) == last {
			begin = i
			break
		}
	}
	if parts := split(list, "%"); len(parts) == 2 {
		if v := r.value(s, parts[0]); textOf(v) != unknown {
			of := [][]token{parts[1]}
			if first := parts[1][0]; first.kind == sign && first.text == "(" && matching(parts[1], 0) == len(parts[1])-1 {
				of = split(parts[1][1:len(parts[1])-1], ",")
			}
			var values []value
			for _, one := range of {
				values = append(values, r.value(s, one))
			}
			w := v.words[0]
			w.text = percent(w.text, values)
			return value{words: []word{w}}
		}
		return open
	}
	if begin < 1 || list[begin-1].kind != name {
		return open
	}
	inside := list[begin+1 : last]
	switch callee := list[begin-1].text; {
	case callee == "split" && begin >= 3:
		of := list[:begin-2]
		if joined(of) == "shlex " {
			if args := split(inside, ","); len(args) > 0 {
				of = args[0]
			}
			return fields(r.value(s, of), true)
		}
		if len(inside) == 0 || inside[0].text == " " {
			return fields(r.value(s, of), false)
		}
	case callee == "format" && begin >= 3:
		v := r.value(s, list[:begin-2])
		if !v.list && len(v.words) == 1 {
			v.words = slices.Clone(v.words)
			v.words[0].text = formatWith(v.words[0].text, r.arguments(s, inside))
			return v
		}
	case callee == "Sprintf":
		if args := split(inside, ","); len(args) > 0 {
			v := r.value(s, args[0])
			if !v.list && len(v.words) == 1 {
				v.words = slices.Clone(v.words)
				var values []value
				for _, arg := range args[1:] {
					values = append(values, r.value(s, arg))
				}
				v.words[0].text = percent(v.words[0].text, values)
				return v
			}
		}
	case callee == "quote" || callee == "repr" || callee == "dumps":
		w := word{text: quoted(textOf(r.value(s, inside)))}
		return value{words: []word{w}}
	case callee == "list" || callee == "tuple":
		return r.value(s, inside)
	case callee == "append": // Go's
		if args := split(inside, ","); len(args) > 0 {
			return r.sum(s, args)
		}
	}
	return open
}

// sum concatenates lists or texts.
func (r *codeReader) sum(s *state, parts [][]token) value {
	var out value
	for i, part := range parts {
		v := r.value(s, part)
		switch {
		case i == 0:
			out = value{words: slices.Clone(v.words), list: v.list}
		case out.list && (v.list || len(v.words) == 1 && v.words[0].text != unknown):
			out.words = append(out.words, v.words...)
		case out.list:
			out.words = append(out.words, word{text: unknown, many: true, splits: true})
		case len(out.words) == 1 && len(v.words) == 1:
			out.words[0].text += v.words[0].text
			if v.words[0].given {
				out.words[0].given, out.words[0].at = true, v.words[0].at
			}
		default:
			return value{words: []word{{text: unknown}}}
		}
	}
	return out
}

func (r *codeReader) elements(s *state, inside []token) value {
	v := value{list: true}
	for _, part := range split(inside, ",") {
		v.words = append(v.words, r.value(s, part).words...)
	}
	return v
}

var valueName = regexp.MustCompile(opening + `([^` + closing + `]*)` + closing)

// filled replaces the marked names in a text by the values of the variables.
func (r *codeReader) filled(s *state, text string) string {
	return valueName.ReplaceAllStringFunc(text, func(match string) string {
		if v, ok := s.variables[strings.Trim(match, opening+closing)]; ok && !v.list && len(v.words) == 1 {
			return v.words[0].text
		}
		return unknown
	})
}

// isChain reports whether tokens are a name, or names joined by dots.
func isChain(list []token) bool {
	for i, t := range list {
		if i%2 == 0 && t.kind != name || i%2 == 1 && t.text != "." {
			return false
		}
	}
	return len(list)%2 == 1
}

func joinedName(list []token) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.text)
	}
	return b.String()
}
