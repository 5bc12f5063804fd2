package kitcmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/kit/world"
	"aspects-poc/roles"
	"aspects-poc/roles/internal/plain"
)

// A devLog tells what happens on the machine that dev runs, a line each. Values that a confdb-schema marks as secret are
// not shown.
type devLog struct {
	world *world.World

	paint roles.Paint

	mu  sync.Mutex // guards out
	out io.Writer
}

// longest is how much of a value is shown, in bytes.
const longest = 200

func (l *devLog) say(format string, args ...any) {
	l.line(time.Now(), plain.Line(fmt.Sprintf(format, args...)))
}

func (l *devLog) warn(dir string, warnings []string) {
	for _, warning := range warnings {
		l.say("%s: %s", dir, warning)
	}
}

func (l *devLog) line(at time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(l.out, "%s %s\n", l.paint.Faint(at.Format(time.TimeOnly)), text) // nobody is left to tell
}

func (l *devLog) service(snap, service, line string) {
	l.line(time.Now(), fmt.Sprintf("%s.%s: %s", snap, service, plain.Line(line)))
}

// observe tells of an event of the world.
func (l *devLog) observe(e world.Event) {
	for _, text := range l.lines(e) {
		number := "-"
		if e.Change != "" {
			number = "#" + e.Change
		}
		l.line(e.Time, number+" "+text)
	}
}

func (l *devLog) lines(e world.Event) []string {
	switch e.Kind {
	case world.AccessBegan:
		return []string{l.access(e)}
	case world.Refused:
		return []string{l.access(e), l.paint.Bad("refused at once:") + " " + plain.Line(e.Err)}
	case world.AccessEnded:
		switch {
		case e.Change == "" || e.Read && e.Direct:
			return []string{l.access(e) + ": done"}
		case e.Err != "":
			return []string{l.paint.Bad("failed") + " after " + e.Took.Round(time.Millisecond).String()}
		default:
			return []string{"done after " + e.Took.Round(time.Millisecond).String()}
		}
	case world.HookRan:
		return l.hook(e)
	case world.Committed:
		if len(e.Paths) == 0 {
			return []string{"  stored: nothing has changed"}
		}
		return []string{"  stored: " + plain.Line(strings.Join(e.Paths, ", "))}
	case world.Waits:
		text := fmt.Sprintf("  %s of %s waits until %s of %s ends", e.Hook, e.Snap, cmp.Or(e.For, "another hook"), e.Snap)
		if e.Forever {
			text += ", which waits for it: snapd ends that after two minutes"
		}
		return []string{text}
	case world.WaitsTurn:
		return []string{l.access(e) + ": waits until this is over: " + e.For}
	case world.ServiceAsked:
		text := fmt.Sprintf("  %s of %s.%s", e.Action, e.Snap, e.Service)
		if e.Err != "" {
			text += ": " + plain.Line(e.Err)
		}
		return []string{text}
	}
	return nil
}

// access tells who asked for what.
func (l *devLog) access(e world.Event) string {
	who := e.By
	if who == "" {
		who = "the administrator"
	}
	view := e.View.Schema + "/" + e.View.View
	if e.Read {
		return plain.Line(strings.TrimSpace(fmt.Sprintf("%s gets %s %s", who, view, strings.Join(e.Requests, " "))))
	}
	return plain.Line(strings.TrimSpace(fmt.Sprintf("%s sets %s %s", who, view, l.values(e.View, e.Values))))
}

// hook tells what a hook has done.
func (l *devLog) hook(e world.Event) []string {
	head := fmt.Sprintf("  %s %s (%v)", e.Snap, e.Hook, e.Took.Round(time.Millisecond))
	if strings.HasPrefix(e.Hook, "observe-view-") {
		head = "  told: " + strings.TrimSpace(head)
	}
	lines := []string{head}
	for i, set := range e.Sets {
		id := e.View
		id.View = set.View
		text := fmt.Sprintf("    sets %s %s", set.View, l.values(id, set.Values))
		switch {
		case set.Err != "":
			text += ": refused: " + set.Err
		case i < len(e.Sets)-1:
			text += ": lost, as only the last set of a hook counts"
		}
		lines = append(lines, plain.Line(text))
	}
	switch {
	case e.Rejected != "":
		lines = append(lines, "    "+l.paint.Bad("refuses:")+" "+plain.Line(e.Rejected))
	case e.Err != "":
		lines = append(lines, "    "+l.paint.Bad("failed:")+" "+plain.Line(e.Err))
	}
	if e.Err == "" {
		for line := range strings.Lines(strings.TrimSpace(e.Output)) {
			lines = append(lines, "    prints: "+plain.Line(strings.TrimSpace(line)))
		}
	}
	return lines
}

// values prints assignments as snap set takes them.
func (l *devLog) values(id backend.ViewID, values map[string]any) string {
	schemas := l.world.Schemas()
	i := slices.IndexFunc(schemas, func(s world.Schema) bool { return s.ID() == id.Account+"/"+id.Schema })
	var words []string
	for _, key := range sortedKeys(values) {
		switch {
		case values[key] == nil:
			words = append(words, key+"!")
		case i < 0 || schemas[i].Parsed.Secret(id.View, key):
			words = append(words, key+"=(secret)")
		default:
			text, err := json.Marshal(values[key])
			if err != nil {
				text = []byte("?")
			}
			if len(text) > longest {
				text = append(text[:longest:longest], "…"...)
			}
			words = append(words, key+"="+string(text))
		}
	}
	return strings.Join(words, " ")
}
