package keep

import "strings"

// A yamlReader reads the part of YAML that configuration files use: maps by indentation and in braces, lists, texts on one
// line. Anchors, aliases, tags and texts over several lines become entries of the kind Other.
//
// It has many methods because it has those with which a document takes entries; each reader of a format has them.
type yamlReader struct {
	*Document
	lines []line
	at    int   // line
	done  int   // behind the last line that has something other than a comment
	above above // comments that wait for their entry
}

func (r *yamlReader) read() error {
	r.maps[""] = &mapping{}
	at, indent, err := r.peek()
	if err != nil || at < 0 {
		return err
	}
	if c := r.content(at); c == "---" || strings.HasPrefix(c, "--- #") {
		r.at, r.done = at+1, r.lines[at].next
		r.maps[""].end = r.done
		if at, indent, err = r.peek(); err != nil || at < 0 {
			return err
		}
	}
	if c := r.content(at); c[0] == '{' {
		delete(r.maps, "")
		_, end, err := r.flowValue(r.lines[at].from+indent, nil, nil, true)
		if err != nil {
			return err
		}
		if end, err = r.blank(end); err == nil && end < len(r.text) {
			err = r.errorAt(end, "something stands behind the end of the map")
		}
		return err
	}
	if r.dash(at) {
		return r.errorAt(r.lines[at].from, "the file is a list: a map of keys is needed")
	}
	return r.block(indent, nil)
}

func (r *yamlReader) content(at int) string {
	return strings.TrimSpace(r.text[r.lines[at].from:r.lines[at].to])
}

func (r *yamlReader) dash(at int) bool {
	c := r.content(at)
	return c == "-" || strings.HasPrefix(c, "- ")
}

// peek returns the number of the next line with more than a comment, and its indentation; -1 at the end.
func (r *yamlReader) peek() (at, indent int, err error) {
	for ; r.at < len(r.lines); r.at++ {
		l := r.lines[r.at]
		text := r.text[l.from:l.to]
		trimmed := strings.TrimLeft(text, " ")
		switch {
		case strings.TrimSpace(text) == "":
			r.above = nil
		case strings.HasPrefix(strings.TrimLeft(trimmed, "\t"), "#"):
			r.above = append(r.above, r.comment(l.from+strings.IndexByte(text, '#'), l.to))
		case trimmed[0] == '\t':
			return 0, 0, r.errorAt(l.from, "a tab stands in the indentation: use spaces")
		case strings.HasPrefix(text, "---") && r.done > 0, strings.HasPrefix(text, "...") && strings.TrimSpace(text) == "...":
			return 0, 0, r.errorAt(l.from, "the file has several documents: one is needed")
		case text[0] == '%':
			return 0, 0, r.errorAt(l.from, "a directive: remove it")
		default:
			return r.at, len(text) - len(trimmed), nil
		}
	}
	return -1, -1, nil
}

// block reads a map whose keys are indented by indent.
func (r *yamlReader) block(indent int, path []string) error {
	m := r.maps[join(path)]
	if m == nil {
		m = &mapping{path: path}
		r.maps[join(path)] = m
	}
	m.indent = strings.Repeat(" ", indent)
	keys := map[string]bool{}
	for {
		at, ind, err := r.peek()
		if err != nil || at < 0 || ind < indent {
			return err
		}
		l := r.lines[at]
		if ind > indent {
			return r.errorAt(l.from, "the line is indented by %d spaces, and the keys above by %d", ind, indent)
		}
		if r.dash(at) {
			return r.errorAt(l.from, "an element of a list stands among keys")
		}
		key, value, err := r.key(l.from+ind, l.to)
		if err != nil {
			return err
		}
		if keys[key] {
			return r.errorAt(l.from, "the key %q stands twice: remove one", key)
		}
		keys[key] = true
		e := &Entry{Path: append(append([]string{}, path...), key), Line: at + 1, in: m, member: -1, lines: [2]int{l.from, l.next}}
		if err := r.value(e, value, indent, m); err != nil {
			return err
		}
		m.end = r.done
		e.lines[1] = r.done
		if e.Kind != "" {
			e.raw = r.text[e.from:e.to]
			r.Entries = append(r.Entries, e)
		}
	}
}

