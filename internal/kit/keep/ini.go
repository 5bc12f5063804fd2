package keep

import "strings"

// NoValue is Entry.Why of a line of an INI file that has no "=" and no ":".
const NoValue = "a key without a value"

// Entry.Why of values that programs read in different ways.
const (
	looseQuotes  = "quotes that do not enclose the whole value"
	maybeComment = "# or ; at its beginning, which is a text for some programs and a comment for others"
)

// An iniReader reads sections, and keys with "=" or ":". A comment begins with # or ; at the beginning of a line or behind a
// space, outside of quotes. The quotes around a value are not part of it.
//
// It has many methods because it has those with which a document takes entries; each reader of a format has them.
type iniReader struct {
	*Document
	lines []line
}

func (r *iniReader) read() error {
	root := &mapping{}
	r.maps[""] = root
	in := root
	var last *Entry
	var waiting above
	seen := map[string]*Entry{}
	for n, l := range r.lines {
		text := r.text[l.from:l.to]
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "":
			waiting, last = nil, nil
			continue
		case trimmed[0] == '#' || trimmed[0] == ';':
			waiting = append(waiting, r.comment(l.from+strings.IndexByte(text, trimmed[0]), l.to))
			continue
		case trimmed[0] == '[':
			end := strings.IndexByte(trimmed, ']')
			if end < 2 {
				return r.errorAt(l.from, "a bracket or the name of a section is missing")
			}
			if tail := strings.TrimSpace(trimmed[end+1:]); tail != "" {
				if tail[0] != '#' && tail[0] != ';' {
					return r.errorAt(l.from, "something stands behind the name of a section")
				}
				r.comment(l.to-len(tail), l.to)
			}
			path := []string{trimmed[1:end]}
			if in = r.maps[join(path)]; in == nil {
				in = &mapping{path: path}
				r.maps[join(path)] = in
			}
			in.end, last, waiting = l.next, nil, nil
			continue
		}
		if last != nil && strings.ContainsRune(" \t", rune(text[0])) && text != trimmed && last.lines[0] != l.from && r.indent(last) < len(text)-len(strings.TrimLeft(text, " \t")) {
			last.Kind, last.Value, last.Why = Other, nil, "a text over several lines"
			last.to, last.lines[1], in.end = l.to, l.next, l.next
			last.raw = r.text[last.from:last.to]
			continue
		}
		e := &Entry{Line: n + 1, in: in, member: -1, lines: [2]int{l.from, l.next}}
		start := l.from + strings.Index(text, trimmed[:1])
		sign := strings.IndexAny(trimmed, "=:")
		if sign == 0 {
			return r.errorAt(l.from, "a key is missing")
		}
		key := trimmed
		if sign < 0 {
			e.Kind, e.Why, e.from, e.to = Other, NoValue, l.to, l.to
		} else {
			key = strings.TrimSpace(trimmed[:sign])
			r.entry(e, start+sign+1, l.to, &waiting)
			if r.sep == "" && e.from > start+len(key) && e.from < e.to {
				r.sep = r.text[start+len(key) : e.from]
			}
		}
		in.indent, in.end = text[:start-l.from], l.next
		e.Path = append(append([]string{}, in.path...), key)
		e.raw = r.text[e.from:e.to]
		last, waiting = e, nil
		if twin := seen[join(e.Path)]; twin != nil {
			twin.Kind, twin.Value, twin.Why = Other, nil, "the key stands several times"
			twin.raw += "\n" + e.raw
			continue
		}
		seen[join(e.Path)] = e
		r.Entries = append(r.Entries, e)
	}
	if r.sep == "" {
		r.sep = " = "
	}
	return nil
}

func (r *iniReader) indent(e *Entry) int {
	text := r.text[e.lines[0]:e.lines[1]]
	return len(text) - len(strings.TrimLeft(text, " \t"))
}

// entry reads the value of a key, which begins at an offset.
func (r *iniReader) entry(e *Entry, at, to int, waiting *above) {
	for at < to && (r.text[at] == ' ' || r.text[at] == '\t') {
		at++
	}
	behind, why := "", ""
	open := at // where comments may begin
	if at < to && (r.text[at] == '"' || r.text[at] == '\'') {
		why = looseQuotes
		if end := strings.IndexByte(r.text[at+1:to], r.text[at]); end >= 0 {
			open = at + 1 + end + 1
			rest := r.text[open:to]
			if trimmed := strings.TrimLeft(rest, " \t"); trimmed == "" || trimmed != rest && strings.ContainsAny(trimmed[:1], "#;") {
				why = ""
			}
		}
	} else if at+1 < to && strings.ContainsAny(r.text[at:at+1], "#;") && !strings.ContainsAny(r.text[at+1:at+2], " \t") {
		why = maybeComment
		open = to
	}
	for i := open; i < to; i++ {
		if c := r.text[i]; (c == '#' || c == ';') && (r.text[i-1] == ' ' || r.text[i-1] == '\t') {
			behind = r.comment(i, to)
			to = i
		}
	}
	e.from, e.to = at, at+len(strings.TrimRight(r.text[at:max(at, to)], " \t"))
	if e.from == e.to { // before the spaces in front of a comment
		for r.text[e.from-1] == ' ' || r.text[e.from-1] == '\t' {
			e.from--
		}
		e.to = e.from
	}
	word := r.text[e.from:e.to]
	e.Comment = waiting.take(behind)
	if why != "" {
		e.Kind, e.Why = Other, why
		return
	}
	if n := len(word); n > 1 && (word[0] == '"' || word[0] == '\'') && word[n-1] == word[0] {
		e.Kind, e.Value = String, word[1:n-1]
		return
	}
	e.Value, e.Kind, e.Why, _ = r.scalarOf(word) // every word is a text
}
