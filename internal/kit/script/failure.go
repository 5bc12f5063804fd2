package script

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A Failure is the place and the reason of a script's failure.
type Failure struct {
	Line    int    // of the script that failed, from 1; 0 if the machine could not be set up
	Text    string // that line
	Message string // the reason, of one or more lines; differences begin with "-" for what was expected and "+" for what was found
	Log     string // the log from the last comment on: commands, their output, and the output of hooks
}

// unmatched matches testscript's message about a text that a pattern does not match.
var unmatched = regexp.MustCompile("^no match for (.+) found in (stdout|stderr)$")

// Failure returns the place and the reason of the script's failure. Call it if Failed is true.
func (r *Result) Failure() Failure {
	// The log ends with FAIL: FILE:LINE: MESSAGE.
	end := regexp.MustCompile(`(?m)^FAIL: .*` + regexp.QuoteMeta(filepath.Base(r.File)) + `:(\d+): `)
	all := end.FindAllStringSubmatchIndex(r.Log, -1)
	if all == nil {
		return Failure{Message: "failed", Log: strings.TrimSpace(r.Log)}
	}
	at := all[len(all)-1]
	f := Failure{Message: strings.TrimSpace(r.Log[at[1]:]), Log: strings.TrimSpace(r.Log[:at[0]])}
	f.Line, _ = strconv.Atoi(r.Log[at[2]:at[3]]) // digits
	if lines, err := scriptLines(r.File); err == nil && f.Line > 0 && f.Line <= len(lines) {
		f.Text = lines[f.Line-1]
	}
	if match := unmatched.FindStringSubmatch(f.Message); match != nil {
		f.Message += "\n- " + unquoted(match[1]) + "\n" + prefixed(lastPrinted(f.Log, match[2]), "+ ")
	}
	return f
}

// lastPrinted returns the last output of a stream, stdout or stderr, in a log; "" for none.
func lastPrinted(log, stream string) string {
	i := strings.LastIndex("\n"+log, "\n["+stream+"]\n")
	if i < 0 {
		return ""
	}
	var printed []string
	for _, line := range strings.Split(log[i:], "\n")[1:] {
		if strings.HasPrefix(line, "> ") || line == "[stderr]" { // the next command, or the other stream
			break
		}
		printed = append(printed, line)
	}
	return strings.TrimRight(strings.Join(printed, "\n"), "\n")
}

// unquoted returns a text without the quotes that %#q puts around it.
func unquoted(text string) string {
	if plain, err := strconv.Unquote(text); err == nil {
		return plain
	}
	return text
}

// First returns the first line of the reason.
func (f Failure) First() string {
	first, _, _ := strings.Cut(f.Message, "\n")
	return first
}

// scriptLines returns the lines of a script's file.
func scriptLines(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	return strings.Split(string(text), "\n"), err
}

// prefixed puts a prefix before each line of a text.
func prefixed(text, prefix string) string {
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
}
