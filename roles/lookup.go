package roles

import (
	"path/filepath"
	"slices"
	"strings"
)

// A Target is what a command line asks for.
type Target struct {
	Role string   // name of a role or tool; "" for the program itself
	Args []string // what follows: its subcommand and flags
	// Program is how the user called it, for help and messages: "aspects-poc" or "aspects-poc-control".
	Program string
	Unknown string // the name that nothing answers to; then Role is ""
}

// Lookup decides from argv alone what to run. The base name of argv[0] is asked first: ROLE or aspects-poc-ROLE is that
// role, also with the key of a parallel instance (aspects-poc-control_lab) or the name of an app
// (aspects-poc-control.daemon) behind it. As aspects-poc the first argument picks the role, and so it does for a binary
// that was renamed. A name for which neither stands is unknown: a mistyped link shall say so, rather than be something
// else.
//
// Hooks have their place here, too: by their file name, between the roles and the first argument.
func Lookup(argv []string, list []Role) Target {
	if len(argv) == 0 || argv[0] == "" {
		return Target{Program: Program}
	}
	base := filepath.Base(argv[0])
	name, _, _ := strings.Cut(base, "_")
	name, _, _ = strings.Cut(name, ".")
	known := func(name string, tools bool) bool {
		return slices.ContainsFunc(list, func(r Role) bool { return r.Name == name && (tools || !r.Tool) })
	}
	role, prefixed := strings.CutPrefix(name, Program+"-")
	switch {
	case known(role, false):
		return Target{Program: Program + "-" + role, Role: role, Args: argv[1:]}
	case prefixed:
		return Target{Program: Program, Unknown: base}
	case len(argv) > 1 && known(argv[1], true):
		return Target{Program: Program, Role: argv[1], Args: argv[2:]}
	case name == Program, len(argv) > 1 && slices.Contains(builtIn(), argv[1]):
		return Target{Program: Program, Args: argv[1:]}
	default:
		return Target{Program: Program, Unknown: base}
	}
}

// builtIn lists the first arguments that the frame itself answers to.
func builtIn() []string {
	return []string{versionCommand, completionCommand, completeCommand, "--version", "--help", "-h"}
}
