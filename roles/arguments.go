package roles

import (
	"errors"
	"flag"
	"regexp"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/nearest"

	"github.com/urfave/cli/v2"
)

// Args returns the arguments of a command without its flags. Commands with SkipFlagParsing accept flags anywhere, as
// the snap command does; they are set before the command's Action runs. Other commands refuse flags behind the first
// argument.
func Args(c *cli.Context) []string {
	if !c.Command.SkipFlagParsing {
		return c.Args().Slice()
	}
	rest, _, err := scan(c.Command, c.Args().Slice())
	if err != nil {
		return nil // already refused
	}
	return rest
}

// An assigned is a flag that stands among the arguments, with its value.
type assigned struct{ name, value string }

// setAnywhere sets the flags among the arguments, up to "--". It returns a usage error for an unknown flag or a missing
// value.
func setAnywhere(c *cli.Command, ctx *cli.Context) error {
	_, flags, err := scan(c, ctx.Args().Slice())
	if err != nil {
		return err
	}
	for _, found := range flags {
		if err := ctx.Set(found.name, found.value); err != nil {
			return Usagef("invalid value %q for %s: %s", found.value, spell(found.name), wanted(findFlag(c, found.name), err))
		}
	}
	return nil
}

// scan separates flags from arguments. "-dt" means "-d -t" if both are switches.
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
				return nil, nil, &UsageError{Message: unknownFlag(c, strings.SplitN(word, "=", 2)[0])}
			}
			flags = append(flags, switches...)
			continue
		case hasValue:
		case isSwitch(found):
			value = "true"
		case i+1 == len(words):
			return nil, nil, &UsageError{Message: wantsValue(c, name)}
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

// splitSwitches splits "-dt" into switches. It returns nil for other words.
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

// spell returns a flag's name with its dashes.
func spell(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// unknownFlag returns the message for an unknown flag.
func unknownFlag(c *cli.Command, typed string) string {
	var known []string
	for _, f := range c.Flags {
		known = append(known, spell(f.Names()[0]))
	}
	if len(nearest.Names(typed, known)) == 0 {
		return "unknown flag " + typed // the help that the message mentions lists the flags
	}
	return "unknown flag " + typed + suggest(typed, known)
}

// wantsValue returns the message for a flag without its value.
func wantsValue(c *cli.Command, name string) string {
	if doc, ok := findFlag(c, name).(cli.DocGenerationFlag); ok {
		if word, _ := placeholder(doc.GetUsage()); word != "" {
			return spell(name) + " wants a value: " + spell(name) + " " + word
		}
	}
	return spell(name) + " wants a value"
}

// Messages of the standard library's package flag, which prints names with one dash.
var (
	flagUnknown = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	flagBare    = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	flagInvalid = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([a-z][a-z0-9-]*): (.*)$`)
)

// flagMessage rewords a message of package flag for this program.
func flagMessage(c *cli.Command, text string) string {
	if found := flagUnknown.FindStringSubmatch(text); found != nil {
		return unknownFlag(c, spell(found[1]))
	}
	if found := flagBare.FindStringSubmatch(text); found != nil {
		return wantsValue(c, found[1])
	}
	if found := flagInvalid.FindStringSubmatch(text); found != nil {
		return "invalid value " + found[1] + " for " + spell(found[2]) + ": " + wanted(findFlag(c, found[2]), errors.New(found[3]))
	}
	return text
}

// wanted describes the values that a flag accepts. For an unknown type of flag it returns the text of err.
func wanted(f cli.Flag, err error) string {
	switch f.(type) {
	case *cli.DurationFlag:
		return "want a duration such as 30s or 1m"
	case *cli.IntFlag, *cli.Int64Flag:
		return "want a whole number"
	case *cli.Float64Flag:
		return "want a number"
	case *cli.BoolFlag:
		return "want true or false"
	default:
		return err.Error()
	}
}

// checkTexts refuses flag values that are not UTF-8: JSON and logs cannot store them unchanged. Names of files may be
// any bytes.
func checkTexts(c *cli.Command, ctx *cli.Context) error {
	for _, f := range c.Flags {
		doc, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		switch word, _ := placeholder(doc.GetUsage()); word {
		case "FILE", "DIR", "PATH", "ADDRESS", "FILE|git:REV":
			continue
		}
		name := f.Names()[0]
		values := ctx.StringSlice(name)
		if _, ok := f.(*cli.StringFlag); ok {
			values = []string{ctx.String(name)}
		}
		for _, value := range values {
			if !utf8.ValidString(value) {
				return Usagef("invalid value %q for %s: it is not UTF-8", value, spell(name))
			}
		}
	}
	return nil
}
