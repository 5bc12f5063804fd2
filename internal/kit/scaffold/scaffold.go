// Package scaffold writes a small project to begin with: a confdb-schema, a custodian and an observer with their hooks,
// tests, and a CI workflow. All of it works as it is. Its main function is Write.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/dialect"
)

// all: because of .github.
//
//go:embed all:template
var templates embed.FS

// A Project is what a project is about.
type Project struct {
	Name    string // of the confdb-schema; the snaps are called after it
	Account string // ID of the account that publishes confdb-schema and snaps
	Action  string // the GitHub action that looks at both, with its version: "OWNER/NAME@v1"
}

// maxName leaves room for "-custodian" in a snap's name, which has 40 characters at most.
const maxName = 30

// Check returns an error that says what is wrong with the project, or nil.
func (p Project) Check() error {
	if !path.ValidSubkey(p.Name) {
		return fmt.Errorf("%q is no name for a confdb-schema: want lower-case letters, digits and single dashes, a letter first", p.Name)
	}
	if len(p.Name) > maxName {
		return fmt.Errorf("%q is too long: %d characters are left for it in the names of its snaps", p.Name, maxName)
	}
	return dialect.ValidAccount(p.Account)
}

// Files returns what a project is made of, by file name with slashes.
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

// executable tells whether a file is a program.
func executable(name string) bool {
	return strings.Contains(name, "/hooks/") || strings.Contains(name, "/bin/")
}

// Write writes a project into a folder, which is made if it is not there, and returns the names of its files, sorted. It
// replaces nothing: if one of the files is there, nothing is written and the error wraps fs.ErrExist.
func Write(dir string, p Project) (names []string, err error) {
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			return nil, fmt.Errorf("cannot begin a project in %s: %s %w", dir, name, fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
	}
	var written []string
	defer func() {
		if err != nil {
			for _, file := range written {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
		mode := os.FileMode(0o644)
		if executable(name) {
			mode = 0o755
		}
		if err := create(file, files[name], mode); err != nil {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
		written = append(written, file)
	}
	return names, nil
}

func create(name string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
