package hookrun

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"aspects-poc/internal/kit/hookrun/snapctl"
	"aspects-poc/internal/kit/world/facts"
)

// An environment is the environment variables of a snap's program, in the order in which they were set.
type environment struct {
	names  []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	if e.values == nil {
		e.values = map[string]string{}
	}
	if _, there := e.values[name]; !there {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// extend adds the variables that a snap declares. A value may use variables that were added before it; a variable that does
// not exist is empty.
func (e *environment) extend(declared []facts.Variable) {
	for _, variable := range declared {
		e.set(variable.Name, e.expand(variable.Value))
	}
}

func (e *environment) expand(text string) string {
	return os.Expand(text, func(name string) string { return e.values[name] })
}

// list returns the variables as NAME=VALUE.
func (e *environment) list() []string {
	list := make([]string, 0, len(e.names))
	for _, name := range e.names {
		list = append(list, name+"="+e.values[name])
	}
	return list
}

// environment returns the environment that snapd gives to a snap's hooks and apps, and creates the directories in it. app is
// the name of an app, "" for a hook.
func (r *Runner) environment(snap facts.Snap, cookie, app string, setting facts.Setting) (*environment, error) {
	instance := snap.Instance()
	data := filepath.Join(r.options.Dir, "var", "snap", instance)
	user := filepath.Join(r.options.Dir, "root", "snap", instance)
	e := &environment{}
	for _, variable := range [][2]string{
		{"SNAP", snap.Dir},
		{"SNAP_ARCH", architecture()},
		{"SNAP_COMMON", filepath.Join(data, "common")},
		{"SNAP_CONTEXT", cookie},
		{"SNAP_COOKIE", cookie},
		{"SNAP_DATA", filepath.Join(data, snap.Revision)},
		{"SNAP_EUID", strconv.Itoa(os.Geteuid())},
		{"SNAP_INSTANCE_KEY", snap.Key},
		{"SNAP_INSTANCE_NAME", instance},
		{"SNAP_LIBRARY_PATH", "/var/lib/snapd/lib/gl:/var/lib/snapd/lib/gl32"},
		{"SNAP_NAME", snap.Name},
		{"SNAP_REAL_HOME", filepath.Join(r.options.Dir, "root")},
		{"SNAP_REEXEC", ""},
		{"SNAP_REVISION", snap.Revision},
		{"SNAP_UID", strconv.Itoa(os.Getuid())},
		{"SNAP_USER_COMMON", filepath.Join(user, "common")},
		{"SNAP_USER_DATA", filepath.Join(user, snap.Revision)},
		{"SNAP_VERSION", snap.Version},
		{"HOME", filepath.Join(user, snap.Revision)},
		{"LANG", "C.UTF-8"},
		{"PATH", r.bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games"},
		{"TEMPDIR", "/tmp"},
		{"TMPDIR", "/tmp"},
		{"USER", "root"},
		{"XDG_RUNTIME_DIR", filepath.Join(r.options.Dir, "run", "user", "0", "snap."+instance)},
		{snapctl.SocketVariable, r.socket},
	} {
		e.set(variable[0], variable[1])
	}
	if app != "" {
		e.set("SNAP_APP_NAME", app)
	}
	for _, name := range []string{"SNAP_COMMON", "SNAP_DATA", "SNAP_USER_COMMON", "SNAP_USER_DATA", "XDG_RUNTIME_DIR"} {
		if err := os.MkdirAll(e.values[name], 0o755); err != nil {
			return nil, err
		}
	}
	e.extend(snap.Environment)
	e.extend(setting.Environment)
	return e, nil
}

// command returns the command line of a program: first the command-chain, where each program runs the rest of the line, then
// the program with its arguments. It leaves out arguments that expand to nothing.
func (e *environment) command(snap facts.Snap, setting facts.Setting, program string, arguments ...string) []string {
	var words []string
	for _, link := range setting.Chain {
		words = append(words, filepath.Join(snap.Dir, link))
	}
	words = append(words, program)
	for _, argument := range arguments {
		if argument = e.expand(argument); argument != "" {
			words = append(words, argument)
		}
	}
	return words
}

// appCommand returns the command line of an app, nil if the app has no command.
func (e *environment) appCommand(snap facts.Snap, setting facts.Setting, command string) []string {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil
	}
	return e.command(snap, setting, filepath.Join(snap.Dir, words[0]), words[1:]...)
}

// architecture returns Debian's name of this machine's architecture.
func architecture() string {
	names := map[string]string{"arm": "armhf", "386": "i386", "ppc64le": "ppc64el"}
	if name := names[runtime.GOARCH]; name != "" {
		return name
	}
	return runtime.GOARCH
}
