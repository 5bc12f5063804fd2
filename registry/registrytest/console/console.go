// Package console reads and writes what was typed at a machine with snapd and what it printed, so that the end-to-end
// tests record it on a real one and other tests play it on ours.
//
// A transcript is text:
//
//	# About what it is.
//	# snapd: 2.77.1-2
//	# next-change: 41
//
//	@hook change-view-control-telemetry fail|rate too high
//	$ snap set ACC/network/control-telemetry sample-rate=61
//	> a line of standard output
//	! a line of standard error
//	? 1
//
// The exit code is left out where it is 0. A line of output that has no end is marked, as ">\ text". A line "% REASON"
// before a command tells that ours is known to print something else, and why. "@WORD …" prepares what a player has under
// that word. ACC stands for the account ID, and moments are replaced (Placeholders); all else is as it was printed.
package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Transcript is one file.
type Transcript struct {
	About      []string // the comment, less what follows
	Snapd      string   // version it was recorded on; "" if it is not recorded yet
	NextChange int      // the ID of the first change that a command of it makes; 0 if it is not recorded yet
	Steps      []Step
}

// A Step is one command, or the preparation of those that follow.
type Step struct {
	Line    int    // in the file
	Prepare string // without "@"; "" for a command
	Differs string // why ours prints something else; "" where it does not
	Command string

	Outcome
}

// An Outcome is what a command came to.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// Parse reads a transcript.
func Parse(text string) (*Transcript, error) {
	t := &Transcript{}
	var last *Step
	differs := ""
	for i, line := range strings.Split(text, "\n") {
		refuse := func(format string, args ...any) error {
			return fmt.Errorf("line %d: %s", i+1, fmt.Sprintf(format, args...))
		}
		mark, rest := line, ""
		if line != "" {
			mark, rest = line[:1], strings.TrimPrefix(line[1:], " ")
		}
		switch {
		case line == "":
			last = nil
		case mark == "#":
			if err := t.header(rest); err != nil {
				return nil, refuse("%v", err)
			}
		case mark == "%":
			differs = rest
		case mark == "@":
			t.Steps = append(t.Steps, Step{Line: i + 1, Prepare: rest})
			last = nil
		case mark == "$":
			t.Steps = append(t.Steps, Step{Line: i + 1, Command: rest, Differs: differs})
			last, differs = &t.Steps[len(t.Steps)-1], ""
		case last == nil:
			return nil, refuse("%q belongs to no command", line)
		case mark == ">":
			last.Stdout += output(line[1:])
		case mark == "!":
			last.Stderr += output(line[1:])
		case mark == "?":
			if _, err := fmt.Sscanf(rest, "%d", &last.Code); err != nil {
				return nil, refuse("exit code %q: %v", rest, err)
			}
		default:
			return nil, refuse("%q is no line of a transcript", line)
		}
	}
	return t, nil
}

func (t *Transcript) header(text string) error {
	name, value, _ := strings.Cut(text, ": ")
	switch name {
	case "snapd":
		t.Snapd = value
	case "next-change":
		if _, err := fmt.Sscanf(value, "%d", &t.NextChange); err != nil {
			return fmt.Errorf("next-change %q: %w", value, err)
		}
	default:
		t.About = append(t.About, text)
	}
	return nil
}

func output(text string) string {
	if unended, found := strings.CutPrefix(text, "\\"); found {
		return strings.TrimPrefix(unended, " ")
	}
	return strings.TrimPrefix(text, " ") + "\n"
}

// String writes the transcript.
func (t *Transcript) String() string {
	var text strings.Builder
	for _, line := range t.About {
		text.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	if t.Snapd != "" {
		fmt.Fprintf(&text, "# snapd: %s\n# next-change: %d\n", t.Snapd, t.NextChange)
	}
	for _, step := range t.Steps {
		text.WriteString("\n")
		switch {
		case step.Prepare != "":
			text.WriteString("@" + step.Prepare + "\n")
			continue
		case step.Differs != "":
			text.WriteString("% " + step.Differs + "\n")
		}
		text.WriteString("$ " + step.Command + "\n")
		lines(&text, ">", step.Stdout)
		lines(&text, "!", step.Stderr)
		if step.Code != 0 {
			fmt.Fprintf(&text, "? %d\n", step.Code)
		}
	}
	return text.String()
}

func lines(text *strings.Builder, mark, output string) {
	for line := range strings.Lines(output) {
		ended, whole := strings.CutSuffix(line, "\n")
		if !whole {
			mark += "\\"
		}
		text.WriteString(mark)
		if ended != "" {
			text.WriteString(" " + ended)
		}
		text.WriteString("\n")
	}
}

var (
	today  = regexp.MustCompile(`today at \d\d:\d\d [A-Z]+`)
	moment = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)
)

// Placeholders replaces what differs each time by something of the same width, and the account ID by ACC.
func (o Outcome) Placeholders(account string) Outcome {
	replace := func(text string) string {
		text = today.ReplaceAllString(text, "today at hh:mm UTC")
		text = moment.ReplaceAllString(text, "yyyy-mm-ddThh:mm:ssZ")
		return strings.ReplaceAll(text, account, "ACC")
	}
	o.Stdout, o.Stderr = replace(o.Stdout), replace(o.Stderr)
	return o
}

var row = regexp.MustCompile(`(?m)^(\d+) +(?:Do|Doing|Done|Hold|Undone|Undoing|Abort|Error|Wait) .*\n`)

// Since leaves those rows of `snap changes` out that are of earlier changes than the first of the transcript.
func (o Outcome) Since(change int) Outcome {
	o.Stdout = row.ReplaceAllStringFunc(o.Stdout, func(line string) string {
		var id int
		if _, err := fmt.Sscanf(line, "%d", &id); err == nil && id < change {
			return ""
		}
		return line
	})
	return o
}

var (
	digits      = regexp.MustCompile(`\d+`)
	rowID       = regexp.MustCompile(`(?m)^\d+ +(?:Do|Doing|Done|Hold|Undone|Undoing|Abort|Error|Wait) `)
	aboutChange = regexp.MustCompile(`(?:change |id ")\d+`)
)

// Relative counts the changes that an outcome of the step names from the first one of its transcript, so that what two
// machines print can be compared though one of them has done more before.
func (s Step) Relative(o Outcome, first int) Outcome {
	count := func(text string) string {
		return digits.ReplaceAllStringFunc(text, func(found string) string {
			id, err := strconv.Atoi(found)
			if err != nil || id < first {
				return found // none of the transcript's
			}
			return fmt.Sprintf("+%d", id-first)
		})
	}
	o.Stdout = rowID.ReplaceAllStringFunc(o.Stdout, func(found string) string {
		return strings.Join(strings.Fields(count(found)), " ") + " " // without the column's width
	})
	if strings.Contains(s.Command, " --no-wait ") {
		o.Stdout = count(o.Stdout)
	}
	o.Stderr = aboutChange.ReplaceAllStringFunc(o.Stderr, count)
	return o
}

// Words takes a command apart: words with spaces between them, in single quotes where they have some themselves.
func Words(command, account string) ([]string, error) {
	var words []string
	word, inside, begun := strings.Builder{}, false, false
	for _, c := range strings.ReplaceAll(command, "ACC", account) + " " {
		switch {
		case c == '\'':
			inside, begun = !inside, true
		case c == ' ' && !inside:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if inside {
		return nil, fmt.Errorf("a quote of %q has no end", command)
	}
	return words, nil
}
