package kitcmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/plain"
	"aspects-poc/registry/backend"
	"aspects-poc/roles"
)

// A devLog prints the events of dev's machine, one record a line. It does not print values that a confdb-schema marks
// as secret.
type devLog struct {
	world    *world.World
	services bool // services are run

	paint roles.Paint

	mu  sync.Mutex // guards out
	out io.Writer

	written map[string][]string // secrets by change; events come one at a time
}

// longest is the largest printed part of a value, in bytes.
const longest = 200

func (l *devLog) say(format string, args ...any) {
	l.records(time.Now(), "", plain.Text(fmt.Sprintf(format, args...)))
}

func (l *devLog) warn(dir string, warnings []string) {
	for _, warning := range warnings {
		l.say("%s: %s", dir, warning)
	}
}

// records writes a text, each line as a record. Lines after the first begin with a bar, so that nobody takes them for
// other records. It leaves out the rulers that snapd puts around the output of hooks.
func (l *devLog) records(at time.Time, head, text string) {
	first, rest, _ := strings.Cut(text, "\n")
	l.record(at, head+first)
	indent := strings.Repeat(" ", len(first)-len(strings.TrimLeft(first, " ")))
	for line := range strings.Lines(rest) {
		if line = strings.TrimRight(line, "\r\n"); line != "-----" {
			l.record(at, head+indent+"| "+line)
		}
	}
}

func (l *devLog) record(at time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(l.out, "%s %s\n", l.paint.Faint(at.Format(time.TimeOnly)), text) // nothing else can report it
}

func (l *devLog) service(snap, service, line string) {
	l.records(time.Now(), snap+"."+service+": ", plain.Line(line))
}

// observe prints an event of the world.
func (l *devLog) observe(e changes.Event) {
	secrets := l.secretsOf(e)
	for _, text := range l.lines(e) {
		text = hide(text, secrets)
		number := "-"
		if e.Change != "" {
			number = "#" + e.Change
		}
		l.records(e.Time, number+" ", text)
	}
}

// secretsOf returns the texts of the secrets that the event's change has written so far. The engine quotes refused
// values, also at the end of a change.
func (l *devLog) secretsOf(e changes.Event) []string {
	texts := l.written[e.Change]
	collect := func(value any) { texts = append(texts, textsIn(value)...) }
	writes := map[string][]map[string]any{e.View.View: {e.Values}}
	for _, set := range e.Sets {
		writes[set.View] = append(writes[set.View], set.Values)
	}
	for view, list := range writes {
		id := e.View
		id.View = view
		for _, values := range list {
			for request, value := range values {
				if l.secret(id, request) {
					collect(value)
				}
			}
		}
	}
	if e.Err != "" || e.Output != "" || slices.ContainsFunc(e.Sets, func(set changes.Assignment) bool { return set.Err != "" }) {
		for _, value := range l.world.Facts.Now().Secrets(e.View.Account, e.View.Schema) { // a replaced confdb-schema may refuse them, too
			collect(value)
		}
	}
	if l.written == nil {
		l.written = map[string][]string{}
	}
	if l.written[e.Change] = texts; e.Change == "" || e.Kind == changes.AccessEnded {
		delete(l.written, e.Change)
	}
	return texts
}

// textsIn returns the texts in a value, each as it is and quoted.
func textsIn(value any) (texts []string) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for _, below := range v {
			texts = append(texts, textsIn(below)...)
		}
	case []any:
		for _, below := range v {
			texts = append(texts, textsIn(below)...)
		}
	default:
		texts = append(texts, fmt.Sprint(v), strings.Trim(strconv.Quote(fmt.Sprint(v)), `"`))
	}
	return texts
}

