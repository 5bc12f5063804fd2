package demo

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"aspects-poc/roles"
)

// A prefixer writes lines with the name of their role in front.
type prefixer struct {
	mu     sync.Mutex // guards the output, so that lines stay whole
	stdout io.Writer
	stderr io.Writer
	width  int
	color  bool
	order  map[string]int // role -> its index, for the colour
	calm   time.Duration  // for how long a repeated line is left out; 0 means never
}

// calm is the number of cycles for which a role's repeated line is left out.
const calm = 5

// newPrefixer returns a prefixer for the roles in list. It uses colours only on a terminal, and not with NO_COLOR
// (https://no-color.org).
func newPrefixer(env *roles.Env, list []roles.Role, calm time.Duration) *prefixer {
	p := &prefixer{
		stdout: env.Stdout, stderr: env.Stderr, width: len(storyteller), order: map[string]int{storyteller: 0}, calm: calm,
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

// storyteller is the prefix of the demo's own lines.
const storyteller = "demo"

// streams returns the standard output and standard error for a role.
func (p *prefixer) streams(role string) (stdout, stderr io.Writer) {
	out := &prefixed{prefixer: p, to: p.stdout, prefix: p.prefix(role)}
	if role != storyteller {
		out.said = map[string]saying{}
	}
	return out, &prefixed{prefixer: p, to: p.stderr, prefix: p.prefix(role)}
}

// say writes a line of the demo itself.
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

// A prefixed is a stream that writes whole lines. It writes a last line without a line feed together with the next
// line.
type prefixed struct {
	*prefixer
	to     io.Writer
	prefix string

	// The prefixer's mutex guards the fields below.
	partial []byte
	said    map[string]saying // line without its numbers -> when it came; nil: all lines are written
}

// A saying records when a line last came, and how long after the one before.
type saying struct {
	last time.Time
	gap  time.Duration
}

// numbers matches the parts in which the lines of different cycles differ.
var numbers = regexp.MustCompile(`\d+`)

// repeats reports whether a line repeats a recent one. A line that comes regularly is thus written once.
func (w *prefixed) repeats(line []byte) bool {
	if w.said == nil || w.calm == 0 {
		return false
	}
	what := string(numbers.ReplaceAll(line, []byte("#")))
	before, there := w.said[what]
	now := time.Now()
	since := now.Sub(before.last)
	if there {
		w.said[what] = saying{now, since}
		return since < max(w.calm, 2*before.gap)
	}
	w.said[what] = saying{last: now}
	return false
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
		if w.repeats(line) {
			continue
		}
		lines.WriteString(w.prefix)
		lines.Write(line)
	}
	w.partial = append([]byte(nil), w.partial[end+1:]...)
	if _, err := w.to.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}
