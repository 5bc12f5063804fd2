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
	Hook    string // what snapd calls the role's snap for; then there are no Args
}

// Lookup decides from argv what to run, and for hooks also from the snap's name (SNAP_NAME). The base name of argv[0] is
// asked first: ROLE or aspects-poc-ROLE is that role, also with the key of a parallel instance (aspects-poc-control_lab)
// or the name of an app (aspects-poc-control.daemon) behind it. As aspects-poc the first argument picks the role, and so
// it does for a binary that was renamed. A name for which neither stands is unknown: a mistyped link shall say so, rather
// than be something else.
//
// A file in meta/hooks is a hook, which snapd starts as $SNAP/meta/hooks/NAME and without arguments. Hooks have the same
// names in every snap, so the role is that of the snap; a parallel instance has another SNAP_INSTANCE_NAME, but the same
// SNAP_NAME.
func Lookup(argv []string, snap string, list []Role) Target {
	if len(argv) == 0 || argv[0] == "" {
		return Target{Program: Program}
	}
	known := func(name string, tools bool) bool {
		return slices.ContainsFunc(list, func(r Role) bool { return r.Name == name && (tools || !r.Tool) })
	}
	base, dir := filepath.Base(argv[0]), filepath.Dir(argv[0])
	if filepath.Base(dir) == "hooks" && filepath.Base(filepath.Dir(dir)) == "meta" {
		role, prefixed := strings.CutPrefix(snap, Program+"-")
		if prefixed && known(role, false) {
			return Target{Program: Program, Role: role, Hook: base}
		}
		return Target{Program: Program, Hook: base, Unknown: snap}
	}
	name, _, _ := strings.Cut(base, "_")
	name, _, _ = strings.Cut(name, ".")
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
	return []string{versionCommand, hooksCommand, completionCommand, completeCommand, helpWord, "--version", "--help", "-h"}
}
