package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// emit writes a tree with the bytes that PyYAML writes for snapcraft, so that both ways to a snap give the same file.
// It returns an error for the few texts whose form in PyYAML it does not know.
func emit(root *yaml.Node) ([]byte, error) {
	e := &emitter{}
	e.mapping(root, 0)
	return []byte(e.out.String()), errors.Join(e.errs...)
}

type emitter struct {
	out  strings.Builder
	errs []error
}

const indentation = 2

func (e *emitter) mapping(node *yaml.Node, indent int) {
	for key, value := range pairs(node) {
		e.out.WriteString(strings.Repeat(" ", indent))
		e.entry(key, value, indent)
	}
}

// entry writes a key and its value. The indentation of the key is already written.
func (e *emitter) entry(key string, value *yaml.Node, indent int) {
	if !simple(key) {
		e.errs = append(e.errs, fmt.Errorf("cannot write the key %q", key))
	}
	e.out.WriteString(key + ":")
	switch {
	case value.Kind == yaml.ScalarNode:
		e.out.WriteString(" " + e.scalar(value, indent+len(key)+2, indent+indentation) + "\n")
	case len(value.Content) == 0 && value.Kind == yaml.MappingNode:
		e.out.WriteString(" {}\n")
	case len(value.Content) == 0:
		e.out.WriteString(" []\n")
	case value.Kind == yaml.MappingNode:
		e.out.WriteString("\n")
		e.mapping(value, indent+indentation)
	default:
		e.out.WriteString("\n")
		e.sequence(value, indent)
	}
}

// sequence writes a list at the indentation of its key.
func (e *emitter) sequence(node *yaml.Node, indent int) {
	for _, item := range node.Content {
		e.out.WriteString(strings.Repeat(" ", indent) + "- ")
		switch {
		case item.Kind == yaml.ScalarNode:
			e.out.WriteString(e.scalar(item, indent+2, indent+indentation) + "\n")
		case item.Kind == yaml.MappingNode && len(item.Content) > 0:
			first := true
			for key, value := range pairs(item) {
				if !first {
					e.out.WriteString(strings.Repeat(" ", indent+indentation))
				}
				first = false
				e.entry(key, value, indent+indentation)
			}
		default:
			e.errs = append(e.errs, errors.New("cannot write a list in a list"))
		}
	}
}

// scalar returns a value's text. The text begins at column; its further lines are indented.
func (e *emitter) scalar(node *yaml.Node, column, indent int) string {
	value := node.Value
	if node.Tag == "!!null" {
		return "null"
	}
	if node.Tag != "!!str" {
		return value
	}
	for _, char := range value {
		if (char < ' ' && char != '\n') || char > '~' {
			e.errs = append(e.errs, fmt.Errorf("cannot write %q: want printable ASCII", value))
			return ""
		}
	}
	if strings.Contains(value, "\n") {
		return e.literal(value, indent)
	}
	if simple(value) {
		// PyYAML reads YAML 1.1. Go's reader takes more texts for numbers: 08 is a string for PyYAML and a number for
		// Go.
		var read any
		if err := yaml.Unmarshal([]byte(value), &read); err != nil || read != value {
			e.errs = append(e.errs, fmt.Errorf("cannot write %q: not all readers of YAML take it for a text", value))
		}
		return fold(value, column, indent)
	}
	return fold("'"+strings.ReplaceAll(value, "'", "''")+"'", column, indent)
}

func (e *emitter) literal(value string, indent int) string {
	if strings.HasPrefix(value, " ") || strings.HasPrefix(value, "\n") || strings.Contains(value, " \n") ||
		strings.HasSuffix(value, " ") {
		e.errs = append(e.errs, fmt.Errorf("cannot write %q: white space before its first line or after one", value))
		return ""
	}
	body, ended := strings.CutSuffix(value, "\n")
	head := "|"
	switch {
	case !ended:
		head = "|-"
	case strings.HasSuffix(body, "\n"):
		head = "|+"
	}
	for _, line := range strings.Split(body, "\n") {
		head += "\n"
		if line != "" {
			head += strings.Repeat(" ", indent) + line
		}
	}
	return head
}

// fold breaks a line at the first single space behind column 80.
func fold(value string, column, indent int) string {
	const width = 80
	var out strings.Builder
	for i := range len(value) {
		char := value[i]
		single := char == ' ' && i > 0 && value[i-1] != ' ' && i+1 < len(value) && value[i+1] != ' '
		if single && column > width {
			out.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
			continue
		}
		out.WriteByte(char)
		column++
	}
	return out.String()
}

// other matches texts that YAML 1.1 reads as something else than a string.
var other = regexp.MustCompile(`^(?:` +
	`yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF` + // boolean
	`|~|null|Null|NULL|<<|=` +
	`|[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+` + // integer
	`|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+` + // base 60
	`|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?` + // float
	`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)` +
	`|[0-9]{4}-[0-9]{2}-[0-9]{2}` + // date and time
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?` +
	`(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?` +
	`)$`)

// simple reports whether a text of one line needs no quotes.
func simple(value string) bool {
	switch {
	case value == "", other.MatchString(value), strings.TrimSpace(value) != value:
		return false
	case strings.ContainsRune("#,[]{}&*!|>'\"%@`", rune(value[0])):
		return false
	case strings.ContainsRune("-?:", rune(value[0])) && (len(value) == 1 || value[1] == ' '):
		return false
	case strings.HasPrefix(value, "---"), strings.HasPrefix(value, "..."):
		return false
	}
	return !strings.Contains(value, ": ") && !strings.HasSuffix(value, ":") && !strings.Contains(value, " #")
}
