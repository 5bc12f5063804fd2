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

// A prefixer puts the name of a role before each line it writes.
type prefixer struct {
	mu     sync.Mutex // guards writing, so that lines stay whole
	stdout io.Writer
	stderr io.Writer
	width  int
	color  bool
	order  map[string]int // role -> its place, for the colour
	calm   time.Duration  // for which a line that says what one before it said is left out; 0 for none
}

// calm is for how many cycles a role's line that says what one before it said is left out: what comes with each cycle
// comes once.
const calm = 5

// newPrefixer uses colours on a terminal only, and not where NO_COLOR asks for none (https://no-color.org).
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

// storyteller is the name before the demo's own lines.
const storyteller = "demo"

// streams returns standard output and error of a role.
func (p *prefixer) streams(role string) (stdout, stderr io.Writer) {
	out := &prefixed{prefixer: p, to: p.stdout, prefix: p.prefix(role)}
	if role != storyteller {
		out.said = map[string]saying{}
	}
	return out, &prefixed{prefixer: p, to: p.stderr, prefix: p.prefix(role)}
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

	// What follows is guarded by the prefixer's mutex.
	partial []byte
	said    map[string]saying // by all of a line but its numbers; nil: none is left out
}

// A saying is when a line came last, and how long after the one before it.
type saying struct {
	last time.Time
	gap  time.Duration
}

// numbers are what differs between lines that say the same of different cycles.
var numbers = regexp.MustCompile(`\d+`)

// repeats tells that a line says what one before it said not long ago. What goes on and on is told once.
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
