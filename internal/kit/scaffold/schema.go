package scaffold

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/kit/keep"
)

// schema returns the confdb-schema as YAML.
func (w *Wrapped) schema() string {
	var out strings.Builder
	fmt.Fprintf(&out, `# The confdb-schema of %[1]s: the values of %[2]s. The file has the values, and confdb asks the hooks of %[1]s-custodian for
# them (ephemeral). "decide" marks what the file does not tell. After a change raise the revision, and see what a published
# one must not lose: aspects-poc registry lint --against git:HEAD %[1]s.yaml custodian observer
`, w.Name, w.File)
	for i, left := range w.Left {
		if i == 0 {
			out.WriteString("#\n# Not here, because the hooks cannot change them safely; they stay in the file as they are:\n")
		}
		fmt.Fprintf(&out, "#   %s\n", strings.Join(strings.Fields(left), " "))
	}
	fmt.Fprintf(&out, "name: %s\naccount-id: %s\nrevision: 1\nsummary: Settings in %s\nviews:\n", jsonOf(w.Name), jsonOf(w.Account), w.File)
	view := func(name, summary, access string, want func(field) (bool, string)) {
		fmt.Fprintf(&out, "  %s:\n    summary: %s\n    rules:\n", name, summary)
		for _, f := range w.Fields {
			if is, own := want(f); is {
				if own == "" {
					own = access
				}
				fmt.Fprintf(&out, "      - {request: %s, storage: v1.%s%s}\n", quoteKey(f.Request), f.Request, own)
			}
		}
	}
	view(w.Name+"-admin", "All settings, to be read and written", "", func(f field) (bool, string) {
		if f.Secret {
			return true, ", access: write"
		}
		return true, ""
	})
	view(w.Name+"-state", "All settings but secrets, to be read", ", access: read", func(f field) (bool, string) { return !f.Secret, "" })
	if w.Secrets() {
		view(w.Name+"-secrets-state", "The secrets, for the custodian only", ", access: read",
			func(f field) (bool, string) { return f.Secret, "" })
	}
	out.WriteString("storage:\n  schema:\n    v1: # views hide this step: a new layout can live beside the old one\n      ephemeral: true\n      schema:\n")
	w.root.types(&out, "        ", func(n *node) bool {
		return slices.ContainsFunc(w.Fields, func(f field) bool { return f.Entry == n.entry && f.Secret })
	})
	return out.String()
}

// quoteKey returns a name for YAML, in quotes if YAML would read it as another type.
func quoteKey(name string) string {
	if slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, name) {
		return `"` + name + `"`
	}
	return name
}

// types writes the storage schema of the keys below a node, as YAML.
func (n *node) types(out *strings.Builder, indent string, secret func(*node) bool) {
	for _, child := range n.below {
		why := ""
		if child.name != child.key {
			why = " # " + quoted(child.key) + " in the file"
		}
		fmt.Fprintf(out, "%s%s:%s\n", indent, quoteKey(child.name), why)
		if child.entry == nil {
			fmt.Fprintf(out, "%s  schema:\n", indent)
			child.types(out, indent+"    ", secret)
			continue
		}
		lines, decide := typeOf(child)
		if secret(child) {
			lines = append(lines, "visibility: secret")
		}
		if decide != "" {
			lines[0] += " # decide: " + decide
		}
		for _, line := range lines {
			fmt.Fprintf(out, "%s  %s\n", indent, line)
		}
	}
}

// quoted returns a key as one line of a comment.
func quoted(key string) string {
	text, err := json.Marshal(key)
	if err != nil {
		return "?"
	}
	return string(text)
}

var (
	choiceWords = regexp.MustCompile(`(?i)\b(?:one of|choices(?: are)?|(?:allowed|possible|valid|supported) values(?: are)?|allowed)\b[:\s]+([^.\n]+)`)
	choiceBars  = regexp.MustCompile(`(?m)^\(?([A-Za-z0-9_-]+(?:\s*\|\s*[A-Za-z0-9_-]+)+)\)?$`)
	choiceSplit = regexp.MustCompile(`\s*(?:,\s*or\s|,\s*and\s|,|\||/|\sor\s|\sand\s)\s*`)
	choiceForm  = regexp.MustCompile(`^[A-Za-z0-9_+-]+$`)
)

// choices returns the values that an entry's comment lists as the only ones. It returns nil if the entry's value is not among them.
func choices(e *keep.Entry) []string {
	text, is := e.Value.(string)
	if !is {
		return nil
	}
	found := choiceWords.FindStringSubmatch(e.Comment)
	if found == nil {
		found = choiceBars.FindStringSubmatch(e.Comment)
	}
	if found == nil {
		return nil
	}
	list := choiceSplit.Split(strings.TrimRight(strings.TrimSpace(found[1]), ")"), -1)
	for i, word := range list {
		list[i] = strings.Trim(strings.TrimSpace(word), "\"'`")
	}
	if len(list) < 2 || !slices.Contains(list, text) || slices.ContainsFunc(list, func(w string) bool { return !choiceForm.MatchString(w) }) {
		return nil
	}
	return list
}

func lastWord(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }

// typeOf returns the lines of a type, and the decision about it that is left to a person; "" for none.
func typeOf(n *node) (lines []string, decide string) {
	e, word := n.entry, lastWord(n.name)
	number := func(kind keep.Kind) string {
		f := 0.0
		if v, is := e.Value.(json.Number); is {
			f, _ = v.Float64() // it was read as a number
		}
		switch {
		case kind == keep.Int && word == "port" && f >= 0 && f <= 65535:
			lines = append(lines, fmt.Sprintf("min: %d", min(1, int(f))), "max: 65535")
		case (word == "percent" || word == "percentage") && f >= 0 && f <= 100:
			lines = append(lines, "min: 0", "max: 100")
		default:
			return "min and max"
		}
		return ""
	}
	switch e.Kind {
	case keep.Bool:
		return []string{"type: bool"}, ""
	case keep.Int, keep.Number:
		lines = []string{"type: " + string(e.Kind)}
		decide = number(e.Kind)
		return lines, decide
	case keep.Null:
		return []string{"type: string"}, "the type: the file has no value"
	case keep.Date:
		return []string{"type: string", "pattern: " + keep.DatePattern(e.Value.(string))}, ""
	case keep.List:
		element := string(e.Element)
		if element == "" {
			return []string{"type: array", "values: string"}, "the type of the elements: the file has none"
		}
		return []string{"type: array", "values: " + element}, ""
	}
	lines = []string{"type: string"}
	if list := choices(e); list != nil {
		text, err := json.Marshal(list)
		if err == nil {
			return append(lines, "choices: "+string(text)), ""
		}
	}
	switch {
	case slices.Contains([]string{"level", "mode", "type", "kind", "protocol", "scheme", "format", "backend"}, word):
		decide = "choices"
	case slices.Contains([]string{"url", "uri", "endpoint", "address", "host", "hostname", "server", "path", "file", "dir", "email", "id"}, word):
		decide = "a pattern"
	}
	return lines, decide
}
