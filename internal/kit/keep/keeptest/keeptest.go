// Package keeptest makes random configuration files, and random changes of their values, for the tests of package keep and of the
// program in Python that does the same. Its functions are Text and Changes.
package keeptest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"aspects-poc/internal/kit/keep"
)

// A maker writes random configuration files in the styles of people: with comments, and various quotes, indentations and lists.
type maker struct {
	*rand.Rand
	format   keep.Format
	out      strings.Builder
	comments int
	sep      string
	eol      string
}

func pick[T any](m *maker, from ...T) T { return from[m.IntN(len(from))] }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

var keys = []string{"port", "listen_port", "Server", "logLevel", "url", "a.b", "enabled", "rate", "tags", "X-Header", "name", "path", "db", "extra key", "n2", "token"}

func (m *maker) keys(n int) []string {
	var list []string
	for _, i := range m.Perm(len(keys))[:n] {
		if key := keys[i]; m.format != keep.INI || !strings.Contains(key, " ") {
			list = append(list, key)
		}
	}
	return list
}

func (m *maker) key(key string) string {
	switch {
	case m.format == keep.JSON:
		return jsonText(key)
	case m.format == keep.TOML && strings.ContainsAny(key, ". "), m.format == keep.YAML && m.chance(10):
		return pick(m, `"`+key+`"`, `'`+key+`'`)
	}
	return key
}

func jsonText(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}

var words = []string{"info", "http://example.com:8080/a?b=c", "two words", "x", "/var/lib/a", "192.168.0.1", "a-b_c", "ünï", "10.0.0.0/8", "it's", "v1.2.3", "a, b", "100%"}

func (m *maker) text() string {
	word := pick(m, words...)
	switch m.format {
	case keep.JSON:
		return jsonText(word)
	case keep.INI:
		if m.chance(8) {
			return pick(m, `"one # two"`, `'a ; b'`, `"a", "b"`, "#ff0000", `"open # x`, ";x", `"x"y`)
		}
		return pick(m, word, word, `"`+word+`"`)
	case keep.TOML:
		if strings.Contains(word, "'") {
			return `"` + word + `"`
		}
		return pick(m, `"`+word+`"`, `"`+word+`"`, "'"+word+"'", `"tab\tquote\"A"`)
	}
	if m.chance(30) {
		return pick(m, `"`+word+`"`, "'"+strings.ReplaceAll(word, "'", "''")+"'", `"8080"`, `'true'`, `"a # b: c"`, `"t\tn\n"`, `""`, "''")
	}
	if strings.Contains(word, ", ") {
		return `"` + word + `"`
	}
	return word
}

func (m *maker) scalar() string {
	switch m.IntN(6) {
	case 0:
		return pick(m, "0", "8080", "-3", "65535", "9007199254740991")
	case 1:
		return pick(m, "1.5", "-0.25", "10.0")
	case 2:
		if m.format == keep.YAML || m.format == keep.INI {
			return pick(m, "true", "false", "True", "yes", "no", "on", "off")
		}
		return pick(m, "true", "false")
	}
	return m.text()
}

