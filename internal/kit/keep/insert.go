package keep

import (
	"fmt"
	"slices"
	"strings"
)

// insert adds a key behind the last one of its map. It adds missing maps on the way.
func (d *Document) insert(c Change) (string, error) {
	depth := len(c.Path) - 1
	for depth > 0 && d.maps[join(c.Path[:depth])] == nil {
		depth--
	}
	m := d.maps[join(c.Path[:depth])]
	if m == nil || m.opaque {
		return "", fmt.Errorf("the file has no place for it")
	}
	text, err := d.literal(c.Value, c.Like)
	if err != nil {
		return "", err
	}
	for i := depth + 1; i < len(c.Path); i++ {
		switch e := d.Find(c.Path[:i]); {
		case e == nil:
		case e.Kind == Null && d.format == YAML && !e.in.flow:
			return d.addLines(e.lines[1], d.yamlLines(c.Path[i:], text, e.in.indent+d.unit())), nil
		default:
			return "", fmt.Errorf("line %d of the file has a value for %s, and no map", e.Line, Dotted(c.Path[:i]))
		}
	}
	rest := c.Path[depth:]
	switch {
	case m.flow:
		return d.insertFlow(m, rest, text), nil
	case d.format == YAML:
		return d.addLines(m.end, d.yamlLines(rest, text, m.indent)), nil
	}
	for m.dotted {
		depth--
		m = d.maps[join(c.Path[:depth])]
		if m != nil && !m.dotted {
			return d.addLines(m.end, m.indent+d.dottedKey(c.Path[depth:])+d.sep+text+d.eol), nil
		}
	}
	if len(rest) == 1 {
		return d.addLines(m.end, m.indent+d.keyLiteral(rest[0])+d.sep+text+d.eol), nil
	}
	header := strings.Join(c.Path[:len(c.Path)-1], ".")
	if d.format == TOML {
		header = d.dottedKey(c.Path[:len(c.Path)-1])
	}
	lines := "[" + header + "]" + d.eol + d.keyLiteral(c.Path[len(c.Path)-1]) + d.sep + text + d.eol
	if strings.TrimSpace(d.text) != "" {
		lines = d.eol + lines
	}
	return d.addLines(len(d.text), lines), nil
}

func (d *Document) dottedKey(path []string) string {
	var keys []string
	for _, key := range path {
		keys = append(keys, d.keyLiteral(key))
	}
	return strings.Join(keys, ".")
}

// addLines inserts lines at the beginning of a line, or at the end of the text. A last line without a line end gets one.
func (d *Document) addLines(at int, lines string) string {
	if at > 0 && d.text[at-1] != '\n' {
		lines = d.eol + lines
	}
	return d.splice(at, at, lines)
}

// unit returns the indentation of one level.
func (d *Document) unit() string {
	best := ""
	for _, m := range d.maps {
		if len(m.path) == 1 && !m.flow && m.indent != "" && (best == "" || len(m.indent) < len(best)) {
			best = m.indent
		}
	}
	if d.format == JSON {
		if root := d.maps[""]; len(root.members) > 0 {
			best = d.indentAt(root.members[0][0])
		}
	}
	if best == "" {
		return "  "
	}
	return best
}

func (d *Document) yamlLines(path []string, text, indent string) string {
	var out strings.Builder
	for i, key := range path {
		out.WriteString(indent + strings.Repeat(d.unit(), i) + d.keyLiteral(key) + ":")
		if i == len(path)-1 {
			out.WriteString(" " + text)
		}
		out.WriteString(d.eol)
	}
	return out.String()
}

// indentAt returns the spaces at the beginning of the line of an offset.
func (d *Document) indentAt(offset int) string {
	from := strings.LastIndexByte(d.text[:offset], '\n') + 1
	text := d.text[from:offset]
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))]
}

func (d *Document) insertFlow(m *mapping, rest []string, text string) string {
	wide := d.format == JSON && strings.Contains(d.text, "\n")
	indent := d.indentAt(m.from) + d.unit()
	if n := len(m.members); n > 0 {
		last := m.members[n-1]
		if strings.Contains(d.text[m.from:m.members[0][0]], "\n") {
			indent = d.indentAt(last[0])
			tail := d.text[last[1] : m.to-1]
			if comma := strings.IndexByte(tail, ','); comma >= 0 && !strings.Contains(tail[:comma], "#") {
				return d.splice(last[1]+comma+1, last[1]+comma+1, d.eol+indent+d.pair(rest, text, indent, wide)+",")
			}
			return d.splice(last[1], last[1], ","+d.eol+indent+d.pair(rest, text, indent, wide))
		}
		return d.splice(last[1], last[1], ", "+d.pair(rest, text, indent, false))
	}
	switch {
	case m.keyEnd > 0: // YAML: lines instead of braces
		from := m.from
		for d.text[from-1] == ' ' {
			from--
		}
		next := len(d.text)
		if i := strings.IndexByte(d.text[m.to:], '\n'); i >= 0 {
			next = m.to + i + 1
		}
		lines := d.yamlLines(rest, text, m.indent+d.unit())
		if d.text[next-1] != '\n' {
			lines = d.eol + lines
		}
		return d.text[:from] + d.text[m.to:next] + lines + d.text[next:]
	case wide:
		return d.splice(m.from, m.to, "{"+d.eol+indent+d.pair(rest, text, indent, true)+d.eol+d.indentAt(m.from)+"}")
	case d.format == TOML:
		return d.splice(m.from, m.to, "{ "+d.pair(rest, text, indent, false)+" }")
	}
	return d.splice(m.from, m.to, "{"+d.pair(rest, text, indent, false)+"}")
}

