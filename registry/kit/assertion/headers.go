package assertion

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

var headerName = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// maxDepth is how deep lists and maps may stand in each other.
const maxDepth = 32

// Headers are lines of "name: text". Where nothing follows the colon, the value is below, further in by two: a list of
// "- item", a map of "name: value", or by four: a text of several lines.
const (
	step      = "  "
	multiline = "    "
)

// parseHeaders reads the headers of an assertion.
func parseHeaders(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("header is not utf8")
	}
	p := &parser{lines: strings.Split(string(text), "\n")}
	headers := map[string]any{}
	for len(p.lines) > 0 {
		name, value, err := p.entry("", 0)
		if err != nil {
			return nil, err
		}
		if _, twice := headers[name]; twice {
			return nil, fmt.Errorf("repeated header: %q", name)
		}
		headers[name] = value
	}
	return headers, nil
}

type parser struct{ lines []string }

// next takes the next line if it is indented by within, and returns it without.
func (p *parser) peek(within string) (string, bool) {
	if len(p.lines) == 0 {
		return "", false
	}
	return strings.CutPrefix(p.lines[0], within)
}

func (p *parser) skip() { p.lines = p.lines[1:] }

// entry reads "name: value" at an indentation.
func (p *parser) entry(within string, depth int) (string, any, error) {
	line, _ := p.peek(within)
	name, rest, found := strings.Cut(line, ":")
	if !found {
		return "", nil, fmt.Errorf("header entry missing ':' separator: %q", line)
	}
	if !headerName.MatchString(name) {
		return "", nil, fmt.Errorf("invalid header name: %q", name)
	}
	p.skip()
	value, err := p.value(name, rest, within, depth)
	return name, value, err
}

// value reads what follows a colon or a dash: in the same line, or in those below.
func (p *parser) value(name, rest, within string, depth int) (any, error) {
	if text, found := strings.CutPrefix(rest, " "); found {
		return text, nil
	}
	if rest != "" {
		return nil, fmt.Errorf("header entry should have a space or newline (for multiline) before value: %q", name+":"+rest)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("header %q is nested too deeply", name)
	}
	if _, found := p.peek(within + multiline); found {
		return p.text(within + multiline), nil
	}
	within += step
	first, found := p.peek(within)
	switch {
	case !found:
		return nil, fmt.Errorf("expected %d chars nesting prefix after multiline introduction %q", len(within), name+":")
	case strings.HasPrefix(first, "-"):
		return p.list(within, depth)
	default:
		return p.dict(within, depth)
	}
}

// text reads a text of several lines.
func (p *parser) text(within string) string {
	var lines []string
	for {
		line, found := p.peek(within)
		if !found {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, line)
		p.skip()
	}
}

func (p *parser) list(within string, depth int) (any, error) {
	list := []any{}
	for {
		line, found := p.peek(within)
		if !found {
			return list, nil
		}
		rest, found := strings.CutPrefix(line, "-")
		if !found {
			return nil, fmt.Errorf("expected %q", within+"-")
		}
		p.skip()
		item, err := p.value("-", rest, within, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
}

func (p *parser) dict(within string, depth int) (any, error) {
	dict := map[string]any{}
	for {
		if _, found := p.peek(within); !found {
			return dict, nil
		}
		name, value, err := p.entry(within, depth+1)
		if err != nil {
			return nil, err
		}
		if _, twice := dict[name]; twice {
			return nil, fmt.Errorf("repeated entry in map: %q", name)
		}
		dict[name] = value
	}
}
