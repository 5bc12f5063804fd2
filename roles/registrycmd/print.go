package registrycmd

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
)

// An outputShape is a form in which get prints a document.
type outputShape int

const (
	fitting  outputShape = iota // the form that suits the value
	document                    // -d
	list                        // -l
	typed                       // -t
)

// flag returns the long name of the shape's flag.
func (s outputShape) flag() string { return [...]string{"", "document", "list", "typed"}[s] }

// printDocument prints the values of the keys as snap get does: the value of a single key alone unless it is a map, and
// maps as a table on a terminal and as JSON elsewhere. A terminal gets values without control characters, which it
// would obey. Scripts get the values unchanged.
func printDocument(w io.Writer, values map[string]any, keys []string, shape outputShape, terminal bool,
	paint roles.Paint) error {
	switch shape {
	case document:
		return printValue(w, values, typed, terminal)
	case list:
		return printTable(w, values, len(keys) == 0, terminal, paint)
	}
	if len(keys) == 1 {
		if _, isMap := values[keys[0]].(map[string]any); !isMap {
			return printValue(w, values[keys[0]], shape, terminal)
		}
		if shape == typed || !terminal {
			return printValue(w, values, typed, terminal)
		}
	}
	if shape == fitting && terminal {
		return printTable(w, values, len(keys) == 0, terminal, paint)
	}
	return printValue(w, values, typed, terminal)
}

// printValue prints one value: JSON indented with tabs. It prints a string without quotes unless the shape asks for
// JSON.
func printValue(w io.Writer, value any, shape outputShape, terminal bool) error {
	text, isString := value.(string)
	if isString && shape != typed && shape != document {
		if terminal {
			text = plain.Text(text)
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}
	encoded, err := encode(value, "\t")
	if err != nil {
		return err
	}
	if terminal {
		encoded = plain.JSON(encoded)
	}
	_, err = io.WriteString(w, encoded)
	return err
}

// printTable prints a row for each value, with dotted keys: one level below the given keys, or the top level of a whole
// view. It prints deeper maps as {...}.
func printTable(w io.Writer, values map[string]any, whole, terminal bool, paint roles.Paint) error {
	var laidOut strings.Builder
	table := tabwriter.NewWriter(&laidOut, 5, 3, 2, ' ', 0)
	text := "Key\tValue\n"
	for _, row := range rows(values, whole) {
		shown := cell(row.value)
		if terminal {
			shown = plain.Line(shown)
		}
		text += row.key + "\t" + shown + "\n"
	}
	if _, err := io.WriteString(table, text); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	// Colours come last, because the table would count them as characters.
	head, rows, _ := strings.Cut(laidOut.String(), "\n")
	_, err := io.WriteString(w, paint.Bold(head)+"\n"+rows)
	return err
}

type row struct {
	key   string
	value any
}

func rows(values map[string]any, whole bool) []row {
	var list []row
	for _, key := range keysOf(values) {
		inner, isMap := values[key].(map[string]any)
		if !isMap || whole {
			list = append(list, row{key, values[key]})
			continue
		}
		for _, name := range keysOf(inner) {
			list = append(list, row{key + "." + name, inner[name]})
		}
	}
	// Keys are compared step by step: "a.b" comes before "a-b", since all of "a" belongs together.
	slices.SortFunc(list, func(a, b row) int {
		return slices.Compare(strings.Split(a.key, "."), strings.Split(b.key, "."))
	})
	return list
}

// cell returns a value in one line: maps as {...}, and lists as snap get prints them, in brackets and without commas.
func cell(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "{...}"
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = fmt.Sprint(item)
		}
		return "[" + strings.Join(items, " ") + "]"
	case nil:
		return "null"
	default:
		return fmt.Sprint(value)
	}
}
