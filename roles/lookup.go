package roles

import (
	"path/filepath"
	"slices"
	"strings"
)

// A Target is the result of Lookup.
type Target struct {
	Role string   // name of a role or tool; "" for the program itself
	Args []string // arguments after it: the subcommand and its flags
	// Program is the name for help and messages: "aspects-poc" or "aspects-poc-control".
	Program string
	Unknown string // the unknown name; Role is then ""
	Hook    string // the hook to run; there are then no Args
}

// Lookup decides what to run, from argv and for hooks also from the snap's name (SNAP_NAME).
//
// The base name of argv[0] comes first. ROLE or aspects-poc-ROLE is that role; the key of a parallel instance
// (aspects-poc-control_lab) or the name of an app (aspects-poc-control.daemon) may follow. With aspects-poc, or with
// the name of a renamed binary, the first argument is the role. Any other name is unknown, so that a mistyped link is
// an error.
//
// A file in meta/hooks is a hook: snapd starts $SNAP/meta/hooks/NAME without arguments. All snaps use the same names
// of hooks, so SNAP_NAME decides the role. A parallel instance has the same SNAP_NAME as the snap.
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

// builtIn returns the first arguments that the frame itself handles.
func builtIn() []string {
	return []string{versionCommand, hooksCommand, completionCommand, completeCommand, helpWord, "--version", "--help", "-h"}
}
