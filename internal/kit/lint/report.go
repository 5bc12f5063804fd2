package lint

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
)

// A Format is how findings are written.
type Format string

// The formats.
const (
	Text   Format = "text"   // FILE:LINE:COLUMN: LEVEL: MESSAGE [CODE], for people and editors
	JSON   Format = "json"   // {"findings": […], "errors": N, "warnings": N, "notes": N}
	GitHub Format = "github" // workflow commands, which GitHub shows beside the lines
	SARIF  Format = "sarif"  // SARIF 2.1.0, for code scanning
)

// Formats lists all formats.
func Formats() []Format { return []Format{Text, JSON, GitHub, SARIF} }

// Write writes findings in a format. version is that of the program, for SARIF.
func Write(w io.Writer, format Format, findings []Finding, version string) error {
	switch format {
	case Text:
		return WriteText(w, findings, func(_ Level, word string) string { return word })
	case JSON:
		return writeJSON(w, findings)
	case GitHub:
		return writeGitHub(w, findings)
	case SARIF:
		return writeSARIF(w, findings, version)
	}
	return fmt.Errorf("no format %q", format)
}

func count(findings []Finding) (errors, warnings, notes int) {
	for _, f := range findings {
		switch f.Level {
		case Error:
			errors++
		case Warning:
			warnings++
		default:
			notes++
		}
	}
	return errors, warnings, notes
}

// WriteText writes findings in the format Text. paint returns the word of a level with its colour.
func WriteText(w io.Writer, findings []Finding, paint func(level Level, word string) string) error {
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&text, "%s:%d:%d: %s: %s [%s]\n", plain.Line(f.File), f.Line, f.Column, paint(f.Level, string(f.Level)),
			within(f.Message), f.Code)
		if f.Help != "" {
			fmt.Fprintf(&text, "\t%s\n", within(f.Help))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// within returns a message with its later lines indented, so that no line looks like another finding.
func within(text string) string { return strings.ReplaceAll(plain.Text(text), "\n", "\n\t") }

// Summary returns the numbers of findings by level in words, or "" if there are none.
func Summary(findings []Finding) string {
	errors, warnings, notes := count(findings)
	var parts []string
	for _, part := range []struct {
		n         int
		one, many string
	}{{errors, "error", "errors"}, {warnings, "warning", "warnings"}, {notes, "note", "notes"}} {
		switch part.n {
		case 0:
		case 1:
			parts = append(parts, "1 "+part.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.many))
		}
	}
	return strings.Join(parts, ", ")
}

func writeJSON(w io.Writer, findings []Finding) error {
	errors, warnings, notes := count(findings)
	if findings == nil {
		findings = []Finding{}
	}
	return jsonvalue.Write(w, map[string]any{"findings": findings, "errors": errors, "warnings": warnings, "notes": notes}, "  ")
}

func writeGitHub(w io.Writer, findings []Finding) error {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	var text strings.Builder
	for _, f := range findings {
		command := string(f.Level)
		if f.Level == Note {
			command = "notice"
		}
		said := f.Message
		if f.Help != "" {
			said += "\n" + f.Help
		}
		fmt.Fprintf(&text, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", command, property.Replace(filepath.ToSlash(f.File)), f.Line, f.Column,
			property.Replace(f.Code), message.Replace(said))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
