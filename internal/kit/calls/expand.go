package calls

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"

	"mvdan.cc/sh/v3/syntax"
)

// An expansion expands a word of a script to arguments as a shell does. Text in quotes is one argument, except for "$@" and the
// like. Values of variables outside of quotes are split at the characters of IFS.
type expansion struct {
	s       *state
	r       *shellReader
	at      document.Position
	whole   bool // the word becomes one argument, as in an assignment
	apart   bool // literal text outside of quotes is split as well, as in ${name:-some text}
	words   []word
	goes    bool // what comes next belongs to the last word
	spaced  bool // white space has ended the last word
	divider string
	certain bool // divider is known
}

// words expands words to arguments.
func (r *shellReader) words(s *state, list []*syntax.Word) []word {
	var words []word
	for _, w := range list {
		e := r.expand(s, r.position(w.Pos()))
		e.parts(w.Parts, false)
		words = append(words, e.words...)
	}
	return words
}

// text expands the parts of a word to one argument.
func (r *shellReader) text(s *state, parts []syntax.WordPart, quoted bool) word {
	e := r.expand(s, document.Position{})
	e.whole = true
	e.parts(parts, quoted)
	if len(e.words) == 0 {
		return word{}
	}
	return e.words[0]
}

// expand begins an expansion with the IFS of a state.
func (r *shellReader) expand(s *state, at document.Position) *expansion {
	e := &expansion{s: s, r: r, at: at, divider: " \t\n", certain: true}
	if v, known := s.variables["IFS"]; known {
		e.divider = ""
		for _, w := range v.words {
			e.divider += w.text
		}
		e.certain = !strings.Contains(e.divider, unknown)
	}
	return e
}

// add appends a text to the last word, or begins a new word with it.
func (e *expansion) add(w word) {
	if !e.goes {
		e.words = append(e.words, word{at: e.at})
		e.goes = true
	}
	e.spaced = false
	last := &e.words[len(e.words)-1]
	last.text += w.text
	last.splits = last.splits || w.splits
	last.many = last.many || w.many
	last.own = last.own || w.own
	if w.given {
		last.given, last.at = true, w.at
	}
}

// parts adds the expanded parts of a word.
func (e *expansion) parts(parts []syntax.WordPart, quoted bool) {
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			if w := (word{text: literal(part.Value, quoted)}); e.apart && !quoted {
				e.value(w, false)
			} else {
				e.add(w)
			}
		case *syntax.SglQuoted:
			text := part.Value
			if part.Dollar {
				text = unescaped(text)
			}
			e.add(word{text: strings.ReplaceAll(text, hidden, unknown)})
		case *syntax.DblQuoted:
			if len(part.Parts) == 0 {
				e.add(word{})
			}
			e.parts(part.Parts, true)
		case *syntax.ParamExp:
			e.parameter(part, quoted)
		case *syntax.ArithmExp, *syntax.ProcSubst:
			e.add(word{text: unknown})
		case *syntax.CmdSubst:
			e.value(e.r.substituted(e.s, part), quoted)
		default:
			e.value(word{text: unknown}, quoted)
		}
	}
}

// value adds the value of a variable: whole in quotes, otherwise split.
func (e *expansion) value(w word, quoted bool) {
	if quoted || e.whole {
		w.splits = false
		e.add(w)
		return
	}
	if !e.certain {
		w.splits = strings.ContainsAny(w.text, unknown+" \t\n")
	}
	if !e.certain || w.many {
		e.add(w)
		return
	}
	rest := w.text
	for rest != "" {
		end := strings.IndexAny(rest, e.divider)
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			part := w
			part.text = rest[:end]
			part.splits = strings.Contains(part.text, unknown) && e.divider != ""
			e.add(part)
		}
		if rest = rest[end:]; rest != "" {
			if strings.IndexByte(" \t\n", rest[0]) < 0 {
				if !e.goes && !e.spaced {
					e.add(word{}) // between two dividers is an empty argument
				}
				e.goes, e.spaced = false, false
			} else if e.goes {
				e.goes, e.spaced = false, true
			}
			rest = rest[1:]
		}
	}
}

// all adds the elements of a list: "$*" is one word, "$@" is one for each.
func (e *expansion) all(list []word, star, quoted bool) {
	if e.whole || star && quoted {
		between := " "
		switch {
		case !star || e.certain && strings.HasPrefix(e.divider, " "):
		case !e.certain:
			between = unknown
		default:
			between = e.divider[:min(1, len(e.divider))]
		}
		joined := word{}
		for i, w := range list {
			if i == 0 {
				joined.given, joined.at = w.given, w.at
			} else {
				joined.text += between
			}
			joined.text += w.text
			joined.own = joined.own || w.own
		}
		e.add(joined)
		return
	}
	for i, w := range list {
		if i > 0 {
			e.goes, e.spaced = false, false
		}
		if quoted {
			e.add(w)
		} else {
			e.value(w, false)
		}
	}
}

// parameter adds the expansion of $name or ${name…}.
func (e *expansion) parameter(p *syntax.ParamExp, quoted bool) {
	if p.Param == nil || p.Length && !owned(e.s.variables[p.Param.Value].words) || slices.Contains([]string{"#", "?", "$", "!"}, p.Param.Value) {
		e.add(word{text: unknown}) // a number
		return
	}
	index := ""
	if w, ok := p.Index.(*syntax.Word); ok {
		index = w.Lit()
	}
	star := p.Param.Value == "*" || index == "*"
	list := star || p.Param.Value == "@" || index == "@"
	v, set := e.s.variables[p.Param.Value]
	open := func() {
		if list {
			e.all([]word{{text: unknown, many: true, splits: true, own: owned(v.words)}}, star, quoted)
		} else {
			e.value(word{text: unknown, own: owned(v.words)}, quoted)
		}
	}
	if p.Excl || p.Length || p.Slice != nil || p.Repl != nil {
		open()
		return
	}
	if p.Exp != nil {
		nothing := len(v.words) == 0
		switch p.Exp.Op {
		case syntax.DefaultUnsetOrNull, syntax.AssignUnsetOrNull:
			nothing = nothing || len(v.words) == 1 && v.words[0].text == "" && !v.words[0].many
			fallthrough
		case syntax.DefaultUnset, syntax.AssignUnset:
			switch {
			case nothing && p.Exp.Word != nil:
				apart := e.apart
				e.apart = !e.whole
				e.parts(p.Exp.Word.Parts, quoted)
				e.apart = apart
				return
			case slices.ContainsFunc(v.words, func(w word) bool { return strings.Contains(w.text, unknown) }):
				open()
				return
			}
		case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix:
			if glob := e.r.text(e.s, p.Exp.Word.Parts, true); (p.Index == nil || index == "0") && !list && len(v.words) == 1 && known(v.words[0], glob) {
				w := v.words[0]
				w.text = trimmed(w.text, glob.text, p.Exp.Op)
				e.value(w, quoted)
				return
			}
			open()
			return
		default:
			open()
			return
		}
	}
	switch {
	case !set:
		open()
	case list:
		e.all(v.words, star, quoted)
	case len(v.words) == 0:
		e.value(word{}, quoted)
	case index == "" && p.Index == nil:
		e.value(v.words[0], quoted)
	default:
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= len(v.words) || slices.ContainsFunc(v.words[:i+1], func(w word) bool { return w.many || w.splits }) {
			open()
			return
		}
		e.value(v.words[i], quoted)
	}
}