// key reads the key at an offset. It also returns the offset of the value, or the end of the line.
func (r *yamlReader) key(at, to int) (string, int, error) {
	var key string
	end := at
	if c := r.text[at]; c == '"' || c == '\'' {
		text, after, closed, err := r.quoted(at)
		if err != nil || !closed {
			return "", 0, r.errorAt(at, "the key has no end")
		}
		key, end = text, after
		for end < to && r.text[end] == ' ' {
			end++
		}
		if end >= to || r.text[end] != ':' {
			return "", 0, r.errorAt(at, "a colon is missing behind the key")
		}
	} else {
		for end < to && !(r.text[end] == ':' && (end+1 == to || r.text[end+1] == ' ' || r.text[end+1] == '\t')) {
			if strings.HasPrefix(r.text[end:to], " #") {
				break
			}
			end++
		}
		if end >= to || r.text[end] != ':' {
			return "", 0, r.errorAt(at, "a key and a colon are expected")
		}
		key = strings.TrimRight(r.text[at:end], " ")
		if strings.ContainsRune("&*!?|>%@`{}[],#", rune(key[0])) && key != "<<" {
			return "", 0, r.errorAt(at, "the text is no key that the hooks can read")
		}
	}
	for end++; end < to && (r.text[end] == ' ' || r.text[end] == '\t'); end++ {
	}
	return key, end, nil
}

// value reads the value of an entry, which begins at an offset of the key's line.
func (r *yamlReader) value(e *Entry, at, indent int, m *mapping) error {
	l := r.lines[r.at]
	behind := ""
	rest := func(from int) error { // checks the text behind the value
		text := r.text[from:l.to]
		trimmed := strings.TrimLeft(text, " \t")
		switch {
		case trimmed == "":
		case trimmed[0] == '#' && (len(trimmed) < len(text) || from == at):
			behind = r.comment(from+len(text)-len(trimmed), l.to)
		default:
			return r.errorAt(from, "something stands behind the value")
		}
		return nil
	}
	finish := func(line int) {
		r.at, r.done = line+1, r.lines[line].next
		e.Comment = r.above.take(behind)
	}
	e.from, e.to = at, at
	first := byte('#')
	if at < l.to {
		first = r.text[at]
	}
	switch {
	case first == '#':
		e.from, e.to = at, at
		for e.from > l.from && strings.ContainsRune(" \t", rune(r.text[e.from-1])) { // behind the colon
			e.from--
		}
		e.to = e.from
		if err := rest(at); err != nil {
			return err
		}
		finish(r.at)
		return r.below(e, indent)
	case strings.ContainsRune("&*!|>", rune(first)) || e.Path[len(e.Path)-1] == "<<":
		e.Kind, e.Why = Other, "an anchor, an alias or a tag"
		if first == '|' || first == '>' {
			e.Why = "a text over several lines"
		}
		r.skip(e, indent, first == '|' || first == '>')
		return nil
	case first == '%' || first == '@' || first == '`' || first == ',' || first == ']' || first == '}':
		return r.errorAt(at, "a value cannot begin with %q: put it in quotes", string(first))
	case first == '[' || first == '{':
		read, end, err := r.flowValue(at, e.Path, nil, true)
		if err != nil {
			return err
		}
		lines := e.lines
		comment := e.Comment
		*e = *read
		e.in, e.lines, e.Comment, e.member, e.Line = m, lines, comment, -1, r.at+1
		if e.Kind == "" { // a map
			in := r.maps[join(e.Path)]
			in.indent, in.keyEnd = m.indent, at
		}
		line := r.at
		for r.lines[line].to < end {
			line++
		}
		l = r.lines[line]
		if err := rest(end); err != nil {
			return err
		}
		finish(line)
		return nil
	case first == '"' || first == '\'':
		value, end, closed, err := r.quoted(at)
		if err != nil {
			return err
		}
		if !closed {
			e.Kind, e.Why = Other, "a text over several lines"
			r.skip(e, indent, true)
			return nil
		}
		e.Value, e.Kind, e.to = value, String, end
		if err := rest(end); err != nil {
			return err
		}
	default:
		e.to = l.to
		if i := strings.Index(r.text[at:l.to], " #"); i >= 0 {
			e.to = at + i
		}
		e.to = at + len(strings.TrimRight(r.text[at:e.to], " \t"))
		word := r.text[at:e.to]
		if strings.Contains(word, ": ") || strings.HasSuffix(word, ":") || word == "-" || strings.HasPrefix(word, "- ") || strings.HasPrefix(word, "? ") {
			return r.errorAt(at, "the value has a colon or a dash as YAML uses them: put the text in quotes")
		}
		if err := rest(e.to); err != nil {
			return err
		}
		e.Value, e.Kind, e.Why, _ = r.scalarOf(word) // YAML takes every word
	}
	line := r.at
	comment := r.above
	finish(line)
	if next, ind, err := r.peek(); err == nil && next >= 0 && ind > indent { // the text continues
		r.at, r.above = line, comment
		e.Kind, e.Value, e.Why = Other, nil, "a text over several lines"
		r.skip(e, indent, true)
		return nil
	}
	return nil
}

