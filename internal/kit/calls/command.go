package calls

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
)

// printing are commands that do not run their arguments.
var printing = []string{"echo", "printf", "logger", ":", "which", "type", "command -v", "grep"}

// command follows a command line. It may call snapctl, also behind a command such as timeout, call a function of the script, or
// run a script in an argument.
func (e *evaluator) command(s *state, words []word, at document.Position) flow {
	if len(words) == 0 {
		return on
	}
	name := words[0].text
	if f := e.functions[name]; f != nil && f.parameters == nil {
		var args arguments
		for _, w := range words[1:] {
			args.positional = append(args.positional, value{words: []word{w}})
		}
		return e.function(s, f, args, true, at)
	}
	base := path.Base(name)
	switch {
	case slices.Contains(printing, base):
		return on
	case base == "shift":
		shift(s, words[1:])
		return on
	case base == "eval":
		e.script(s, shell, join(words[1:]), at)
		return on
	}
	if i := slices.IndexFunc(words, func(w word) bool { return w.text == "-c" }); i > 0 && i+1 < len(words) {
		for _, w := range words[:i] {
			if base := path.Base(w.text); strings.HasSuffix(base, "sh") || strings.HasPrefix(base, "python") {
				e.script(s, interpreter([]string{w.text}), hideUnknown(words[i+1].text), at)
				return on
			}
		}
	}
	if i := slices.IndexFunc(words, func(w word) bool { return path.Base(w.text) == "snapctl" }); i >= 0 {
		e.snapctl(s, words[i], words[i+1:])
	}
	return on
}

// hideUnknown replaces unknown parts of a script's text by a variable without a known value, so that the text can be parsed.
func hideUnknown(text string) string { return strings.ReplaceAll(text, unknown, hidden) }

const hidden = "${_}"

// join returns words as the text of a script.
func join(words []word) string {
	var texts []string
	for _, w := range words {
		texts = append(texts, hideUnknown(w.text))
	}
	return strings.Join(texts, " ")
}

// shift follows the command shift, whose argument is by.
func shift(s *state, by []word) {
	n := 1
	if len(by) > 0 {
		n, _ = strconv.Atoi(by[0].text)
	}
	all := s.variables["@"].words
	if slices.ContainsFunc(all, func(w word) bool { return w.many }) {
		return
	}
	all = all[min(max(n, 0), len(all)):]
	for i := 1; i < 10; i++ {
		v := value{}
		if i <= len(all) {
			v.words = all[i-1 : i]
		}
		s.variables[strconv.Itoa(i)] = v
	}
	s.variables["@"], s.variables["*"] = value{words: all, list: true}, value{words: all, list: true}
}

// valued are the flags of snapctl whose value is the next word.
var valued = []string{"--default", "--with", "--wait-for"}

// requests returns the requests that are written out. It ends at a word that the shell may split, because a later word may then
// be the value of a flag.
func requests(c Call, words []word) []string {
	var list []string
	for _, w := range words {
		if w.many || w.splits && !strings.Contains(w.text, "=") {
			break
		}
		request := w.text
		if request == c.Plug {
			continue
		}
		if c.Verb == "set" {
			key, _, pair := strings.Cut(request, "=")
			if request = key; !pair {
				request = strings.TrimSuffix(key, "!")
			}
		}
		if request != "" && !strings.Contains(request, unknown) && !slices.Contains(list, request) {
			list = append(list, request)
		}
		if w.splits {
			break
		}
	}
	return list
}

// options returns the options of the snap that are written out.
func options(c Call, words []word) []Option {
	var list []Option
	for _, w := range words {
		if w.many || w.splits {
			break
		}
		key, text, _ := strings.Cut(w.text, "=")
		if c.Verb == "set" {
			key = strings.TrimSuffix(key, "!")
		}
		if strings.Contains(text, unknown) {
			text = ""
		}
		if key != "" && !strings.Contains(key, unknown) && !strings.ContainsAny(key, ":$ ") {
			list = append(list, Option{key, text})
		}
	}
	return list
}