func (m *maker) list(multi bool) string {
	var parts []string
	element := pick(m, m.text, func() string { return pick(m, "1", "2", "30") })
	for range m.IntN(4) {
		word := element()
		if strings.Contains(word, "?") && m.format == keep.YAML {
			word = `"a?b"` // parsers of YAML differ on it in brackets
		}
		parts = append(parts, word)
	}
	if multi && len(parts) > 0 && m.chance(50) {
		last := pick(m, "", ",")
		if m.format == keep.JSON {
			last = ""
		}
		return "[" + m.eol + "      " + strings.Join(parts, ","+m.eol+"      ") + last + m.eol + "    ]"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (m *maker) comment(indent string) {
	sign := "#"
	if m.format == keep.INI {
		sign = pick(m, "#", ";")
	}
	for m.chance(25) {
		m.comments++
		fmt.Fprintf(&m.out, "%s%s comment %d: with = signs%s", indent, sign, m.comments, m.eol)
	}
	if m.chance(15) {
		m.out.WriteString(m.eol)
	}
}

func (m *maker) end() {
	if m.format != keep.JSON && m.chance(20) {
		m.comments++
		fmt.Fprintf(&m.out, "%s# behind %d", pick(m, " ", "  "), m.comments)
	}
	m.out.WriteString(m.eol)
}

func (m *maker) yaml(indent string, depth int) {
	keys := m.keys(1 + m.IntN(5))
	for _, key := range keys {
		m.comment(indent)
		m.out.WriteString(indent + m.key(key) + ":")
		switch {
		case depth < 3 && m.chance(30):
			m.end()
			m.yaml(indent+pick(m, "  ", "    "), depth+1)
		case m.chance(20):
			m.end()
			dash := indent + pick(m, "", "  ") + "- "
			for range 1 + m.IntN(3) {
				m.out.WriteString(dash + m.text())
				m.end()
			}
		case m.chance(15):
			m.out.WriteString(" " + m.list(false))
			m.end()
		case m.chance(10):
			m.out.WriteString(pick(m, " null", " ~", ""))
			m.end()
		case m.chance(8):
			m.out.WriteString(" |" + m.eol + indent + "   text # here" + m.eol + indent + "   more: text" + m.eol)
		case m.chance(5):
			m.end()
			m.out.WriteString(indent + "  - name: one" + m.eol + indent + "    port: 2" + m.eol)
		case m.chance(6):
			m.out.WriteString(" {a: 1, b: two, c: [x, y]}")
			m.end()
		case m.chance(5):
			m.out.WriteString(" 2024-05-01")
			m.end()
		default:
			m.out.WriteString(" " + m.scalar())
			m.end()
		}
	}
}

func (m *maker) json(indent string, depth int) {
	keys := m.keys(m.IntN(5))
	if len(keys) == 0 {
		m.out.WriteString("{}")
		return
	}
	m.out.WriteString("{" + m.eol)
	for i, key := range keys {
		m.out.WriteString(indent + "  " + m.key(key) + ": ")
		switch {
		case depth < 3 && m.chance(30):
			m.json(indent+"  ", depth+1)
		case m.chance(20):
			m.out.WriteString(m.list(true))
		case m.chance(10):
			m.out.WriteString(pick(m, "null", `[{"a": 1}, 2]`))
		default:
			m.out.WriteString(m.scalar())
		}
		if i < len(keys)-1 {
			m.out.WriteString(",")
		}
		m.out.WriteString(m.eol)
	}
	m.out.WriteString(indent + "}")
}

func (m *maker) ini() {
	for _, key := range m.keys(m.IntN(3)) {
		m.comment("")
		m.out.WriteString(key + m.sep + m.scalar())
		m.end()
	}
	for i := range 1 + m.IntN(3) {
		m.comment("")
		fmt.Fprintf(&m.out, "[%s%d]%s", pick(m, "main", "Client", "a b"), i, m.eol)
		for _, key := range m.keys(m.IntN(6)) {
			m.comment("")
			m.out.WriteString(key + m.sep + m.scalar())
			m.end()
		}
	}
}

func (m *maker) tomlKeys(n int) {
	for _, key := range m.keys(n) {
		m.comment("")
		m.out.WriteString(m.key(key) + m.sep)
		switch {
		case m.chance(25):
			m.out.WriteString(m.list(true))
		case m.chance(10):
			m.out.WriteString(pick(m, "2024-05-01", "2024-05-01T10:00:00Z", "10:00:00", "0x1f", "1_000", "1e3", "[1, 'a']"))
		case m.chance(8):
			m.out.WriteString(`{ a = 1, b.c = "x" }`)
		case m.chance(5):
			m.out.WriteString(`"""` + m.eol + "more # text" + m.eol + `"""`)
		default:
			word := m.scalar()
			m.out.WriteString(word)
		}
		m.end()
	}
}

func (m *maker) toml() {
	m.tomlKeys(m.IntN(4))
	for i := range m.IntN(4) {
		m.comment("")
		if m.chance(15) {
			fmt.Fprintf(&m.out, "[[list%d]]%sa = 1%s[list%d.sub]%sb = 2%s", i, m.eol, m.eol, i, m.eol, m.eol)
			continue
		}
		fmt.Fprintf(&m.out, "[%s%d%s]", pick(m, "table", "Table", `"c.d"`+".t"), i, pick(m, "", ".sub"))
		m.end()
		m.tomlKeys(m.IntN(5))
		if m.chance(20) {
			m.out.WriteString("dotted.key" + m.sep + "1" + m.eol)
		}
	}
}

// Text returns a random file. A file and its changes are the same for the same seed.
func Text(format keep.Format, seed uint64) string {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), format: format, eol: "\n"}
	if m.chance(10) {
		m.eol = "\r\n"
	}
	m.sep = pick(m, " = ", "=", "  =  ")
	if format == keep.INI {
		m.sep = pick(m, " = ", "=", ": ")
	}
	switch format {
	case keep.YAML:
		if m.chance(20) {
			m.out.WriteString("---" + m.eol)
		}
		m.yaml("", 0)
	case keep.JSON:
		m.json("", 0)
		m.out.WriteString(m.eol)
	case keep.INI:
		m.ini()
	case keep.TOML:
		m.toml()
	}
	text := m.out.String()
	if m.chance(10) {
		text = strings.TrimSuffix(text, m.eol)
	}
	return text
}

var newTexts = []string{"debug", "with # sign", "a: b", " space", "yes", "null", "8080", "1e3", "", "ünï", "it's \"so\"", "back\\slash", "line\nbreak", "-dash",
	"[x]", "{y}", "true", "tab\there", "*x", "2024-05-01", "::", "a:", "0x10", "12:30", "~", "\u007f\u0085", "#x", "x;", "'q'", "😀"}

// newValue returns a random value of a kind.
func newValue(m *maker, kind, element keep.Kind) any {
	switch kind {
	case keep.Bool:
		return m.chance(50)
	case keep.Int:
		return json.Number(pick(m, "1", "-7", "0", "443"))
	case keep.Number:
		return json.Number(pick(m, "2", "0.125", "-3.5", "1e+21", "1e-7"))
	case keep.Date:
		return nil
	case keep.List:
		if element == "" {
			element = keep.String
		}
		list := []any{}
		for range 1 + m.IntN(4) {
			list = append(list, newValue(m, element, ""))
		}
		return list
	}
	return pick(m, newTexts...)
}

// Changes returns random changes of the values in a file: other values, removed keys, and keys that are removed and set again. They
// are the same for the same seed.
func Changes(format keep.Format, text string, doc *keep.Document, seed uint64) []keep.Change {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 2)), format: format}
	var list []keep.Change
	for _, e := range doc.Entries {
		if e.Kind == keep.Other || !m.chance(40) {
			continue
		}
		c := keep.Change{Path: e.Path, Like: doc.Literal(e)}
		if m.chance(25) {
			list = append(list, c)
			if m.chance(50) {
				continue
			}
		}
		if c.Value = newValue(m, e.Kind, e.Element); c.Value != nil {
			list = append(list, c)
		}
	}
	return list
}
