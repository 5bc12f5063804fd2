package generate

import (
	"fmt"
	"strings"
)

// Markdown returns the documentation as Markdown with a diagram for Mermaid.
func (s *Source) Markdown() string {
	p := s.page()
	var text strings.Builder
	linef := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	for _, line := range p.header {
		linef("<!-- %s -->", strings.ReplaceAll(oneLine(line), "--", "- -"))
	}
	linef("\n# Views of %s\n", p.title)
	if p.summary != "" {
		linef("%s\n", markdownText(p.summary))
	}
	linef("```mermaid\nflowchart LR")
	for i, view := range p.views {
		linef("\tv%d([\"%s\"])", i, view.name)
	}
	for i, storage := range p.storage {
		linef("\ts%d[(\"%s\")]", i, storage)
	}
	for _, l := range p.links {
		linef("\tv%d -- \"%s\" --> s%d", p.view(l.view), l.label(), p.part(l.storage))
	}
	linef("```")
	for _, view := range p.views {
		linef("\n## %s\n", view.name)
		if view.summary != "" {
			linef("%s\n", markdownText(view.summary))
		}
		for _, sentence := range view.access {
			linef("%s", markdownText(sentence))
		}
		linef("")
		markdownTable(linef, columns, view.rows)
		if view.parameters != nil {
			linef("\nReads can have constraints (`snap get --with NAME=VALUE`):\n")
			markdownTable(linef, parameters, view.parameters)
		}
		if view.examples != nil {
			linef("\n```sh\n%s\n```", strings.Join(view.examples, "\n"))
		}
	}
	return text.String()
}

func (p page) view(name string) int {
	for i, view := range p.views {
		if view.name == name {
			return i
		}
	}
	return -1
}

func (p page) part(name string) int {
	for i, storage := range p.storage {
		if storage == name {
			return i
		}
	}
	return -1
}

func markdownTable(linef func(string, ...any), columns []string, rows []row) {
	linef("| %s |", strings.Join(columns, " | "))
	linef("|%s", strings.Repeat("---|", len(columns)))
	for _, cells := range rows {
		line := "|"
		for _, cell := range cells {
			text := markdownText(cell.text)
			if cell.code {
				text = "`" + strings.ReplaceAll(oneLine(cell.text), "|", `\|`) + "`"
			}
			line += " " + text + " |"
		}
		linef("%s", line)
	}
}

// markdownText escapes the characters of a text that have a meaning in Markdown.
func markdownText(text string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "|", `\|`,
		"#", `\#`, "~", `\~`, "$", `\$`).Replace(oneLine(text))
}
