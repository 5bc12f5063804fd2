package keep

import "strings"

// blank returns the offset behind spaces, line ends and comments between the values of a flow collection.
func (d *Document) blank(at int) (int, error) {
	for at < len(d.text) {
		switch c := d.text[at]; {
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			at++
		case c == '#' && d.format != JSON:
			end := at
			for end < len(d.text) && d.text[end] != '\n' && d.text[end] != '\r' {
				end++
			}
			d.comment(at, end)
			at = end
		case c == '/' && d.format == JSON:
			return 0, d.errorAt(at, "JSON has no comments: remove it")
		default:
			return at, nil
		}
	}
	return at, nil
}

// word returns the end of a text without quotes in a flow collection.
func (d *Document) word(at int) int {
	end := at
	for end < len(d.text) && !strings.ContainsRune(",]}\n\r", rune(d.text[end])) {
		if d.format == YAML && (strings.HasPrefix(d.text[end:], ": ") || strings.HasPrefix(d.text[end:], " #") || strings.ContainsRune("[{", rune(d.text[end]))) {
			break
		}
		if d.format != YAML && strings.ContainsRune(" \t#:=[{\"", rune(d.text[end])) && !(d.text[end] == ':' && d.format == TOML) {
			break
		}
		end++
	}
	return at + len(strings.TrimRight(d.text[at:end], " \t"))
}

// flowValue reads a value at an offset, with the values inside it. With keep false, inside a value of the kind Other, it records no
// entries.
func (d *Document) flowValue(at int, path []string, in *mapping, keep bool) (*Entry, int, error) {
	e := &Entry{Path: path, Line: d.lineOf(at), from: at, member: -1, in: in, lines: [2]int{at, at}}
	if at >= len(d.text) {
		return nil, 0, d.errorAt(at, "the file ends where a value is expected")
	}
	var err error
	switch c := d.text[at]; {
	case c == '{':
		return d.flowMapping(at, path, in, keep)
	case c == '[':
		return d.flowList(e)
	case strings.HasPrefix(d.text[at:], `"""`) || strings.HasPrefix(d.text[at:], "'''"):
		end := strings.Index(d.text[at+3:], d.text[at:at+3])
		if end < 0 {
			return nil, 0, d.errorAt(at, "the text has no end")
		}
		e.to = at + 3 + end + 3
		for e.to < len(d.text) && d.text[e.to] == c {
			e.to++
		}
		e.Kind, e.Why = Other, "a text over several lines"
	case c == '"' || c == '\'' && d.format != JSON:
		var closed bool
		var value string
		if value, e.to, closed, err = d.quoted(at); err != nil {
			return nil, 0, err
		}
		e.Value = value
		if !closed {
			return nil, 0, d.errorAt(at, "the text has no end in this line")
		}
		e.Kind = String
	case d.format == YAML && strings.ContainsRune("&*!|>%@`", rune(c)):
		e.to = d.word(at)
		e.Kind, e.Why = Other, "an anchor, an alias or a tag"
	default:
		e.to = d.word(at)
		if e.to == at && d.format != YAML {
			return nil, 0, d.errorAt(at, "a value is missing")
		}
		if e.Value, e.Kind, e.Why, err = d.scalarOf(d.text[at:e.to]); err != nil {
			return nil, 0, d.errorAt(at, "%v", err)
		}
	}
	return e, e.to, nil
}

// flowKey reads a key and the sign behind it. next is the offset behind the sign.
func (d *Document) flowKey(at int) (keys []string, next int, err error) {
	sign := byte(':')
	if d.format == TOML {
		sign = '='
	}
	for {
		if at >= len(d.text) {
			return nil, 0, d.errorAt(at, "a key is missing")
		}
		if c := d.text[at]; c == '"' || c == '\'' && d.format != JSON {
			key, end, closed, err := d.quoted(at)
			if err != nil {
				return nil, 0, err
			}
			if !closed {
				return nil, 0, d.errorAt(at, "the key has no end")
			}
			keys, at = append(keys, key), end
		} else {
			end := at
			for end < len(d.text) && !strings.ContainsRune("\n\r,]}[{#\"", rune(d.text[end])) && d.text[end] != sign &&
				!(d.format == TOML && d.text[end] == '.') {
				end++
			}
			key := strings.TrimRight(d.text[at:end], " \t")
			if key == "" || d.format == JSON || d.format == TOML && !bareKey.MatchString(key) || strings.ContainsRune("&*!?|>%@`<", rune(key[0])) {
				return nil, 0, d.errorAt(at, "the text is no key")
			}
			keys, at = append(keys, key), end
		}
		for at < len(d.text) && (d.text[at] == ' ' || d.text[at] == '\t' || d.format == JSON && strings.ContainsRune("\n\r", rune(d.text[at]))) {
			at++
		}
		if d.format == TOML && at < len(d.text) && d.text[at] == '.' {
			for at++; at < len(d.text) && (d.text[at] == ' ' || d.text[at] == '\t'); at++ {
			}
			continue
		}
		if at >= len(d.text) || d.text[at] != sign {
			return nil, 0, d.errorAt(min(at, len(d.text)), "%q is expected behind the key %q", string(sign), Dotted(keys))
		}
		return keys, at + 1, nil
	}
}

