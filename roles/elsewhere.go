package roles

import "github.com/urfave/cli/v2"

// elsewhere is the category of the commands from Elsewhere.
const elsewhere = "elsewhere"

// Elsewhere returns a command in place of one that this binary for devices leaves out. It accepts all arguments and
// says where the command is. The role's section in a configuration file is ignored.
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
