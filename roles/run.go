package roles

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"aspects-poc/internal/plain"

	"github.com/urfave/cli/v2"
)

// Run is Main with an environment of the caller's. Tests use it, and so does the demo, which runs roles in its own
// process. Calls may be concurrent. Pass the whole list of roles, as the configuration file may have keys of each.
func Run(ctx context.Context, env *Env, args []string, list ...Role) int {
	err := run(ctx, env, args, list)
	var status Status
	if err != nil && !errors.Is(err, errShown) && !errors.As(err, &status) {
		_, _ = fmt.Fprintln(env.Stderr, "error: "+plain.Text(err.Error())) // the exit code reports it too
	}
	return ExitCode(err)
}

// errShown is an error that has been printed.
var errShown = &UsageError{Message: "usage"}

func run(ctx context.Context, env *Env, args []string, list []Role) error {
	target := Lookup(args, env.Getenv("SNAP_NAME"), list)
	switch {
	case target.Hook != "" && target.Role == "":
		return Usagef("cannot run hook %q: SNAP_NAME is %q, and there is no such role", target.Hook, target.Unknown)
	case target.Unknown != "":
		return Usagef("unknown name %q; the binary answers to %s", target.Unknown, strings.Join(programs(list), ", "))
	}
	frame := &frame{env: env, list: list, args: args, paths: map[*cli.Command]string{},
		daemons: map[*cli.Command]bool{}, shared: map[*cli.Command][]string{}}
	if target.Hook != "" {
		return frame.runHook(ctx, target)
	}
	root := frame.program(target)
	app := &cli.App{
		Name: root.Name, Commands: root.Subcommands, Flags: root.Flags, Action: root.Action, Before: root.Before,
		OnUsageError: root.OnUsageError, HideHelp: true, HideHelpCommand: true, HideVersion: true,
		Reader: env.Stdin, Writer: env.Stdout, ErrWriter: env.Stderr,
		// Otherwise cli exits the process.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	words := append([]string{root.Name}, target.Args...)
	if target.Role != "" && root.Name == Program {
		words = append([]string{root.Name, target.Role}, target.Args...)
	}
	return app.RunContext(ctx, words)
}

// programs returns the names of the binary and its links.
func programs(list []Role) []string {
	names := []string{Program}
	for _, role := range list {
		if !role.Tool {
			names = append(names, Program+"-"+role.Name)
		}
	}
	return names
}

// A frame has the command tree of one run.
//
// It has many methods because help, completion and configuration all walk through that tree.
type frame struct {
	env  *Env
	list []Role
	args []string // all arguments, including argv[0]

	// paths has the words that call each command.
	paths map[*cli.Command]string
	// daemons are the run commands, and tools that are one command. All their flags are configuration.
	daemons map[*cli.Command]bool
	// shared has the flags of the run command, for each command beside it. Flags with these names are configuration
	// too.
	shared map[*cli.Command][]string
}

// program returns the command tree of the target: all roles, or the commands of one role.
func (f *frame) program(target Target) *cli.Command {
	root := &cli.Command{
		Name: target.Program, Usage: "share configuration between snaps through confdb views",
		Description: "Runs one of the roles, or one of the commands around them. Called as " + Program + "-ROLE, the program " +
			"is that role. A flag with a variable in brackets, such as [$ASPECTS_CONFIG], can also stand in this environment " +
			"variable and in a configuration file. The command line comes first, then the environment, the file, the default.",
		UsageText: Program + " control run --once\n" + Program + " registry get control-telemetry -d",
	}
	if target.Program == Program {
		for _, role := range f.list {
			root.Subcommands = append(root.Subcommands, f.role(role))
		}
		root.Subcommands = append(root.Subcommands, f.hooks())
	} else {
		for _, role := range f.list {
			if role.Name == target.Role {
				root = f.role(role)
				root.Name = target.Program
			}
		}
		if isElsewhere(root) { // it accepts all arguments
			return root
		}
	}
	root.Flags = append(root.Flags, &cli.BoolFlag{Name: "version", Usage: "print the version"})
	root.Subcommands = append(root.Subcommands, f.version(), f.completion(), f.candidates(root))
	root.Subcommands = append(root.Subcommands, f.manual(root)...)
	f.complete(root, root.Name, target.Role)
	return root
}

// role returns a role's commands below the role's name.
func (f *frame) role(role Role) *cli.Command {
	command := role.Command(f.env)
	command.Name = role.Name
	command.Usage = role.Summary
	f.daemons[command] = len(command.Subcommands) == 0
	for _, sub := range command.Subcommands {
		f.daemons[sub] = sub.Name == "run"
		if f.daemons[sub] && command.Description == "" {
			command.Description, command.UsageText = sub.Description, sub.UsageText // the role's text is that of run
		}
	}
	for _, sub := range command.Subcommands {
		if f.daemons[sub] {
			f.share(command, flagNames(sub))
		}
	}
	return command
}

// share records the names for a command and those below it.
func (f *frame) share(c *cli.Command, names []string) {
	f.shared[c] = names
	for _, sub := range c.Subcommands {
		f.share(sub, names)
	}
}

func flagNames(c *cli.Command) []string {
	var list []string
	for _, flag := range c.Flags {
		list = append(list, flag.Names()[0])
	}
	return list
}

// complete adds to a command, and those below it, help, usage errors, and the resolution of flags.
func (f *frame) complete(c *cli.Command, path, role string) {
	if isElsewhere(c) || c.Name == completeCommand { // it parses its own arguments
		return
	}
	f.paths[c] = path
	c.HideHelp = true // cli's help command is shared by all apps and not safe for concurrent use
	c.HideHelpCommand = true
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
		if errors.Is(err, flag.ErrHelp) {
			return f.help(c)
		}
		return &UsageError{Message: flagMessage(c, err.Error()), Help: path}
	}
	if len(c.Subcommands) == 0 {
		f.leaf(c, path, role)
		return
	}
	for _, sub := range c.Subcommands {
		below := role
		if below == "" {
			below = sub.Name
		}
		f.complete(sub, path+" "+sub.Name, below)
	}
	c.Action = func(ctx *cli.Context) error {
		if has(ctx, "version") && ctx.Bool("version") {
			return f.printVersion()
		}
		if ctx.Args().First() == helpWord {
			return f.helpOf(c, ctx.Args().Tail())
		}
		if ctx.Args().Present() {
			return f.unknownCommand(c, ctx.Args().First())
		}
		if _, err := io.WriteString(f.env.Stderr, f.helpText(c)); err != nil {
			return err
		}
		return errShown
	}
}

