package editor

import (
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
)

// A context is the place of a cursor in YAML or JSON. It is derived from the text before the cursor alone, since a document that is
// being typed is seldom valid.
type context struct {
	path   []string // keys that lead to the place; "[]" for an item of a list
	key    bool     // the place is for a key, otherwise for a value
	typed  string   // part of the key or value before the cursor, without an opening quote
	flow   bool     // the place is inside braces
	quoted bool     // the place is inside quotes
}

// contextAt returns the place of a cursor.
func contextAt(text *edit.Text, at document.Position) context {
	before := string(text.Bytes()[:text.Offset(at)])
	if trimmed := strings.TrimSpace(before); strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "{{") {
		f := flow{}
		f.scan([]rune(trimmedLeft(before)))
		return f.context(nil)
	}
	return blockContext(before)
}

func trimmedLeft(text string) string { return strings.TrimLeft(text, " \t\r\n") }

// A frame is a key, or the dash of a list, around the cursor.
type frame struct {
	indent int
	key    string
	list   bool
}

// keyed matches a key of YAML and its colon.
var keyed = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s:#{}\[\],'"|>-][^:#]*?|[^\s:#{}\[\],'"|>]\S*?)\s*:(?:[ \t]+|$)`)

// blockContext returns the place at the end of a text of YAML.
func blockContext(before string) context {
	var frames []frame
	rows := strings.Split(before, "\n")
	for number := 0; number < len(rows); number++ {
		row, last := strings.TrimRight(rows[number], "\r"), number == len(rows)-1
		column := len(row) - len(strings.TrimLeft(row, " "))
		rest := row[column:]
		if !last && (rest == "" || rest[0] == '#' || rest == "---") {
			continue
		}
		pop := func(ended func(f frame) bool) {
			for len(frames) > 0 && ended(frames[len(frames)-1]) {
				frames = frames[:len(frames)-1]
			}
		}
		for rest == "-" || strings.HasPrefix(rest, "- ") {
			pop(func(f frame) bool { return f.indent > column || f.indent == column && f.list })
			frames = append(frames, frame{column, "[]", true})
			spaces := len(rest) - 1 - len(strings.TrimLeft(rest[1:], " "))
			column += 1 + spaces
			rest = rest[1+spaces:]
		}
		value := rest
		found := keyed.FindStringSubmatch(rest)
		if found != nil || last && rest == "" || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "[") {
			pop(func(f frame) bool { return f.indent >= column })
		}
		if found != nil {
			frames = append(frames, frame{column, strings.Trim(found[1], `"'`), false})
			value = rest[len(found[0]):]
		}
		switch {
		case strings.HasPrefix(value, "{") || strings.HasPrefix(value, "["):
			f := flow{}
			f.scan([]rune(strings.Join(append([]string{value}, rows[number+1:]...), "\n")))
			if len(f.stack) > 0 {
				return f.context(frames)
			}
			number += strings.Count(string(f.passed), "\n")
		case strings.HasPrefix(value, "|") || strings.HasPrefix(value, ">"):
			for number+1 < len(rows)-1 && (strings.TrimSpace(rows[number+1]) == "" || len(rows[number+1])-len(strings.TrimLeft(rows[number+1], " ")) > column) {
				number++
			}
		}
		if !last {
			continue
		}
		c := context{path: keysOf(frames), key: found == nil, typed: value}
		if found == nil {
			c.typed = rest
		}
		if strings.HasPrefix(c.typed, `"`) || strings.HasPrefix(c.typed, "'") {
			c.typed, c.quoted = c.typed[1:], true
		}
		return c
	}
	return context{key: true}
}

func keysOf(frames []frame) []string {
	var keys []string
	for _, f := range frames {
		keys = append(keys, f.key)
	}
	return keys
}

// A flow scans maps and lists in brackets.
type flow struct {
	stack  []level // the open brackets
	token  []rune
	quote  rune
	passed []rune // the text up to the last bracket, if all are closed
}

type level struct {
	list  bool
	key   string
	value bool // the text is behind the colon of key
}

func (f *flow) scan(text []rune) {
	for i := 0; i < len(text); i++ {
		r := text[i]
		if f.quote != 0 {
			switch {
			case r == '\\' && f.quote == '"':
				f.token = append(f.token, r)
				if i++; i < len(text) {
					f.token = append(f.token, text[i])
				}
			case r == f.quote:
				f.quote = 0
			default:
				f.token = append(f.token, r)
			}
			continue
		}
		var top *level
		if len(f.stack) > 0 {
			top = &f.stack[len(f.stack)-1]
		}
		switch {
		case (r == '"' || r == '\'') && len(strings.TrimSpace(string(f.token))) == 0:
			f.quote, f.token = r, nil
		case r == '#' && i > 0 && strings.ContainsRune(" \t\n", text[i-1]):
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case r == '{' && i > 0 && text[i-1] == '$': // an alias
			for ; i < len(text) && text[i] != '}'; i++ {
				f.token = append(f.token, text[i])
			}
			if i < len(text) {
				f.token = append(f.token, '}')
			}
		case r == '{' || r == '[':
			f.stack, f.token = append(f.stack, level{list: r == '['}), nil
		case r == '}' || r == ']':
			f.token = nil
			if f.stack = f.stack[:max(0, len(f.stack)-1)]; len(f.stack) == 0 {
				f.passed = text[:i+1]
				return
			}
		case r == ',':
			f.token = nil
			if top != nil {
				top.key, top.value = "", false
			}
		case r == ':' && top != nil && !top.list && !top.value && (i+1 == len(text) || strings.ContainsRune(" \t\r\n\"", text[i+1])):
			top.key, top.value = strings.TrimSpace(string(f.token)), true
			f.token = nil
		default:
			f.token = append(f.token, r)
		}
	}
}

// context returns the place at the end of the scanned text. frames are around that text.
func (f *flow) context(frames []frame) context {
	c := context{path: keysOf(frames), flow: true, quoted: f.quote != 0, typed: strings.TrimLeft(string(f.token), " \t\r\n")}
	for i, l := range f.stack {
		last := i == len(f.stack)-1
		switch {
		case l.list:
			c.path = append(c.path, "[]")
		case l.value:
			c.path = append(c.path, l.key)
		case last:
			c.key = true
		}
	}
	return c
}

// under returns the rest of the path behind some keys; "*" stands for any key. ok is false if the path does not begin with them.
func (c context) under(keys ...string) (rest []string, ok bool) {
	if len(c.path) < len(keys) {
		return nil, false
	}
	for i, key := range keys {
		if key != "*" && key != c.path[i] {
			return nil, false
		}
	}
	return c.path[len(keys):], true
}

// is reports whether the path consists of these keys; "*" stands for any key.
func (c context) is(keys ...string) bool {
	rest, ok := c.under(keys...)
	return ok && len(rest) == 0
}

// defines reports whether a path inside "storage" leads to a definition of a type. names are the keys of the path that are names of
// entries. A key of a definition, such as "values", leads to the definition around it.
func defines(path []string) (names []string, ok bool) {
	ok = true
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case "schema", "aliases":
			if i+1 == len(path) {
				return names, false // the place is for a name
			}
			i++
			names = append(names, path[i])
		case "keys", "values", "type":
		case "[]": // one of several alternatives
		default:
			return names, false
		}
	}
	return names, ok
}

func contains(list []string, text string) bool { return slices.Contains(list, text) }