// pair returns a key and its value for a map in braces.
func (d *Document) pair(path []string, text, indent string, wide bool) string {
	sep := ": "
	if d.format != YAML && d.sep != "" {
		sep = d.sep
	}
	if d.format == TOML {
		return d.dottedKey(path) + " = " + text
	}
	if len(path) == 1 {
		return d.keyLiteral(path[0]) + sep + text
	}
	inner := indent + d.unit()
	if wide {
		return d.keyLiteral(path[0]) + sep + "{" + d.eol + inner + d.pair(path[1:], text, inner, true) + d.eol + indent + "}"
	}
	return d.keyLiteral(path[0]) + sep + "{" + d.pair(path[1:], text, inner, false) + "}"
}

// setList changes a list's elements. Equal elements at its beginning and its end keep their text.
func (d *Document) setList(e *Entry, list []any) (string, error) {
	n := len(e.items)
	prefix := 0
	for prefix < n && prefix < len(list) && Equal(e.items[prefix].value, list[prefix]) {
		prefix++
	}
	suffix := 0
	for suffix < n-prefix && suffix < len(list)-prefix && Equal(e.items[n-1-suffix].value, list[len(list)-1-suffix]) {
		suffix++
	}
	var texts []string
	for i, value := range list {
		like := ""
		switch {
		case i < prefix:
			texts = append(texts, d.text[e.items[i].from:e.items[i].to])
			continue
		case i >= len(list)-suffix:
			old := e.items[n-len(list)+i]
			texts = append(texts, d.text[old.from:old.to])
			continue
		case i < n-suffix:
			like = d.text[e.items[i].from:e.items[i].to]
		case n > 0:
			like = d.text[e.items[0].from:e.items[0].to]
		}
		text, err := d.literal(value, like)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	switch {
	case n == 0:
		return d.splice(e.from, e.to, "["+strings.Join(texts, ", ")+"]"), nil
	case len(texts) == 0:
		return "", fmt.Errorf("a list without elements: unset it")
	case !e.flow:
		return d.setLines(e, texts, prefix, suffix), nil
	case len(texts) == n:
		out := d.text
		for i := n - 1; i >= 0; i-- {
			out = out[:e.items[i].from] + texts[i] + out[e.items[i].to:]
		}
		return out, nil
	case slices.ContainsFunc(d.comments, func(c [2]int) bool { return c[0] > e.from && c[1] < e.to }):
		return "", fmt.Errorf("the list in line %d has comments between its elements: change it in the file", e.Line)
	}
	head, tail := d.text[e.from:e.items[0].from], d.text[e.items[n-1].to:e.to]
	sep := ", "
	if n > 1 {
		sep = d.text[e.items[0].to:e.items[1].from]
	} else if strings.Contains(head, "\n") {
		sep = "," + d.eol + d.indentAt(e.items[0].from)
	}
	return d.splice(e.from, e.to, head+strings.Join(texts, sep)+tail), nil
}

// setLines is setList for a list with one element on each line.
func (d *Document) setLines(e *Entry, texts []string, prefix, suffix int) string {
	n := len(e.items)
	start := strings.LastIndexByte(d.text[:e.items[0].from], '\n') + 1
	dash := d.text[start:e.items[0].from]
	same := min(n-suffix, len(texts)-suffix)
	out := d.text
	for i := n - suffix - 1; i >= same; i-- {
		from := strings.LastIndexByte(out[:e.items[i].from], '\n') + 1
		out = out[:from] + d.commentsIn(from, e.items[i].end, dash[:len(dash)-len(strings.TrimLeft(dash, " "))]) + out[e.items[i].end:]
	}
	if added := texts[same : len(texts)-suffix]; len(added) > 0 {
		at := start
		if same > 0 {
			at = e.items[same-1].end
		}
		lines := dash + strings.Join(added, d.eol+dash) + d.eol
		if at > 0 && out[at-1] != '\n' {
			lines = d.eol + lines
		}
		out = out[:at] + lines + out[at:]
	}
	for i := same - 1; i >= prefix; i-- {
		out = out[:e.items[i].from] + texts[i] + out[e.items[i].to:]
	}
	return out
}
