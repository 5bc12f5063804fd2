package kitcmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// shellCommand returns the present command line with --shell and without its place.
func shellCommand(c *cli.Context) string {
	words := []string{"aspects-poc registry test"}
	for _, flag := range []struct{ short, name string }{{"-c", flagSchema}, {"-s", flagSnap}} {
		for _, value := range c.StringSlice(flag.name) {
			words = append(words, flag.short, quoted(value))
		}
	}
	if account := c.String(flagAccount); account != "" {
		words = append(words, "--"+flagAccount, quoted(account))
	}
	if c.Bool(flagServices) {
		words = append(words, "--"+flagServices)
	}
	return strings.Join(append(words, "--"+flagShell), " ")
}

// plainWord matches words that a shell does not change.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quoted quotes a word for a shell if necessary.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// testShell runs a script up to FILE:LINE, or to its end, and opens a shell on its machine.
func testShell(env *roles.Env, c *cli.Context, at string, options script.Options) error {
	if c.Bool(flagWatch) || len(roles.Args(c)) > 0 {
		return roles.Usagef("--%s names the one script that is run: give no others, and no --%s", flagShell, flagWatch)
	}
	file, line := at, 0
	if i := strings.LastIndex(at, ":"); i > 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil && n > 0 {
			file, line = at[:i], n
		}
	}
	return script.RunUntil(c.Context, file, options, script.Break{Line: line, Reached: func(m script.Halted) error {
		return openShell(env, file, line, m)
	}})
}

// openShell runs a shell in which snap, snapctl and our own commands use the machine, until the shell ends.
func openShell(env *roles.Env, file string, line int, m script.Halted) (err error) {
	folder, err := os.MkdirTemp("", "aspects-poc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // in the system's temporary folder
	socket := filepath.Join(folder, mainSocketName)
	where := fmt.Sprintf("at the end of %s", file)
	if m.Next != "" {
		where = fmt.Sprintf("before %s:%d: %s", file, line, m.Next)
	}
	text := fmt.Sprintf("The machine is as it is %s\n  snap get, snap set, aspects-poc registry get, set and the like act as the administrator\n"+
		"  $WORK/var/snap has the data of its snaps\n", where)
	variables := []string{"ASPECTS_REGISTRY=snapd:" + socket, "WORK=" + m.Dir}
	if m.Runner != nil {
		if snap, others := actingSnap(m.World.Snaps(), m.Next); snap != "" {
			acting, err := m.Runner.Acting(snap, env.Getenv("PATH"))
			if err != nil {
				return err
			}
			variables = append(variables, acting...)
			text += fmt.Sprintf("  snapctl acts for %s\n", snap)
			for _, other := range others {
				text += fmt.Sprintf("  aspects-poc registry run --shell %s: for %[1]s\n", other)
			}
		}
	}
	s := served{socket: socket, options: rest.Options{World: m.World, Unsigned: true}, apart: !namespaces(m.Context)}
	if m.Runner != nil {
		s.options.Logs, s.options.Programs = m.Runner, m.Runner
	}
	if _, err := exec.LookPath("snap"); err != nil {
		text += "  there is no snap command here: it is in the package snapd\n"
	} else if s.apart {
		text += "  the snap command does not find the machine: this system makes no mount namespace\n"
	}
	if _, err := io.WriteString(env.Stderr, text+"  exit ends the machine\n"); err != nil {
		return err
	}
	command := append(append([]string{"env"}, variables...), cmp.Or(env.Getenv("SHELL"), "/bin/sh"))
	err = s.run(m.Context, env, command)
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) && ended.Exited() {
		return nil // the shell's status is that of the last typed command
	}
	return err
}

// actingSnap chooses the snap for which snapctl acts: the one that the script's next line names, else the first
// custodian, else the first snap. It also returns the other snaps. It ignores snaps without files.
func actingSnap(snaps []facts.Snap, next string) (snap string, others []string) {
	words := strings.Fields(next)
	best := -1
	for _, s := range snaps {
		if s.Dir == "" {
			continue
		}
		rank := 0
		if slices.ContainsFunc(slices.Collect(maps.Values(s.Plugs)), func(p facts.Plug) bool { return p.Role == facts.Custodian }) {
			rank = 1
		}
		if slices.Contains(words, s.Instance()) {
			rank = 2
		}
		if rank > best {
			best, snap = rank, s.Instance()
		}
		others = append(others, s.Instance())
	}
	return snap, slices.DeleteFunc(others, func(other string) bool { return other == snap })
}