// snapctl follows a call of snapctl with these words behind its name, and records it.
func (e *evaluator) snapctl(s *state, name word, words []word) {
	if len(words) > 1 && words[0].text == "is-connected" {
		plug := words[len(words)-1].text
		if strings.Contains(plug, unknown) {
			plug = ""
		}
		s.asked[plug] = true
	}
	if len(words) == 0 || !slices.Contains([]string{"get", "set", "unset", "fail"}, words[0].text) {
		return
	}
	c := Call{Verb: words[0].text, At: name.at, May: s.doubt}
	if words[0].given {
		c.At = words[0].at
	}
	var others []word
	flags, skip := true, false
	for _, w := range words[1:] {
		if skip {
			skip = false
			continue
		}
		switch {
		case flags && w.text == "--view":
			c.View = true
		case flags && strings.HasPrefix(w.text, "--view="):
			c.View, c.ViewValue, c.Plug = true, true, strings.TrimPrefix(w.text, "--view=")
		case flags && w.text == "--previous":
			c.Previous = true
		case flags && w.text == "--":
			flags = false
		case flags && strings.HasPrefix(w.text, "-") && w.text != "-":
			skip = slices.Contains(valued, w.text) // the next word is its value
		default:
			others = append(others, w)
		}
	}
	if c.Verb == "fail" {
		c.Several = len(others) > 1 || len(others) == 1 && (others[0].splits && others[0].text != "" || others[0].many)
	} else if c.Plug == "" {
		plug := plugOf(others)
		if c.Plug = plug.text; plug.given {
			c.At = plug.at
		}
	}
	if strings.Contains(c.Plug, unknown) {
		c.Plug = ""
	}
	if c.View && c.Plug != "" {
		c.Requests = requests(c, others)
	}
	if !c.View && c.Verb != "fail" && !strings.HasPrefix(c.Plug, ":") {
		c.Options = options(c, others)
	}
	c.Asked = s.asked[""] || s.asked[strings.TrimPrefix(c.Plug, ":")]
	known := e.record(c)
	if c.Verb == "fail" {
		s.failed = []*Call{known} // the last fail counts
	}
	if c.Writes() {
		known.Again = known.Again || s.written && !e.loose
		s.written = true
	}
}

// record adds a call, or merges it with the recorded call at the same place, and returns the result. The evaluator may reach a
// place several times.
func (e *evaluator) record(c Call) *Call {
	for i, known := range e.found {
		if known.At == c.At && known.Verb == c.Verb && known.Plug == c.Plug && known.View == c.View {
			switch {
			case c.May && !known.May: // the recorded call is certain
				return &c
			case known.May && !c.May:
				e.found[i] = &c
				return &c
			}
			known.Several = known.Several || c.Several
			known.Asked = known.Asked && c.Asked
			for _, option := range c.Options {
				if !slices.Contains(known.Options, option) {
					known.Options = append(known.Options, option)
				}
			}
			for _, request := range c.Requests {
				if !slices.Contains(known.Requests, request) {
					known.Requests = append(known.Requests, request)
				}
			}
			return known
		}
	}
	e.found = append(e.found, &c)
	return &c
}

// plugOf returns the plug among the words that are no flags: the first word with a colon, otherwise the first word. --view has no
// value, and may be before or behind the plug.
func plugOf(words []word) word {
	for _, w := range words {
		if strings.HasPrefix(w.text, ":") {
			return w
		}
		if w.many || strings.HasPrefix(w.text, unknown) {
			return word{text: unknown} // it may be the plug
		}
	}
	if len(words) > 0 {
		return words[0]
	}
	return word{}
}

// use follows a call of a function: one of the script, or one that runs a command.
func (e *evaluator) use(s *state, c call) flow {
	args := c.args(s)
	if f := e.functions[c.name]; f != nil && f.parameters != nil {
		return e.function(s, f, args, true, c.at)
	}
	all := args.positional
	if given, ok := args.named["args"]; ok {
		all = append(slices.Clone(all), given)
	}
	words := flat(all)
	for _, v := range all {
		if len(v.words) == 0 {
			continue
		}
		switch {
		case v.list && isSnapctl(v.words[0]), v.list && len(v.words) > 2 && v.words[1].text == "-c":
			return e.command(s, v.words, c.at)
		case v.list:
			if i := slices.IndexFunc(v.words, isSnapctl); i >= 0 {
				return e.command(s, v.words[i:], c.at)
			}
		case strings.HasPrefix(strings.TrimSpace(v.words[0].text), "snapctl ") || strings.Contains(v.words[0].text, "/snapctl "):
			e.script(s, shell, hideUnknown(v.words[0].text), v.words[0].at)
			return on
		}
	}
	if i := slices.IndexFunc(words, isSnapctl); i >= 0 {
		return e.command(s, words[i:], c.at)
	}
	return on
}

func isSnapctl(w word) bool { return w.text == "snapctl" || strings.HasSuffix(w.text, "/snapctl") }
