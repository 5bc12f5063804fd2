package generate

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
table{border-collapse:collapse;display:block;overflow-x:auto;margin:1rem 0}th,td{border:1px solid #c8c8c8;padding:.35rem .6rem;text-align:left;vertical-align:top}
th{background:#f2f2f2}code,pre{font:14px/1.5 ui-monospace,monospace}pre{background:#f2f2f2;padding:.8rem;overflow-x:auto}svg{max-width:100%;height:auto}
footer{margin-top:3rem;color:#5a5a5a;font-size:14px;overflow-wrap:anywhere}`

// HTML returns the documentation as one page of HTML with a diagram in SVG. The page needs no scripts and no other files.
func (s *Source) HTML() string {
	p := s.page()
	var text strings.Builder
	linef := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	linef("<!doctype html>\n<!-- %s -->\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
		strings.ReplaceAll(oneLine(p.header[0]), "--", "- -"))
	linef("<title>Views of %s</title>\n<style>%s</style>", html.EscapeString(p.title), style)
	linef("<h1>Views of %s</h1>", html.EscapeString(p.title))
	if p.summary != "" {
		linef("<p>%s</p>", html.EscapeString(p.summary))
	}
	linef("<nav><ul>")
	for _, view := range p.views {
		linef("<li><a href=\"#%s\">%s</a> %s</li>", view.name, view.name, html.EscapeString(view.summary))
	}
	linef("</ul></nav>")
	p.diagram(linef)
	for _, view := range p.views {
		linef("<h2 id=\"%s\">%s</h2>", view.name, view.name)
		if view.summary != "" {
			linef("<p>%s</p>", html.EscapeString(view.summary))
		}
		linef("<p>%s</p>", html.EscapeString(strings.Join(view.access, " ")))
		htmlTable(linef, columns, view.rows)
		if view.parameters != nil {
			linef("<p>Reads can have constraints (<code>snap get --with NAME=VALUE</code>):</p>")
			htmlTable(linef, parameters, view.parameters)
		}
		if view.examples != nil {
			linef("<pre>%s</pre>", html.EscapeString(strings.Join(view.examples, "\n")))
		}
	}
	linef("<footer>%s</footer>", html.EscapeString(strings.Join(p.header, " ")))
	return text.String()
}

func htmlTable(linef func(string, ...any), columns []string, rows []row) {
	linef("<table>\n<tr><th>%s</th></tr>", strings.Join(columns, "</th><th>"))
	for _, cells := range rows {
		line := "<tr>"
		for _, cell := range cells {
			text := html.EscapeString(cell.text)
			if cell.code {
				text = "<code>" + text + "</code>"
			}
			line += "<td>" + text + "</td>"
		}
		linef("%s</tr>", line)
	}
	linef("</table>")
}

// Measures of the diagram, in pixels.
const (
	boxHeight, boxPitch = 34, 50
	letter, margin      = 9, 14
	gap                 = 240
)

// diagram prints the views on the left, the parts of the storage on the right, and a line for each link: a full one if the view
// writes, a dashed one if it only reads.
func (p page) diagram(linef func(string, ...any)) {
	var left, right []string
	for _, view := range p.views {
		left = append(left, view.name)
	}
	right = p.storage
	width := func(names []string) int {
		widest := 0
		for _, name := range names {
			widest = max(widest, utf8.RuneCountInString(name))
		}
		return widest*letter + 2*margin
	}
	leftWidth, rightWidth := width(left), width(right)
	height := max(len(left), len(right))*boxPitch + margin
	linef(`<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="Which view leads to which part of the storage" font-family="ui-monospace,monospace" font-size="14">`,
		leftWidth+gap+rightWidth+2, height, leftWidth+gap+rightWidth+2)
	middle := func(i int) int { return margin + i*boxPitch + boxHeight/2 }
	for _, l := range p.links {
		dash := ""
		if !l.write {
			dash = ` stroke-dasharray="6 4"`
		}
		from, to := middle(p.view(l.view)), middle(p.part(l.storage))
		linef(`<path d="M%d %d C%d %d %d %d %d %d" fill="none" stroke="#555" stroke-width="1.5"%s><title>%s %s %s</title></path>`, leftWidth+1, from,
			leftWidth+gap/2, from, leftWidth+gap/2, to, leftWidth+gap, to, dash, l.view, l.label(), html.EscapeString(l.storage))
	}
	box := func(x, i, width, round int, fill, name string) {
		linef(`<rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="%s" stroke="#555"/><text x="%d" y="%d" fill="#1c1c1c">%s</text>`,
			x, margin+i*boxPitch, width, boxHeight, round, fill, x+margin, middle(i)+5, html.EscapeString(name))
	}
	for i, name := range left {
		box(1, i, leftWidth, boxHeight/2, "#e8f0fe", name)
	}
	for i, name := range right {
		box(leftWidth+gap, i, rightWidth, 4, "#fdf3e1", name)
	}
	linef("</svg>\n<p>A full line: the view writes (and often reads). A dashed line: it only reads.</p>")
}
