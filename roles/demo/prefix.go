package demo

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"aspects-poc/roles"
)

// A prefixer puts the name of a role before each line it writes.
type prefixer struct {
	mu     sync.Mutex // guards writing, so that lines stay whole
	stdout io.Writer
	stderr io.Writer
	width  int
	color  bool
	order  map[string]int // role -> its place, for the colour
}

// newPrefixer uses colours on a terminal only, and not where NO_COLOR asks for none (https://no-color.org).
func newPrefixer(env *roles.Env, list []roles.Role) *prefixer {
	p := &prefixer{
		stdout: env.Stdout, stderr: env.Stderr, width: len(storyteller), order: map[string]int{storyteller: 0},
		color: roles.IsTerminal(env.Stdout) && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb",
	}
	for _, role := range list {
		if !role.Tool {
			p.width = max(p.width, len(role.Name))
			p.order[role.Name] = len(p.order)
		}
	}
	return p
}

// storyteller is the name before the demo's own lines.
const storyteller = "demo"

// streams returns standard output and error of a role.
func (p *prefixer) streams(role string) (stdout, stderr io.Writer) {
	return &prefixed{prefixer: p, to: p.stdout, prefix: p.prefix(role)},
		&prefixed{prefixer: p, to: p.stderr, prefix: p.prefix(role)}
}

// say writes a line of the demo's own.
func (p *prefixer) say(format string, args ...any) {
	out, _ := p.streams(storyteller)
	fmt.Fprintf(out, format+"\n", args...)
}

func (p *prefixer) prefix(role string) string {
	name := fmt.Sprintf("%-*s", p.width, role)
	if p.color {
		colors := []string{"1", "36", "32", "35", "33", "34", "31"} // bold for the demo itself, then the basic colours
		place := p.order[role]
		if place >= len(colors) {
			place = 1 + (place-1)%(len(colors)-1)
		}
		name = "\x1b[" + colors[place] + "m" + name + "\x1b[0m"
	}
	return name + " | "
}

// A prefixed stream writes whole lines. What is left at the end without a line feed is written with the next line.
type prefixed struct {
	*prefixer
	to     io.Writer
	prefix string

	partial []byte // guarded by the prefixer's mutex
}

func (w *prefixed) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.partial = append(w.partial, text...)
	end := bytes.LastIndexByte(w.partial, '\n')
	if end < 0 {
		return len(text), nil
	}
	var lines bytes.Buffer
	for line := range bytes.Lines(w.partial[:end+1]) {
		lines.WriteString(w.prefix)
		lines.Write(line)
	}
	w.partial = append([]byte(nil), w.partial[end+1:]...)
	if _, err := w.to.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}
