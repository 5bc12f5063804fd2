package snapfile

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"

	"aspects-poc/internal/document"
)

// A Table has the plugs that the hooks of `registry new --from` use, and the requests that they answer. It is read from a file of
// the custodian in Python, Go or shell.
type Table struct {
	File    string
	Admin   Word   // the plug through which they write
	Secrets Word   // the plug through which they read secrets; "" if there are none
	Plain   []Word // requests
	Secret  []Word // requests for secrets
}

// A Word is a text in a file with its position.
type Word struct {
	Text string
	At   document.Position
}

var (
	tableFiles = []string{"lib/table.py", "src/table.go", "lib/table.sh"}
	tablePlug  = regexp.MustCompile(`^\s*(?i:(admin|secrets))(?:\s+= "|=):([a-z0-9-]+)`)
	tableRow   = regexp.MustCompile(`^\s*[({]"([a-z0-9.-]+)", .*, (?i:(true|false))[)}],$`)
	shellRow   = regexp.MustCompile(`^([a-z0-9.-]+)\t(secret|plain)\t`)
)

// ReadTable returns the table of the snap whose file it gets, or nil if the snap has none. read returns the text of a file.
func ReadTable(file string, read func(name string) ([]byte, error)) *Table {
	for _, name := range tableFiles {
		t := &Table{File: filepath.Join(Root(file), filepath.FromSlash(name))}
		text, err := read(t.File)
		if err != nil {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			word := func(at []int, group int) Word {
				return Word{string(line[at[2*group]:at[2*group+1]]), document.Position{Line: i + 1, Column: len([]rune(string(line[:at[2*group]]))) + 1}}
			}
			if at := tablePlug.FindSubmatchIndex(line); at != nil {
				if plug := word(at, 2); strings.EqualFold(word(at, 1).Text, "admin") {
					t.Admin = plug
				} else {
					t.Secrets = plug
				}
			}
			at := tableRow.FindSubmatchIndex(line)
			if at == nil {
				at = shellRow.FindSubmatchIndex(line)
			}
			if at != nil {
				if request := word(at, 1); strings.EqualFold(word(at, 2).Text, "true") || word(at, 2).Text == "secret" {
					t.Secret = append(t.Secret, request)
				} else {
					t.Plain = append(t.Plain, request)
				}
			}
		}
		if t.Admin.Text != "" {
			return t
		}
	}
	return nil
}
