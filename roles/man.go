//go:build man

package roles

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

// manual returns the command that writes the manual pages. Only the build with the tag man has it, since the
// generator of urfave/cli needs a Markdown parser.
func (f *frame) manual(root *cli.Command) []*cli.Command {
	return []*cli.Command{{
		Name: "__man", Hidden: true, Usage: "write the manual pages into a folder", ArgsUsage: "DIR",
		Action: func(c *cli.Context) error {
			dir := c.Args().First()
			own := map[string]bool{} // commands with their own page
			for _, role := range f.list {
				own[role.Name] = true
			}
			var below []*cli.Command
			for _, command := range root.Subcommands {
				if !own[command.Name] {
					below = append(below, command)
					continue
				}
				below = append(below, &cli.Command{Name: command.Name, Usage: command.Usage + "; see " + root.Name + "-" + command.Name + "(1)"})
				if err := writePage(dir, root.Name+" "+command.Name, command, command.Subcommands); err != nil {
					return err
				}
			}
			return writePage(dir, root.Name, root, below)
		},
	}}
}

// writePage writes the page of a command, with the commands below it.
func writePage(dir, path string, c *cli.Command, below []*cli.Command) error {
	name := strings.ReplaceAll(path, " ", "-")
	app := &cli.App{Name: name, Usage: c.Usage, UsageText: c.UsageText, Description: c.Description, Flags: c.Flags, Commands: below}
	text, err := app.ToManWithSection(1)
	if err != nil {
		return err
	}
	// The generator prints the page's name as the synopsis.
	const heading = ".SH SYNOPSIS\n"
	text = strings.Replace(text, heading+name+"\n", heading+synopsis(c, path)+"\n", 1)
	return os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644)
}
