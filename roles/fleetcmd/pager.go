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

// paged are the commands whose output may be long and that ask no question.
var paged = []string{"devices", "device", "why", "history", "targets", "plan", "diff"}

func pagerFlags(command string) []cli.Flag {
	if !slices.Contains(paged, command) {
		return nil
	}
	return []cli.Flag{&cli.BoolFlag{Name: flagNoPager, Usage: "print what is longer than the terminal without $PAGER"}}
}

// A pager writes output that is longer than the terminal to the user's pager, as git does. It writes shorter output to
// the terminal.
type pager struct {
	env     *roles.Env
	command string
	lines   int          // lines of the terminal that are left
	held    bytes.Buffer // the output while it is short
	into    io.WriteCloser
	running *exec.Cmd
	quit    bool // the user has quit the pager
}

// newPager returns a pager, or nil if nothing is paged: the output is no terminal, or the user wants no pager.
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

// pass writes to the pager. It returns errPagerQuit after the user has quit the pager, which is no failure.
func (p *pager) pass(text []byte) error {
	if p.quit {
		return errPagerQuit
	}
	if _, err := p.into.Write(text); err != nil {
		p.quit = true
		return errPagerQuit
	}
	return nil
}

// errPagerQuit ends a command whose reader has quit the pager.
var errPagerQuit = errors.New("the pager has ended")

func (p *pager) start() error {
	// An interrupt is for the pager only.
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

// end writes a short output, or waits until the user quits the pager. It returns the command's error err.
func (p *pager) end(err error) error {
	if p.running == nil {
		if _, failed := p.env.Stdout.Write(p.held.Bytes()); err == nil {
			err = failed
		}
		return err
	}
	_ = p.into.Close()   // the user may have quit the pager
	_ = p.running.Wait() // the pager's exit code means nothing
	if errors.Is(err, errPagerQuit) {
		return nil
	}
	return err
}