func (d *Document) flowMapping(at int, path []string, in *mapping, keep bool) (*Entry, int, error) {
	m := &mapping{path: path, flow: true, from: at}
	whole := &Entry{Path: path, Kind: "", from: at, in: m, Line: d.lineOf(at), member: -1}
	next, err := d.blank(at + 1)
	for {
		if err != nil {
			return nil, 0, err
		}
		if next >= len(d.text) {
			return nil, 0, d.errorAt(at, "the brace has no end")
		}
		if d.text[next] == '}' {
			break
		}
		begin, line := next, d.lineOf(next)
		var keys []string
		if keys, next, err = d.flowKey(next); err != nil {
			return nil, 0, err
		}
		if next, err = d.blank(next); err != nil {
			return nil, 0, err
		}
		if d.format == JSON && d.sep == "" {
			if d.sep = ":"; next > 0 && d.text[next-1] == ' ' {
				d.sep = ": "
			}
		}
		full := append(append([]string{}, path...), keys...)
		e, end, err := d.flowValue(next, full, m, keep)
		if err != nil {
			return nil, 0, err
		}
		if e.Kind != "" {
			e.in, e.member, e.Line = m, len(m.members), line
			if keep {
				e.raw = d.text[e.from:e.to]
				d.Entries = append(d.Entries, e)
			}
		}
		m.members = append(m.members, [2]int{begin, end})
		if next, err = d.flowComma(end, '}', "brace"); err != nil {
			return nil, 0, err
		}
	}
	m.to, whole.to = next+1, next+1
	if keep {
		if d.maps[join(path)] != nil {
			return nil, 0, d.errorAt(at, "%s stands twice: remove one", Dotted(path))
		}
		d.maps[join(path)] = m
	}
	return whole, m.to, nil
}

// flowComma reads the text behind a member of a map or an element of a list: a comma and white space, or white space up
// to the closing sign, which it does not read. name is the name of that sign in errors.
func (d *Document) flowComma(end int, closing byte, name string) (next int, err error) {
	if next, err = d.blank(end); err != nil {
		return 0, err
	}
	if next < len(d.text) && d.text[next] == ',' {
		comma := next
		if next, err = d.blank(comma + 1); err == nil && next < len(d.text) && d.text[next] == closing && d.format == JSON {
			err = d.errorAt(comma, "a comma stands before the closing %s", name)
		}
		return next, err
	}
	if next >= len(d.text) || d.text[next] != closing {
		return 0, d.errorAt(min(next, len(d.text)), "a comma or a %s is missing", name)
	}
	return next, nil
}

// flowList reads a list in brackets. If its elements are not of one kind, it becomes Other.
func (d *Document) flowList(e *Entry) (*Entry, int, error) {
	next, err := d.blank(e.from + 1)
	e.Kind, e.flow = List, true
	values := []any{}
	for {
		if err != nil {
			return nil, 0, err
		}
		if next >= len(d.text) {
			return nil, 0, d.errorAt(e.from, "the bracket has no end")
		}
		if d.text[next] == ']' {
			break
		}
		element, end, err := d.flowValue(next, e.Path, nil, false)
		if err != nil {
			return nil, 0, err
		}
		e.items = append(e.items, item{from: next, to: end, value: element.Value, kind: element.Kind})
		values = append(values, element.Value)
		if next, err = d.flowComma(end, ']', "bracket"); err != nil {
			return nil, 0, err
		}
	}
	e.to, e.Value = next+1, values
	e.setElement()
	return e, e.to, nil
}

// setElement sets the kind of a list's elements. If they have no common kind, the list becomes Other.
func (e *Entry) setElement() {
	for i, element := range e.items {
		kind := element.kind
		switch {
		case kind == "" || kind == List || kind == Other && element.value == nil && e.items[i].from == e.items[i].to:
			e.Why = "a list of lists or maps"
		case kind == Null || kind == Other || kind == Date:
			e.Why = "a list with a value of the kind " + string(kind)
		case e.Element == "" || e.Element == kind:
			e.Element = kind
		case (e.Element == Int || e.Element == Number) && (kind == Int || kind == Number):
			e.Element = Number
		default:
			e.Why = "a list of " + string(e.Element) + " and " + string(kind)
		}
	}
	if e.Why != "" {
		e.Kind, e.Value, e.Element = Other, nil, ""
	}
}

func (d *Document) readJSON() error {
	at, err := d.blank(0)
	if err != nil {
		return err
	}
	if at >= len(d.text) || d.text[at] != '{' {
		return d.errorAt(min(at, len(d.text)), "the file has no map of keys: it must begin with {")
	}
	_, end, err := d.flowValue(at, nil, nil, true)
	if err != nil {
		return err
	}
	if end, err = d.blank(end); err != nil {
		return err
	}
	if end < len(d.text) {
		return d.errorAt(end, "something stands behind the end of the map")
	}
	return nil
}
