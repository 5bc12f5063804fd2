package roles

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// help prints a command's help on standard output: it was asked for.
func (f *frame) help(c *cli.Command) error {
	_, err := io.WriteString(f.env.Stdout, helpText(c))
	return err
}

// helpText is a command's help: summary, paragraph, commands, flags, example. A command keeps its example in UsageText,
// which cli itself would show as its synopsis.
func helpText(c *cli.Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s - %s\n\nUsage:\n  %s\n", c.HelpName, c.Usage, synopsis(c))
	if c.Description != "" {
		fmt.Fprintf(&text, "\n%s\n", strings.TrimSpace(c.Description))
	}
	if len(c.Subcommands) > 0 {
		text.WriteString("\nCommands:\n")
		table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
		for _, sub := range c.Subcommands {
			if !sub.Hidden {
				fmt.Fprintf(table, "  %s\t%s\n", sub.Name, sub.Usage)
			}
		}
		table.Flush()
	}
	text.WriteString("\nFlags:\n")
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, flag := range c.Flags {
		writeFlag(table, c, flag)
	}
	fmt.Fprintf(table, "  --help, -h\tprint this help\n")
	table.Flush()
	if c.UsageText != "" {
		text.WriteString("\nExample:\n")
		for line := range strings.Lines(strings.TrimSpace(c.UsageText)) {
			text.WriteString("  " + strings.TrimSpace(line) + "\n")
		}
	}
	return text.String()
}

func synopsis(c *cli.Command) string {
	switch {
	case len(c.Subcommands) > 0:
		return c.HelpName + " COMMAND …"
	case c.ArgsUsage != "":
		return c.HelpName + " [FLAG …] " + c.ArgsUsage
	default:
		return c.HelpName + " [FLAG …]"
	}
}

func writeFlag(w io.Writer, c *cli.Command, flag cli.Flag) {
	doc, ok := flag.(cli.DocGenerationFlag)
	if visible, is := flag.(cli.VisibleFlag); !ok || is && !visible.IsVisible() {
		return
	}
	var names []string
	for _, name := range flag.Names() {
		if len(name) == 1 {
			names = append(names, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	placeholder, usage := placeholder(doc.GetUsage())
	left := strings.Join(names, ", ")
	if doc.TakesValue() {
		if placeholder == "" {
			placeholder = "VALUE"
		}
		left += " " + placeholder
	}
	if value := doc.GetDefaultText(); doc.TakesValue() && value != "" && value != `""` {
		usage += " (default: " + strings.Trim(value, `"`) + ")"
	}
	if name := flag.Names()[0]; sourced(c, name) {
		usage += " [$" + strings.Join(variables(name), ", $") + "]"
	}
	fmt.Fprintf(w, "  %s\t%s\n", left, usage)
}

// placeholder takes the word in backquotes out of a flag's usage, as cli does.
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
