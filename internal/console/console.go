// Package console reads and writes transcripts: commands typed on a machine with snapd, and what they printed. Its
// main type is Transcript. The end-to-end tests record transcripts on a real machine, and other tests replay them on
// the imitated one.
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
// An exit code of 0 is left out. ">\ text" is output without a line end. A line "% REASON" before a command gives the reason why
// the imitated machine prints something else. "@WORD …" prepares the following commands; the replaying test decides what it means.
// ACC is the account ID, and times are replaced (see Placeholders).
package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Transcript is one file.
type Transcript struct {
	About      []string // the comment without the fields below
	Snapd      string   // recorded version; "" before the recording
	NextChange int      // ID of the first change that a command makes; 0 before the recording
	Steps      []Step
}

// A Step is one command, or one preparation.
type Step struct {
	Line    int    // line in the file
	Prepare string // without "@"; "" for a command
	Differs string // reason why the imitated machine prints something else; "" if it does not
	Command string

	Outcome
}

// An Outcome is the result of a command.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// Parse parses a transcript.
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

// String returns the transcript as text.
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

// Placeholders replaces times by placeholders of the same width, and the account ID by ACC.
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

// Since removes the rows of `snap changes` about changes before the transcript's first one.
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

// Relative counts the IDs of changes from the transcript's first one, so that the output of two machines can be
// compared.
func (s Step) Relative(o Outcome, first int) Outcome {
	count := func(text string) string {
		return digits.ReplaceAllStringFunc(text, func(found string) string {
			id, err := strconv.Atoi(found)
			if err != nil || id < first {
				return found // not a change of the transcript
			}
			return fmt.Sprintf("+%d", id-first)
		})
	}
	o.Stdout = rowID.ReplaceAllStringFunc(o.Stdout, func(found string) string {
		return strings.Join(strings.Fields(count(found)), " ") + " " // without the width of the column
	})
	if strings.Contains(s.Command, " --no-wait ") {
		o.Stdout = count(o.Stdout)
	}
	o.Stderr = aboutChange.ReplaceAllStringFunc(o.Stderr, count)
	return o
}

// Words splits a command at spaces. Words with spaces are in single quotes.
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
