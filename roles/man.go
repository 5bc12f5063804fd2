//go:build man

package roles

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

// manual describes the command that writes the manual pages. Only the build that makes them has it: the generator
// of urfave/cli brings a Markdown parser along, which no user needs.
func (f *frame) manual(root *cli.Command) []*cli.Command {
	return []*cli.Command{{
		Name: "__man", Hidden: true, Usage: "write the manual pages into a folder", ArgsUsage: "DIR",
		Action: func(c *cli.Context) error {
			dir := c.Args().First()
			own := map[string]bool{} // commands with a page of their own
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

// writePage writes the page of a command, by its path, with the commands below it that are listed.
func writePage(dir, path string, c *cli.Command, below []*cli.Command) error {
	name := strings.ReplaceAll(path, " ", "-")
	app := &cli.App{Name: name, Usage: c.Usage, UsageText: c.UsageText, Description: c.Description, Flags: c.Flags, Commands: below}
	text, err := app.ToManWithSection(1)
	if err != nil {
		return err
	}
	// The generator knows programs only, which are called as their page is.
	const heading = ".SH SYNOPSIS\n"
	text = strings.Replace(text, heading+name+"\n", heading+synopsis(c, path)+"\n", 1)
	return os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644)
}
