package roles

import "github.com/urfave/cli/v2"

// elsewhere is the category of the commands that Elsewhere returns.
const elsewhere = "elsewhere"

// Elsewhere returns the command that stands for one that this binary leaves out, as it is built for devices. It takes
// every argument, and says where the command is. Sections of a configuration file for such a role are not looked at.
func Elsewhere(name string) *cli.Command {
	missing := &UsageError{Message: "this binary is made for devices, and leaves out " + name +
		"; the whole program has it: see docs/install.md"}
	return &cli.Command{
		Name: name, Category: elsewhere, Hidden: true, HideHelp: true, SkipFlagParsing: true,
		Action:       func(*cli.Context) error { return missing },
		OnUsageError: func(*cli.Context, error, bool) error { return missing },
	}
}

func isElsewhere(c *cli.Command) bool { return c.Category == elsewhere }
