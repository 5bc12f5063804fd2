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

// Lookup decides from argv alone what to run. The base name of argv[0] is asked first: aspects-poc-ROLE, with or without
// a directory, an .exe-like suffix of a snap's parallel instance (aspects-poc-control_lab) or of an app
// (aspects-poc-control.daemon). Any other base name is the program itself, whose first argument picks the role: a
// renamed or temporary binary (go run, a test) still works.
//
// Hooks will be looked up here too, by their file name below meta/hooks, before roles are.
func Lookup(argv []string, list []Role) Target {
	if len(argv) == 0 {
		return Target{Program: Program}
	}
	base := filepath.Base(argv[0])
	name, _, _ := strings.Cut(base, "_")
	name, _, _ = strings.Cut(name, ".")
	if role, ok := strings.CutPrefix(name, Program+"-"); ok {
		known := slices.ContainsFunc(list, func(r Role) bool { return r.Name == role && !r.Tool })
		if !known {
			return Target{Program: base, Unknown: base}
		}
		return Target{Program: name, Role: role, Args: argv[1:]}
	}
	if len(argv) > 1 && slices.ContainsFunc(list, func(r Role) bool { return r.Name == argv[1] }) {
		return Target{Program: Program, Role: argv[1], Args: argv[2:]}
	}
	return Target{Program: Program, Args: argv[1:]}
}
