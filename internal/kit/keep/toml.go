package keep

import "strings"

// A tomlReader reads tables, keys and values. Lists of tables and texts over several lines become entries of the kind Other.
//
// It has many methods because it has those with which a document takes entries; each reader of a format has them.
type tomlReader struct {
	*Document
	lines []line
}

func (r *tomlReader) read() error {
	root := &mapping{}
	r.maps[""] = root
	in := root
	var waiting above
	lists := map[string]*Entry{}
	var list *Entry
	for n := 0; n < len(r.lines); n++ {
		l := r.lines[n]
		text := r.text[l.from:l.to]
		trimmed := strings.TrimLeft(text, " \t")
		start := l.to - len(trimmed)
		switch {
		case strings.TrimSpace(trimmed) == "":
			waiting = nil
			continue
		case trimmed[0] == '#':
			waiting = append(waiting, r.comment(start, l.to))
			continue
		case trimmed[0] == '[':
			path, double, err := r.header(start, l.to)
			if err != nil {
				return err
			}
			list = nil
			for name, e := range lists {
				if name == join(path) || strings.HasPrefix(join(path), name+"\x00") {
					list = e
				}
			}
			in = &mapping{path: path, end: l.next, indent: text[:start-l.from]}
			switch twin := r.maps[join(path)]; {
			case double && list == nil:
				list = &Entry{Path: path, Kind: Other, Why: "a list of tables", Line: n + 1, in: root, member: -1, from: l.from, to: l.to,
					lines: [2]int{l.from, l.next}, Comment: waiting.take("")}
				lists[join(path)] = list
				r.Entries = append(r.Entries, list)
			case list == nil && twin != nil && !twin.dotted:
				return r.errorAt(l.from, "the table %s stands twice: remove one", Dotted(path))
			}
			waiting = nil
			if list != nil {
				in.opaque = true
				list.raw += r.text[l.from:l.next]
			} else {
				r.maps[join(path)] = in
			}
			continue
		}
		keys, at, err := r.flowKey(start)
		if err != nil {
			return err
		}
		for at < l.to && (r.text[at] == ' ' || r.text[at] == '\t') {
			at++
		}
		path := append(append([]string{}, in.path...), keys...)
		e, end, err := r.flowValue(at, path, in, !in.opaque)
		if err != nil {
			return err
		}
		line := n
		for r.lines[line].to < end {
			line++
		}
		next := r.lines[line].next
		tail := strings.TrimLeft(r.text[end:r.lines[line].to], " \t")
		behind := ""
		if tail != "" && tail[0] != '#' {
			return r.errorAt(end, "something stands behind the value")
		} else if tail != "" {
			behind = r.comment(r.lines[line].to-len(tail), r.lines[line].to)
		}
		n = line
		if in.opaque {
			list.raw += r.text[l.from:next]
			waiting = nil
			continue
		}
		e.Comment = waiting.take(behind)
		in.end = next
		if r.sep == "" {
			key := strings.TrimRight(r.text[start:strings.LastIndexByte(r.text[:at], '=')], " \t")
			r.sep = r.text[start+len(key) : at]
		}
		for i := range keys[:len(keys)-1] {
			above := path[:len(in.path)+i+1]
			if r.maps[join(above)] == nil {
				r.maps[join(above)] = &mapping{path: above, dotted: true}
			}
		}
		if e.Kind != "" {
			e.lines, e.member, e.raw, e.Line = [2]int{l.from, next}, -1, r.text[e.from:e.to], r.lineOf(l.from)
			r.Entries = append(r.Entries, e)
		}
	}
	if r.sep == "" {
		r.sep = " = "
	}
	return nil
}

// header reads the path of [a.b] or [[a.b]].
func (r *tomlReader) header(at, to int) (path []string, double bool, err error) {
	begin := at
	at++
	if double = at < to && r.text[at] == '['; double {
		at++
	}
	for {
		for at < to && (r.text[at] == ' ' || r.text[at] == '\t') {
			at++
		}
		if at < to && (r.text[at] == '"' || r.text[at] == '\'') {
			key, end, closed, err := r.quoted(at)
			if err != nil || !closed {
				return nil, false, r.errorAt(begin, "the name of the table has no end")
			}
			path, at = append(path, key), end
		} else {
			end := at
			for end < to && !strings.ContainsRune(".] \t", rune(r.text[end])) {
				end++
			}
			if !bareKey.MatchString(r.text[at:end]) {
				return nil, false, r.errorAt(begin, "%q is no name for a table", r.text[at:end])
			}
			path, at = append(path, r.text[at:end]), end
		}
		for at < to && (r.text[at] == ' ' || r.text[at] == '\t') {
			at++
		}
		if at < to && r.text[at] == '.' {
			at++
			continue
		}
		break
	}
	close := "]"
	if double {
		close = "]]"
	}
	tail, found := strings.CutPrefix(r.text[at:to], close)
	if tail = strings.TrimLeft(tail, " \t"); !found || tail != "" && tail[0] != '#' {
		return nil, false, r.errorAt(begin, "a bracket is missing, or something stands behind it")
	}
	if tail != "" {
		r.comment(to-len(tail), to)
	}
	return path, double, nil
}
