package fleetcmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const flagNoPager = "no-pager"

// paged are the commands whose output can be long, and that ask nothing.
var paged = []string{"devices", "device", "why", "history", "targets", "plan", "diff"}

func pagerFlags(command string) []cli.Flag {
	if !slices.Contains(paged, command) {
		return nil
	}
	return []cli.Flag{&cli.BoolFlag{Name: flagNoPager, Usage: "print what is longer than the terminal without $PAGER"}}
}

// A pager passes what is longer than a terminal to the user's pager, as git does, and anything shorter to the terminal.
type pager struct {
	env     *roles.Env
	command string
	lines   int          // of the terminal that are left
	held    bytes.Buffer // until there are more
	into    io.WriteCloser
	running *exec.Cmd
	quit    bool // the user has seen enough
}

// newPager returns nil where nothing is paged: the output is no terminal, or the user wants none.
func newPager(env *roles.Env, command string, none bool) *pager {
	lines := roles.Height(env.Stdout)
	chosen := cmp.Or(env.Getenv("PAGER"), "less")
	if !slices.Contains(paged, command) || none || lines == 0 || !roles.IsTerminal(env.Stdin) || chosen == "cat" || env.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, err := exec.LookPath(strings.Fields(chosen + " x")[0]); err != nil {
		return nil
	}
	return &pager{env: env, command: chosen, lines: lines - 1}
}

// Write implements io.Writer.
func (p *pager) Write(text []byte) (int, error) {
	if p.into == nil {
		p.held.Write(text)
		if p.lines -= bytes.Count(text, []byte("\n")); p.lines > 0 {
			return len(text), nil
		}
		if err := p.start(); err != nil {
			return 0, err
		}
		text = p.held.Bytes()
	}
	return len(text), p.pass(text)
}

// pass writes to the pager. Who quits it has seen enough, which is no failure.
func (p *pager) pass(text []byte) error {
	if p.quit {
		return errSeen
	}
	if _, err := p.into.Write(text); err != nil {
		p.quit = true
		return errSeen
	}
	return nil
}

// errSeen ends a command whose reader has quit the pager.
var errSeen = errors.New("the pager has ended")

func (p *pager) start() error {
	// An interrupt is the pager's.
	p.running = exec.CommandContext(context.Background(), "sh", "-c", p.command)
	p.running.Stdout, p.running.Stderr = p.env.Stdout, p.env.Stderr
	p.running.Env = os.Environ()
	for name, value := range map[string]string{"LESS": "FRX", "LV": "-c"} { // colours; the end of what fits one screen
		if p.env.Getenv(name) == "" {
			p.running.Env = append(p.running.Env, name+"="+value)
		}
	}
	var err error
	if p.into, err = p.running.StdinPipe(); err != nil {
		return err
	}
	return p.running.Start()
}

// end prints what was short, or waits until the user quits the pager. It returns the error of the command.
func (p *pager) end(err error) error {
	if p.running == nil {
		if _, failed := p.env.Stdout.Write(p.held.Bytes()); err == nil {
			err = failed
		}
		return err
	}
	_ = p.into.Close()   // the pager may be gone
	_ = p.running.Wait() // how it ends does not matter
	if errors.Is(err, errSeen) {
		return nil
	}
	return err
}