func (f *frame) unknownCommand(c *cli.Command, word string) error {
	path := f.paths[c]
	return &UsageError{Help: path, Message: fmt.Sprintf("unknown command %q of %s; known are %s", word, path,
		strings.Join(names(c), ", "))}
}

// names returns the visible commands of a group.
func names(c *cli.Command) []string {
	var list []string
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			list = append(list, sub.Name)
		}
	}
	return list
}

// leaf prepares a command without subcommands. All work is in Action, since cli handles errors of Before badly.
func (f *frame) leaf(c *cli.Command, path, role string) {
	before, action := c.Before, c.Action
	c.Before = nil
	c.Action = func(ctx *cli.Context) error {
		ctx.App.Metadata = map[string]any{roleKey: role}
		var sources map[string]string
		err := f.setLateFlags(c, ctx)
		if errors.Is(err, flag.ErrHelp) {
			return f.help(c)
		}
		if err == nil {
			sources, err = f.resolve(c, ctx, role)
		}
		if err == nil {
			err = checkTexts(c, ctx)
		}
		if err == nil && before != nil {
			err = before(ctx)
		}
		if err == nil {
			err = action(ctx)
		}
		return withHelp(nameSources(err, sources), path)
	}
}

// OthersArguments ends the ArgsUsage of a command that passes further arguments to another program. Flags among those
// arguments are not parsed.
const OthersArguments = "[ARGUMENT …]"

// setLateFlags sets the flags behind arguments if the command allows them there. For other commands it returns a usage
// error, because cli would pass such flags as arguments.
func (f *frame) setLateFlags(c *cli.Command, ctx *cli.Context) error {
	if c.SkipFlagParsing {
		return setAnywhere(c, ctx)
	}
	if slices.Contains(f.args, "--") || strings.HasSuffix(c.ArgsUsage, OthersArguments) {
		return nil
	}
	for _, arg := range ctx.Args().Slice() {
		if len(arg) > 1 && strings.HasPrefix(arg, "-") {
			return Usagef("flag %s stands behind the argument %q: flags come first", arg, ctx.Args().First())
		}
	}
	return nil
}

// withHelp sets the command in a usage error.
func withHelp(err error, path string) error {
	var usage *UsageError
	if errors.As(err, &usage) && usage.Help == "" && err != errShown {
		return &UsageError{Message: err.Error(), Help: path}
	}
	return err
}
