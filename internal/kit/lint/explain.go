package lint

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// An Explanation says more about a rule than its summary.
type Explanation struct {
	Rule
	Why       string    // the reason for the rule, with snapd's behaviour or words
	Bad, Good []Example // files with the finding, and files without it
}

// An Example is a file, or the part of a file that matters.
type Example struct{ File, Text string }

//go:embed explain/*.txtar
var explanations embed.FS

// Explain returns the explanation of a rule. ok is false if there is no such rule.
//
// Each rule has a file in explain/: its comment is Why, and the files in it are the examples, in folders bad and good. A file
// named schema.yaml has the views and the storage of a confdb-schema, without its headers.
func Explain(code string) (explained Explanation, ok bool) {
	rule, ok := ruleOf(code)
	if !ok {
		return Explanation{}, false
	}
	explained.Rule = rule
	text, err := explanations.ReadFile("explain/" + code + ".txtar")
	if err != nil {
		return explained, true
	}
	archive := txtar.Parse(text)
	explained.Why = strings.TrimSpace(string(archive.Comment))
	for _, file := range archive.Files {
		kind, name, _ := strings.Cut(file.Name, "/")
		example := Example{name, string(file.Data)}
		if kind == "bad" {
			explained.Bad = append(explained.Bad, example)
		} else {
			explained.Good = append(explained.Good, example)
		}
	}
	return explained, true
}

// Text returns an explanation for a terminal.
func (e Explanation) Text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s): %s\n", e.Code, e.Level, e.Summary)
	if e.Off {
		fmt.Fprintf(&out, "It is off unless lint gets --enable %s.\n", e.Code)
	}
	if e.Why != "" {
		fmt.Fprintf(&out, "\n%s\n", e.Why)
	}
	if e.Help != "" {
		fmt.Fprintf(&out, "\nWhat to do: %s\n", e.Help)
	}
	show := func(title string, examples []Example) {
		for _, x := range examples {
			fmt.Fprintf(&out, "\n%s, %s:\n\n", title, cmp.Or(x.File, "a file"))
			for line := range strings.Lines(x.Text) {
				out.WriteString(strings.TrimRight("    "+line, " "))
			}
		}
	}
	show("Bad", e.Bad)
	show("Good", e.Good)
	fmt.Fprintf(&out, "\nAll rules: %s#%s\n", DocPage, e.Code)
	return out.String()
}

// Markdown returns the explanation of a rule for an editor, "" if there is no such rule.
func Markdown(code string) string {
	e, ok := Explain(code)
	if !ok {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "**%s** (%s): %s\n", e.Code, e.Level, e.Summary)
	if e.Why != "" {
		fmt.Fprintf(&out, "\n%s\n", e.Why)
	}
	if e.Help != "" {
		fmt.Fprintf(&out, "\nWhat to do: %s\n", e.Help)
	}
	show := func(title string, examples []Example) {
		for _, x := range examples {
			language := "sh"
			if slices.Contains([]string{".yaml", ".json"}, path.Ext(x.File)) {
				language = strings.TrimPrefix(path.Ext(x.File), ".")
			}
			fmt.Fprintf(&out, "\n%s, `%s`:\n\n```%s\n%s```\n", title, x.File, language, x.Text)
		}
	}
	show("Bad", e.Bad)
	show("Good", e.Good)
	fmt.Fprintf(&out, "\n`aspects-poc registry explain %s`, %s#%s\n", e.Code, DocPage, e.Code)
	return out.String()
}