// hide returns a text without the secrets.
func hide(text string, secrets []string) string {
	longestFirst := func(a, b string) int { return cmp.Compare(len(b), len(a)) } // one may be a part of another
	for _, secret := range slices.SortedFunc(slices.Values(secrets), longestFirst) {
		switch {
		case secret == "":
		case len(secret) > 3:
			text = strings.ReplaceAll(text, secret, "(secret)")
		default: // only as a whole word, because a short secret is a part of many words
			text = regexp.MustCompile(`(^|[^A-Za-z0-9])`+regexp.QuoteMeta(secret)+`($|[^A-Za-z0-9])`).ReplaceAllString(text, "${1}(secret)${2}")
		}
	}
	return text
}

// secret reports whether a value of a request is a secret. Without a known confdb-schema every value is one.
func (l *devLog) secret(id backend.ViewID, request string) bool {
	schemas := l.world.Facts.Now().Schemas()
	i := slices.IndexFunc(schemas, func(s facts.Schema) bool { return s.ID() == id.Account+"/"+id.Schema })
	return i < 0 || schemas[i].Parsed.Secret(id.View, request)
}

func (l *devLog) lines(e changes.Event) []string {
	switch e.Kind {
	case changes.AccessBegan:
		return []string{l.access(e)}
	case changes.Refused:
		return []string{l.access(e), l.paint.Bad("refused at once:") + " " + plain.Text(e.Err)}
	case changes.AccessEnded:
		switch {
		case e.Change == "" || e.Read && e.Direct:
			return []string{l.access(e) + ": done"}
		case e.Err != "":
			text := l.paint.Bad("failed") + " after " + e.Took.Round(time.Millisecond).String()
			if !e.Told {
				text += ": " + plain.Text(e.Err)
			}
			return []string{text}
		default:
			return []string{"done after " + e.Took.Round(time.Millisecond).String()}
		}
	case changes.HookRan:
		return l.hook(e)
	case changes.Committed:
		if len(e.Paths) == 0 {
			return []string{"  stored: nothing has changed"}
		}
		return []string{"  stored: " + plain.Line(strings.Join(e.Paths, ", "))}
	case changes.Waits:
		text := fmt.Sprintf("  %s of %s waits until %s of %s ends", e.Hook, e.Snap, cmp.Or(e.For, "another hook"), e.Snap)
		if e.Forever {
			text += ", which waits for it: snapd ends that after two minutes"
		}
		return []string{text}
	case changes.WaitsTurn:
		return []string{l.access(e) + ": waits until this is over: " + e.For}
	case changes.ServiceAsked:
		text := fmt.Sprintf("  %s of %s.%s", e.Action, e.Snap, e.Service)
		switch {
		case e.Err != "":
			text += ": " + plain.Text(e.Err)
		case !l.services:
			text += ": not done without --" + flagServices
		}
		return []string{text}
	}
	return nil
}

// access describes who asked for what.
func (l *devLog) access(e changes.Event) string {
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

// hook describes what a hook has done.
func (l *devLog) hook(e changes.Event) []string {
	head := fmt.Sprintf("%s %s (%v)", e.Snap, e.Hook, e.Took.Round(time.Millisecond))
	if strings.HasPrefix(e.Hook, "observe-view-") {
		head = "told: " + head
	}
	switch {
	case e.Cause != "":
		head += " " + l.paint.Bad("failed:") + " " + plain.Text(e.Cause)
	case e.Rejected != "":
		head += " " + l.paint.Bad("refuses:") + " " + plain.Text(e.Rejected)
	case e.Err != "":
		head += " " + l.paint.Bad("failed:") + " " + plain.Text(e.Err)
	}
	lines := []string{"  " + head}
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
	for line := range strings.Lines(strings.Trim(e.Output, "\n")) {
		lines = append(lines, "    prints: "+plain.Line(strings.TrimRight(line, "\r\n")))
	}
	return lines
}

// values returns assignments in the form of snap set.
func (l *devLog) values(id backend.ViewID, values map[string]any) string {
	var words []string
	for _, key := range sortedKeys(values) {
		switch {
		case values[key] == nil:
			words = append(words, key+"!")
		case l.secret(id, key):
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