// skip skips the lines of an entry: those that are indented more than its key. text means that lines with # belong to the value.
func (r *yamlReader) skip(e *Entry, indent int, text bool) {
	e.Comment = r.above.take("")
	last := r.at
	for at := r.at + 1; at < len(r.lines); at++ {
		l := r.lines[at]
		trimmed := strings.TrimLeft(r.text[l.from:l.to], " ")
		if trimmed == "" || trimmed[0] == '#' && !text {
			continue
		}
		if l.to-l.from-len(trimmed) <= indent {
			break
		}
		last = at
	}
	r.at, r.done = last+1, r.lines[last].next
	e.to = r.lines[last].to
}

// below reads the lines below a key without a value: a map, a list or nothing.
func (r *yamlReader) below(e *Entry, indent int) error {
	kept, at := r.above, r.at
	next, ind, err := r.peek()
	switch {
	case err != nil:
		return err
	case next >= 0 && r.dash(next) && ind >= indent:
		return r.list(e, ind)
	case next >= 0 && ind > indent:
		r.maps[join(e.Path)] = &mapping{path: e.Path, keyEnd: e.from}
		return r.block(ind, e.Path)
	}
	for n := len(r.comments); n > 0 && at < len(r.lines) && r.comments[n-1][0] >= r.lines[at].from; n-- {
		r.comments = r.comments[:n-1] // the caller reads them again
	}
	r.above, r.at = kept, at
	e.Kind = Null
	return nil
}

// list reads a list with one element on each line.
func (r *yamlReader) list(e *Entry, indent int) error {
	e.Kind = List
	values := []any{}
	first := r.at
	for {
		at, ind, err := r.peek()
		if err != nil {
			return err
		}
		if at < 0 || ind < indent || ind == indent && !r.dash(at) {
			break
		}
		l := r.lines[at]
		r.above = nil
		if ind > indent { // the element continues
			e.items = append(e.items, item{kind: ""})
			r.at, r.done = at+1, l.next
			continue
		}
		i := item{from: l.from + ind + 1, end: l.next}
		for i.from < l.to && r.text[i.from] == ' ' {
			i.from++
		}
		i.to = l.to
		c := byte('#')
		if i.from < l.to {
			c = r.text[i.from]
		}
		switch {
		case c == '#' || strings.ContainsRune("&*!|>[{%@`-", rune(c)) && !(c == '-' && i.from+1 < l.to && r.text[i.from+1] != ' '):
			i.kind = ""
		case c == '"' || c == '\'':
			value, end, closed, err := r.quoted(i.from)
			if err != nil {
				return err
			}
			if closed {
				i.value, i.kind, i.to = value, String, end
			}
		default:
			if j := strings.Index(r.text[i.from:l.to], " #"); j >= 0 {
				i.to = i.from + j
			}
			i.to = i.from + len(strings.TrimRight(r.text[i.from:i.to], " \t"))
			word := r.text[i.from:i.to]
			if !strings.Contains(word, ": ") && !strings.HasSuffix(word, ":") {
				i.value, i.kind, _, _ = r.scalarOf(word)
			}
		}
		if i.kind != "" {
			tail := r.text[i.to:l.to]
			if trimmed := strings.TrimLeft(tail, " \t"); trimmed != "" {
				if trimmed[0] != '#' {
					i.kind = "" // such as a key in quotes
				} else {
					r.comment(i.to+len(tail)-len(trimmed), l.to)
				}
			}
		}
		e.items = append(e.items, i)
		values = append(values, i.value)
		r.at, r.done = at+1, l.next
	}
	e.Value, e.from = values, r.lines[first].from
	e.to = r.done
	e.setElement()
	return nil
}
