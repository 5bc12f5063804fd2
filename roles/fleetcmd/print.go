package fleetcmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/internal/yamljson"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagOutput    = "output"
	flagNoHeaders = "no-headers"
)

func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Value: "table", Usage: "print as `table|wide|json|yaml|name`"},
		&cli.BoolFlag{Name: flagNoHeaders, Usage: "print tables without their first line"},
	}
}

// A printer prints the results of commands in the form that the user wants.
type printer struct {
	w        *bufio.Writer
	form     string // table, wide, json, yaml or name
	headers  bool
	paint    roles.Paint
	terminal bool
	width    int // columns of the terminal; 0 means no limit
	stderr   io.Writer
}

func newPrinter(env *roles.Env, form string, noHeaders bool) (*printer, error) {
	switch form {
	case "table", "wide", "json", "yaml", "name":
	default:
		return nil, roles.Usagef("invalid value %q for --%s: want table, wide, json, yaml or name", form, flagOutput)
	}
	return &printer{w: bufio.NewWriter(env.Stdout), form: form, headers: !noHeaders, paint: env.Paint(env.Stdout),
		terminal: roles.IsTerminal(env.Stdout), width: roles.Width(env.Stdout), stderr: env.Stderr}, nil
}

// isTable reports whether the output is for people.
func (p *printer) isTable() bool { return p.form == "table" || p.form == "wide" }

// A tone is the colour and weight of a word on a terminal.
type tone int

const (
	usual tone = iota
	good
	warn
	bad
	note
	faint
	bold
)

// A word is a cell of a table. Its text may come from anybody, so it is escaped.
type word struct {
	text string
	tone tone
}

func (p *printer) painted(text string, t tone) string {
	switch t {
	case good:
		return p.paint.Good(text)
	case warn:
		return p.paint.Warn(text)
	case bad:
		return p.paint.Bad(text)
	case note:
		return p.paint.Note(text)
	case faint:
		return p.paint.Faint(text)
	case bold:
		return p.paint.Bold(text)
	}
	return text
}

// A column of a table with rows of type T.
type column[T any] struct {
	head string
	cell func(T) word
	wide bool // only with -o wide
}

// printList prints a list as it arrives. many is the plural of its elements, for the message that there are none.
func printList[T any](p *printer, many string, columns []column[T], name func(T) string, list iter.Seq2[T, error]) error {
	var err error
	switch p.form {
	case "json":
		err = p.jsonList(encoded(list))
	case "yaml":
		err = p.yamlList(encoded(list))
	case "name":
		for element, failed := range list {
			if failed != nil {
				err = failed
				break
			}
			if _, err = fmt.Fprintln(p.w, plain.Line(name(element))); err != nil {
				break
			}
		}
	default:
		err = printTable(p, many, columns, list)
	}
	if flushed := p.w.Flush(); err == nil {
		err = flushed
	}
	return err
}

// shown escapes JSON or YAML for a terminal. For other outputs it returns the text unchanged, for programs.
func (p *printer) shown(text string, escape func(string) string) string {
	if p.terminal {
		return escape(text)
	}
	return text
}

// printOne prints a single result. table prints it for people.
func (p *printer) printOne(value any, name string, table func() error) error {
	var err error
	switch p.form {
	case "json", "yaml":
		var text []byte
		if text, err = jsonvalue.Encode(value); err != nil {
			return err
		}
		if p.form == "yaml" {
			if text, err = yamljson.Encode(text); err == nil {
				_, err = p.w.WriteString(p.shown(string(text), plain.Text))
			}
			break
		}
		var indented bytes.Buffer
		if err = json.Indent(&indented, text, "", "  "); err == nil {
			_, err = p.w.WriteString(p.shown(indented.String(), plain.JSON) + "\n")
		}
	case "name":
		_, err = fmt.Fprintln(p.w, plain.Line(name))
	default:
		err = table()
	}
	if flushed := p.w.Flush(); err == nil {
		err = flushed
	}
	return err
}

// line prints a line for people.
func (p *printer) line(format string, args ...any) {
	fmt.Fprintln(p.w, plain.Line(fmt.Sprintf(format, args...))) //nolint:errcheck // Flush returns the error
}

// fact prints a name and its values in one line.
func (p *printer) fact(name string, values ...word) {
	text := p.paint.Bold(fmt.Sprintf("%-12s", name))
	for _, value := range values {
		if value.text != "" {
			text += " " + p.painted(plain.Line(value.text), value.tone)
		}
	}
	fmt.Fprintln(p.w, strings.TrimRight(text, " ")) //nolint:errcheck // Flush returns the error
}

// tablePage is the number of rows that are laid out together. Later pages have columns that are at least as wide.
const tablePage = 500

func printTable[T any](p *printer, many string, columns []column[T], list iter.Seq2[T, error]) error {
	var head []word
	var shown []column[T]
	for _, c := range columns {
		if !c.wide || p.form == "wide" {
			shown = append(shown, c)
			head = append(head, word{c.head, bold})
		}
	}
	return p.table(many, head, func(yield func([]word, error) bool) {
		for element, err := range list {
			row := make([]word, len(shown))
			for i, c := range shown {
				if err == nil {
					row[i] = c.cell(element)
				}
			}
			if !yield(row, err) {
				return
			}
		}
	})
}

// table prints rows as they arrive, a page at a time.
func (p *printer) table(many string, head []word, list iter.Seq2[[]word, error]) error {
	widths := make([]int, len(head))
	var rows [][]word
	if p.headers {
		rows = append(rows, head)
	}
	flush := func() error {
		for _, row := range rows {
			for i, cell := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell.text))
			}
		}
		for _, row := range rows {
			if _, err := p.w.WriteString(p.row(row, widths)); err != nil {
				return err
			}
		}
		rows = rows[:0]
		return p.w.Flush()
	}
	empty := true
	for row, err := range list {
		if err != nil {
			if !empty {
				err = errors.Join(err, flush())
			}
			return err
		}
		for i := range row {
			row[i].text = plain.Line(row[i].text)
		}
		empty = false
		if rows = append(rows, row); len(rows) >= tablePage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if empty {
		_, err := fmt.Fprintf(p.stderr, "no %s\n", many)
		return err
	}
	return flush()
}

// row lays out a row. On a terminal it fits into one line unless the table is wide.
func (p *printer) row(cells []word, widths []int) string {
	var line strings.Builder
	column := 0
	for i, cell := range cells {
		text, pad := cell.text, widths[i]-utf8.RuneCountInString(cell.text)+2
		if p.width > 0 && p.form != "wide" {
			if column >= p.width {
				break
			}
			text = cut(text, p.width-column)
		}
		line.WriteString(p.painted(text, cell.tone))
		column += widths[i] + 2
		if i < len(cells)-1 && !empty(cells[i+1:]) && (p.width == 0 || column < p.width || p.form == "wide") {
			line.WriteString(strings.Repeat(" ", pad))
		}
	}
	return line.String() + "\n"
}

func empty(cells []word) bool {
	for _, cell := range cells {
		if cell.text != "" {
			return false
		}
	}
	return true
}

// cut shortens a text to a number of columns.
func cut(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	if columns < 1 {
		return ""
	}
	return string([]rune(text)[:columns-1]) + "…"
}
