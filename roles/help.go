package roles

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is the largest width of help texts, in columns.
const helpWidth = 100

// help prints a command's help to standard output, since the user asked for it.
func (f *frame) help(c *cli.Command) error {
	_, err := io.WriteString(f.env.Stdout, f.helpText(c))
	return err
}

// helpWord is the word that asks a group of commands for help: help, or help COMMAND….
const helpWord = "help"

// helpOf prints the help of the command below c that words lead to.
func (f *frame) helpOf(c *cli.Command, words []string) error {
	for _, word := range words {
		if strings.HasPrefix(word, "-") {
			continue // --help again
		}
		if len(c.Subcommands) == 0 {
			return &UsageError{Help: f.paths[c], Message: fmt.Sprintf("%s has no command %q", f.paths[c], word)}
		}
		below := c.Command(word)
		if below == nil {
			return f.unknownCommand(c, word)
		}
		c = below
	}
	return f.help(c)
}

// helpText returns a command's help: summary, paragraph, commands, flags, example. The example is in UsageText.
func (f *frame) helpText(c *cli.Command) string {
	var text strings.Builder
	path := f.paths[c]
	fmt.Fprintf(&text, "%s - %s\n\nUsage:\n  %s\n", path, c.Usage, synopsis(c, path))
	for paragraph := range strings.SplitSeq(strings.TrimSpace(c.Description), "\n\n") {
		if paragraph != "" {
			text.WriteString("\n" + strings.Join(wrap(paragraph, helpWidth), "\n") + "\n")
		}
	}
	var groups [2][]entry
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			index := 0
			if _, isRole := f.daemon(sub.Name); !isRole && path == Program {
				index = 1
			}
			groups[index] = append(groups[index], entry{sub.Name, sub.Usage})
		}
	}
	if path == Program {
		writeEntries(&text, "Roles", groups[0])
		writeEntries(&text, "Commands", groups[1])
	} else {
		writeEntries(&text, "Commands", groups[0])
	}
	var flags []entry
	for _, flag := range c.Flags {
		if line, ok := f.describeFlag(c, flag); ok {
			flags = append(flags, line)
		}
	}
	writeEntries(&text, "Flags", append(flags, entry{"--help, -h", "print this help"}))
	if c.UsageText != "" {
		text.WriteString("\nExample:\n")
		for line := range strings.Lines(strings.TrimSpace(c.UsageText)) {
			text.WriteString("  " + strings.TrimRight(line, "\n") + "\n")
		}
	}
	return text.String()
}

// daemon returns the role with this name. It does not find tools.
func (f *frame) daemon(name string) (Role, bool) {
	for _, role := range f.list {
		if role.Name == name && !role.Tool {
			return role, true
		}
	}
	return Role{}, false
}

func synopsis(c *cli.Command, path string) string {
	switch {
	case len(c.Subcommands) > 0:
		return path + " COMMAND …"
	case c.ArgsUsage != "":
		return path + " [FLAG …] " + c.ArgsUsage
	default:
		return path + " [FLAG …]"
	}
}

// An entry is a row of help: the words to type, and their description.
type entry struct{ left, right string }

func writeEntries(text *strings.Builder, title string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	left := 0
	for _, e := range entries {
		left = max(left, utf8.RuneCountInString(e.left))
	}
	text.WriteString("\n" + title + ":\n")
	for _, e := range entries {
		for i, line := range wrap(e.right, helpWidth-left-5) {
			if i > 0 {
				e.left = ""
			}
			fmt.Fprintf(text, "  %-*s   %s\n", left, e.left, line)
		}
	}
}

func (f *frame) describeFlag(c *cli.Command, flag cli.Flag) (entry, bool) {
	doc, ok := flag.(cli.DocGenerationFlag)
	if visible, is := flag.(cli.VisibleFlag); !ok || is && !visible.IsVisible() {
		return entry{}, false
	}
	var names []string
	for _, name := range flag.Names() {
		if len(name) == 1 {
			names = append(names, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	word, usage := placeholder(doc.GetUsage())
	left := strings.Join(names, ", ")
	if doc.TakesValue() {
		if word == "" {
			word = "VALUE"
		}
		left += " " + word
	}
	if value := doc.GetDefaultText(); doc.TakesValue() && value != "" && value != `""` &&
		!strings.Contains(usage, "(default: ") { // the usage describes the default better
		usage += " (default: " + strings.ReplaceAll(value, `"`, "") + ")" // cli quotes texts
	}
	if name := flag.Names()[0]; f.sourced(c, name) {
		usage += " [$" + strings.Join(variables(name), ", $") + "]"
	}
	return entry{left, usage}, true
}

// placeholder takes the word in backquotes out of a flag's usage, as cli does. A word with bars, such as text|json, is
// the list of all values: completion offers them.
func placeholder(usage string) (word, text string) {
	before, rest, found := strings.Cut(usage, "`")
	if !found {
		return "", usage
	}
	word, after, found := strings.Cut(rest, "`")
	if !found {
		return "", usage
	}
	return word, before + word + after
}

// wrap breaks a text into lines at spaces.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
