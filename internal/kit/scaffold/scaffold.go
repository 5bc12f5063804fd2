// Package scaffold writes a small project to start from: a confdb-schema, a custodian and an observer with their hooks,
// tests, and a CI workflow. The project passes its tests without changes. Its main function is Write, which writes a Plan. There are
// three: a Project is an example, a Wrapped shows the values of a configuration file, and an Extended adds confdb to a snap.
package scaffold

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/dialect"
)

// The prefix all: includes the folder .github.
//
//go:embed all:template
var templates embed.FS

// A Project has the names that the files of a project contain.
type Project struct {
	Name    string // of the confdb-schema; the snaps' names begin with it
	Account string // ID of the account that publishes the confdb-schema and the snaps
	Action  string // the GitHub action that checks both, with its version: "OWNER/NAME@v1"
}

// maxName is the limit of a project's name. A snap's name has 40 characters at most, and "-custodian" needs 10 of them.
const maxName = 30

// Check returns an error if the names of the project are not valid.
func (p Project) Check() error {
	if !path.ValidSubkey(p.Name) {
		return fmt.Errorf("%q is not a name for a confdb-schema: use lower-case letters, digits and single dashes, and begin with a letter", p.Name)
	}
	if len(p.Name) > maxName {
		return fmt.Errorf("%q is too long: a project's name has at most %d characters", p.Name, maxName)
	}
	return dialect.ValidAccount(p.Account)
}

// Files returns the contents of a project's files, by their names with slashes.
func (p Project) Files() (map[string][]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err := fs.WalkDir(templates, "template", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := templates.ReadFile(name)
		if err != nil {
			return err
		}
		// YAML and shell have their own use for braces.
		parsed, err := template.New(name).Delims("[[", "]]").Parse(string(text))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, p); err != nil {
			return err
		}
		files[strings.ReplaceAll(strings.TrimPrefix(name, "template/"), "NAME", p.Name)] = out.Bytes()
		return nil
	})
	return files, err
}
