package kitcmd

import (
	"fmt"
	"strings"

	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
)

// A testPrinter prints the results of scripts.
type testPrinter struct {
	env     *roles.Env
	verbose bool
	github  bool   // also mark failures for GitHub
	again   string // the command that opens a shell, without the place
	err     error
}

func (p *testPrinter) done(r script.Result) {
	paint := p.env.Paint(p.env.Stdout)
	word := paint.Good("ok  ")
	switch {
	case r.Failed:
		word = paint.Bad("FAIL")
	case r.Skipped:
		word = paint.Warn("skip")
	}
	_, err := fmt.Fprintf(p.env.Stdout, "%s  %s  %.2fs\n", word, r.File, r.Took.Seconds())
	if err == nil {
		err = p.warnings(r)
	}
	switch {
	case err != nil:
	case r.Failed:
		err = p.failure(r)
	case p.verbose:
		_, err = fmt.Fprintln(p.env.Stdout, indented(strings.TrimSpace(r.Log), "    "))
	}
	if p.err == nil {
		p.err = err
	}
}

// warnings prints what is wrong in a script that has not failed.
func (p *testPrinter) warnings(r script.Result) error {
	var list []lint.Finding
	for _, warning := range r.Warnings {
		first, printed, _ := strings.Cut(warning, "\n")
		if _, err := fmt.Fprintf(p.env.Stdout, "    %s: %s\n", p.env.Paint(p.env.Stdout).Warn("warning"), plain.Line(first)); err != nil {
			return err
		}
		for line := range strings.Lines(printed) {
			if _, err := fmt.Fprintf(p.env.Stdout, "      %s\n", plain.Line(strings.TrimRight(line, "\r\n"))); err != nil {
				return err
			}
		}
		list = append(list, lint.Finding{File: r.File, Line: 1, Column: 1, Level: lint.Warning, Code: "registry test", Message: first})
	}
	if !p.github || list == nil {
		return nil
	}
	return writeFindings(p.env.Stdout, p.env, lint.GitHub, list)
}

// failure prints where a script failed, what it expected and found, which commands ran before, and the command that
// opens a shell on that machine.
func (p *testPrinter) failure(r script.Result) error {
	paint, f := p.env.Paint(p.env.Stdout), r.Failure()
	var text strings.Builder
	where := r.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", r.File, f.Line)
		fmt.Fprintf(&text, "%s: %s\n", where, f.Text)
	}
	for line := range strings.Lines(f.Message + "\n") {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "-"):
			line = paint.Bad(line)
		case strings.HasPrefix(line, "+"):
			line = paint.Good(line)
		}
		text.WriteString(line + "\n")
	}
	if f.Log != "" {
		fmt.Fprintf(&text, "\n%s\n", paint.Faint("what ran:"))
		for line := range strings.Lines(f.Log + "\n") {
			text.WriteString("  " + line)
		}
	}
	if f.Line > 0 {
		fmt.Fprintf(&text, "\n%s %s %s\n", paint.Faint("a shell on that machine, before the line:"), p.again, quoted(where))
	}
	if _, err := fmt.Fprintln(p.env.Stdout, indented(text.String(), "    ")); err != nil {
		return err
	}
	if !p.github {
		return nil
	}
	return writeFindings(p.env.Stdout, p.env, lint.GitHub, []lint.Finding{
		{File: r.File, Line: max(1, f.Line), Column: 1, Level: lint.Error, Code: "registry test", Message: f.First()}})
}

// indented indents the non-empty lines of a text.
func indented(text, by string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(by)
		}
		out.WriteString(line)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
