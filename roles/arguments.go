package roles

import (
	"flag"
	"strings"

	"github.com/urfave/cli/v2"
)

// Args returns the arguments of a command without its flags. Commands that set SkipFlagParsing take flags anywhere, as
// the snap command does; the frame has set them before the command's Action runs. Others refuse flags behind the first
// argument.
func Args(c *cli.Context) []string {
	if !c.Command.SkipFlagParsing {
		return c.Args().Slice()
	}
	rest, _, err := scan(c.Command, c.Args().Slice())
	if err != nil {
		return nil // the frame has refused it before
	}
	return rest
}

// An assigned flag is one found among the arguments.
type assigned struct{ name, value string }

// setAnywhere sets the flags found anywhere among the arguments, but behind "--".
func setAnywhere(c *cli.Command, ctx *cli.Context) error {
	_, flags, err := scan(c, ctx.Args().Slice())
	if err != nil {
		return err
	}
	for _, found := range flags {
		if err := ctx.Set(found.name, found.value); err != nil {
			return Usagef("invalid value %q for --%s: %v", found.value, found.name, err)
		}
	}
	return nil
}

// scan tells flags from arguments. "-dt" stands for "-d -t" where both are switches.
func scan(c *cli.Command, words []string) (rest []string, flags []assigned, err error) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return append(rest, words[i+1:]...), flags, nil
		}
		if len(word) < 2 || word[0] != '-' {
			rest = append(rest, word)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
		found := findFlag(c, name)
		switch {
		case name == "help" || name == "h":
			return nil, nil, flag.ErrHelp
		case found == nil:
			switches := splitSwitches(c, word)
			if switches == nil {
				return nil, nil, Usagef("flag provided but not defined: %s", strings.SplitN(word, "=", 2)[0])
			}
			flags = append(flags, switches...)
			continue
		case hasValue:
		case isSwitch(found):
			value = "true"
		case i+1 == len(words):
			return nil, nil, Usagef("flag needs an argument: %s", word)
		default:
			i++
			value = words[i]
		}
		flags = append(flags, assigned{found.Names()[0], value})
	}
	return rest, flags, nil
}

func findFlag(c *cli.Command, name string) cli.Flag {
	for _, f := range c.Flags {
		for _, known := range f.Names() {
			if known == name {
				return f
			}
		}
	}
	return nil
}

func isSwitch(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && !doc.TakesValue()
}

// splitSwitches reads "-dt"; nil if it is none of ours.
func splitSwitches(c *cli.Command, word string) []assigned {
	if strings.HasPrefix(word, "--") {
		return nil
	}
	var flags []assigned
	for _, letter := range word[1:] {
		found := findFlag(c, string(letter))
		if found == nil || !isSwitch(found) {
			return nil
		}
		flags = append(flags, assigned{found.Names()[0], "true"})
	}
	return flags
}
