package scaffold

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"aspects-poc/internal/document"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/keep"

	"go.yaml.in/yaml/v3"
)

//go:embed all:wrap
var wrapTemplates embed.FS

// A File is a configuration file.
type File struct {
	Name string // without folder
	Text string
	Mode uint32 // permissions
}

// A Wrapped is a project around a configuration file: the views show the file's values, and hooks of the custodian read and write
// the file.
type Wrapped struct {
	Project
	File   string // its name
	Format keep.Format
	Hooks  string // "python", "go", or "shell"
	Fields []field
	Left   []string // keys that the hooks do not change, with the reasons

	blanked []string // keys of the secrets that are removed from the custodian's copy of the file
	root    *node
	text    string // text of the copy
	mode    uint32
	doc     *keep.Document
	sample  *Sample
}

// A Sample is a value for examples and tests: the one in the file, and another one that the confdb-schema accepts.
type Sample struct {
	Request  string
	Old, New string // JSON
	Wrong    string // JSON of another type, which the confdb-schema refuses
	after    string // the text of the file with New
}

// formats has the formats by the endings of files' names.
var formats = map[string]keep.Format{".yaml": keep.YAML, ".yml": keep.YAML, ".json": keep.JSON, ".ini": keep.INI, ".conf": keep.INI, ".cfg": keep.INI,
	".toml": keep.TOML}

var fileNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Wrap reads a configuration file and returns a project around it. hooks is the language of the hooks: python, go or shell. Its errors
// say what to change in the file.
func Wrap(p Project, file File, hooks string) (*Wrapped, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if !fileNames.MatchString(file.Name) {
		return nil, fmt.Errorf("%q: give the file a name of letters, digits, dots and dashes", file.Name)
	}
	w := &Wrapped{Project: p, File: file.Name, Format: formats[strings.ToLower(filepath.Ext(file.Name))], Hooks: hooks}
	if w.Format == "" {
		return nil, fmt.Errorf("cannot tell the format of %s: end its name in .yaml, .json, .ini, .conf or .toml", file.Name)
	}
	doc, err := parse(w.Format, file.Text)
	if w.Format == keep.INI && (err != nil || !hasValues(doc) || strings.HasPrefix(file.Text, "{")) { // names such as .conf say little
		for _, other := range []keep.Format{keep.JSON, keep.TOML, keep.YAML} {
			if otherDoc, otherErr := parse(other, file.Text); otherErr == nil && hasValues(otherDoc) {
				w.Format, doc, err = other, otherDoc, nil
				break
			}
		}
	}
	if err == nil && w.Format == keep.INI && !hasValues(doc) {
		if i := slices.IndexFunc(doc.Entries, func(e *keep.Entry) bool { return e.Why == keep.NoValue }); i >= 0 {
			err = fmt.Errorf("this is not INI: line %d: %s", doc.Entries[i].Line, keep.NoValue)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s as %s: %w", file.Name, strings.ToUpper(string(w.Format)), err)
	}
	if err := w.hooksFit(); err != nil {
		return nil, err
	}
	var left []*keep.Entry
	w.root, left = tree(doc)
	w.Fields = w.root.fields(doc, "", false)
	if err := w.keysFit(); err != nil {
		return nil, err
	}
	for _, e := range left {
		w.Left = append(w.Left, fmt.Sprintf("%s (line %d): %s", keep.Dotted(e.Path), e.Line, e.Why))
	}
	for _, path := range doc.EmptyMaps() {
		w.Left = append(w.Left, keep.Dotted(path)+": a map without keys")
	}
	if !slices.ContainsFunc(w.Fields, func(f field) bool { return !f.Secret }) {
		return nil, fmt.Errorf("%s has no value that a confdb-schema can have and that is no secret", file.Name)
	}
	if err := w.blank(file, left); err != nil {
		return nil, err
	}
	if w.doc, err = keep.Parse(w.Format, w.text); err != nil {
		return nil, fmt.Errorf("cannot read %s without its secrets: %w", file.Name, err)
	}
	w.sample = w.find(0)
	return w, nil
}

func parse(format keep.Format, text string) (*keep.Document, error) {
	doc, err := keep.Parse(format, text)
	if err == nil {
		err = readable(format, text)
	}
	return doc, err
}

// hasValues reports whether a file has a value that the hooks can change.
func hasValues(doc *keep.Document) bool {
	return slices.ContainsFunc(doc.Entries, func(e *keep.Entry) bool { return e.Kind != keep.Other })
}

// readable returns the error of the usual parser of a format for a file.
func readable(format keep.Format, text string) error {
	switch format {
	case keep.YAML:
		var values map[string]any
		return yaml.Unmarshal([]byte(text), &values)
	case keep.JSON:
		var values map[string]any
		return json.Unmarshal([]byte(text), &values)
	}
	return nil
}

// hooksFit returns an error if the hooks cannot be written in the language.
func (w *Wrapped) hooksFit() error {
	switch {
	case w.Hooks == "python", w.Hooks == "go", w.Hooks == "shell" && w.Format == keep.INI:
		return nil
	case w.Hooks == "shell":
		return errors.New("cannot write hooks in shell for " + strings.ToUpper(string(w.Format)) + ": the lines of INI are easy for awk, but it cannot find the " +
			"values of this format safely, and yq and jq write the whole file anew, without its comments or its layout; take --hooks python, or go")
	}
	return fmt.Errorf("cannot write hooks in %q: take --hooks python, go or shell", w.Hooks)
}

// keysFit returns an error if the table of hooks in shell cannot have a key.
func (w *Wrapped) keysFit() error {
	for _, f := range w.Fields {
		if w.Hooks == "shell" && strings.ContainsFunc(strings.Join(f.Entry.Path, ""), unicode.IsControl) {
			return fmt.Errorf("line %d of %s has a key with a tab or another control character, which hooks in shell cannot find: take --hooks python, or go",
				f.Entry.Line, w.File)
		}
	}
	return nil
}

var secretInText = regexp.MustCompile(`(?i)(password|passwd|passphrase|psk|secret|private[-_ ]?key|api[-_]?key|token|credentials?|access[-_]?key|\bpwd|bearer|BEGIN [A-Z ]*PRIVATE KEY)`)

// blank sets w.text to the text of the file without its secrets, for the custodian's copy. left are the entries that the hooks do not
// change.
func (w *Wrapped) blank(file File, left []*keep.Entry) error {
	w.text, w.mode = file.Text, file.Mode&0o777
	var changes []keep.Change
	for _, f := range w.Fields {
		if !f.Secret {
			continue
		}
		w.blanked = append(w.blanked, keep.Dotted(f.Entry.Path))
		c := keep.Change{Path: f.Entry.Path}
		if f.Entry.Kind == keep.String {
			c.Value = ""
		}
		if f.Entry.Kind != keep.Null {
			changes = append(changes, c)
		}
	}
	text, err := keep.Edit(w.Format, w.text, changes)
	if err != nil {
		return fmt.Errorf("cannot take the secrets out of %s: %w", file.Name, err)
	}
	for _, e := range left {
		if !secretValue(subkey(e.Path[len(e.Path)-1])) && !secretInText.MatchString(e.Raw()) && !secretInValue.MatchString(e.Raw()) {
			continue
		}
		doc, err := keep.Parse(w.Format, text)
		if err != nil {
			return err
		}
		cut, done := doc.Cut(doc.Find(e.Path))
		if !done {
			return fmt.Errorf("line %d of %s may have a secret, in a form that cannot be taken out (%s): begin with a copy of the file without it",
				e.Line, file.Name, e.Why)
		}
		text = cut
		w.blanked = append(w.blanked, keep.Dotted(e.Path))
	}
	if w.text = text; len(w.blanked) > 0 {
		w.mode &= 0o700
	}
	return nil
}

// find returns a Sample from the file, or nil. It skips the first skip ones.
func (w *Wrapped) find(skip int) *Sample {
	for _, f := range w.Fields {
		if f.Secret || f.Entry.Kind == keep.Null {
			continue
		}
		value, wrong := another(f)
		if value == nil {
			continue
		}
		after, err := keep.Edit(w.Format, w.text, []keep.Change{{Path: f.Entry.Path, Value: value}})
		if err != nil {
			continue
		}
		if skip--; skip < 0 {
			return &Sample{Request: f.Request, Old: jsonOf(f.Entry.Value), New: jsonOf(value), Wrong: wrong, after: after}
		}
	}
	return nil
}

// another returns another value that the type of a field accepts, and a value that the type refuses. value is nil if it finds none.
func another(f field) (value any, wrong string) {
	switch old := f.Entry.Value.(type) {
	case bool:
		return !old, `"maybe"`
	case json.Number:
		if n, err := old.Int64(); err == nil {
			if n > 1 {
				return json.Number(fmt.Sprint(n - 1)), `"many"`
			}
			return json.Number(fmt.Sprint(n + 1)), `"many"`
		}
		return json.Number("0.5"), `"many"`
	case string:
		if f.Entry.Kind != keep.String {
			return nil, ""
		}
		for _, word := range choices(f.Entry) {
			if word != old {
				return word, "5"
			}
		}
		return alike(old), "5"
	}
	return nil, ""
}

// alike returns a text with another last digit or letter. A pattern that an author writes for the old text mostly accepts it.
func alike(text string) string {
	for i := len(text) - 1; i >= 0; i-- {
		c := text[i]
		switch {
		case c == '0', c == 'a', c == 'A':
			c++
		case c > '0' && c <= '9', c > 'a' && c <= 'z', c > 'A' && c <= 'Z':
			c--
		default:
			continue
		}
		return text[:i] + string(c) + text[i+1:]
	}
	return "changed"
}

func jsonOf(value any) string {
	text, err := jsonvalue.Encode(value)
	if err != nil { // never happens with values of package keep
		return "null"
	}
	return string(text)
}

// Secrets reports whether the file has secrets.
func (w *Wrapped) Secrets() bool {
	return slices.ContainsFunc(w.Fields, func(f field) bool { return f.Secret })
}

// Views returns the names of the views.
func (w *Wrapped) Views() []string {
	views := []string{w.Name + "-admin", w.Name + "-state"}
	if w.Secrets() {
		views = append(views, w.Name+"-secrets-state")
	}
	return views
}

// Sample returns the value that the examples write.
func (w *Wrapped) Sample() *Sample { return w.sample }

// Mode returns the permissions of the file in the notation of the hooks' language.
func (w *Wrapped) Mode() string {
	if w.Hooks == "shell" {
		return fmt.Sprintf("%03o", w.mode)
	}
	return fmt.Sprintf("0o%03o", w.mode)
}

// Table returns the path of the file with the hooks' table, below the custodian's folder.
func (w *Wrapped) Table() string {
	return map[string]string{"python": "lib/table.py", "go": "src/table.go", "shell": "lib/table.sh"}[w.Hooks]
}

// Stage returns the folders of the custodian's snap.
func (w *Wrapped) Stage() string {
	if w.Hooks == "go" {
		return "[bin, default]"
	}
	return "[lib, default]"
}

// kind returns the kind of a field in the notation of the hooks' table.
func (f field) kind() string {
	switch f.Entry.Kind {
	case keep.Null:
		return "string"
	case keep.List:
		if f.Entry.Element == "" {
			return "list string"
		}
		return "list " + string(f.Entry.Element)
	}
	return string(f.Entry.Kind)
}

// Rows returns the rows of the hooks' table.
func (w *Wrapped) Rows() (rows []string) {
	for _, f := range w.Fields {
		if w.Hooks == "shell" {
			rows = append(rows, f.shellRow())
			continue
		}
		path := make([]string, len(f.Entry.Path))
		for i, key := range f.Entry.Path {
			path[i] = jsonOf(key)
		}
		row := "(%s, (%s,), %s, %s, %s),"
		secret := map[bool]string{true: "True", false: "False"}[f.Secret]
		if w.Hooks == "go" {
			row, secret = "{%s, []string{%s}, %s, %s, %s},", strings.ToLower(secret)
		}
		rows = append(rows, fmt.Sprintf(row, jsonOf(f.Request), strings.Join(path, ", "), jsonOf(f.kind()), jsonOf(f.Like), secret))
	}
	return rows
}

// shellRow returns the row of a field in an INI file.
func (f field) shellRow() string {
	section, key := "", f.Entry.Path[len(f.Entry.Path)-1]
	if len(f.Entry.Path) > 1 {
		section = f.Entry.Path[0]
	}
	return strings.Join([]string{f.Request, map[bool]string{true: "secret", false: "plain"}[f.Secret], f.kind(), section, key, f.Like}, "\t")
}

// Files returns the contents of the project's files, by their names with slashes.
func (w *Wrapped) Files() (map[string][]byte, error) {
	schema, err := document.Format(w.Name+".yaml", []byte(w.schema()))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{w.Name + ".yaml": schema, "custodian/default/" + w.File: []byte(w.text)}
	for _, folder := range []string{"common", w.Hooks} {
		root := "wrap/" + folder
		err := fs.WalkDir(wrapTemplates, root, func(name string, entry fs.DirEntry, err error) error {
			short := strings.TrimPrefix(name, root+"/")
			if err != nil || entry.IsDir() || !w.needs(short) {
				return err
			}
			text, err := wrapTemplates.ReadFile(name)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(short, "custodian/lib/keep") {
				parsed, err := template.New(name).Delims("[[", "]]").Parse(string(text))
				if err != nil {
					return err
				}
				var out bytes.Buffer
				if err := parsed.Execute(&out, w); err != nil {
					return err
				}
				text = out.Bytes()
			}
			files[strings.ReplaceAll(strings.TrimSuffix(short, ".txt"), "NAME", w.Name)] = text
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	all, err := w.Project.Files()
	if err != nil {
		return nil, err
	}
	files[workflow] = all[workflow]
	if w.Hooks == "go" {
		if err := w.addProgram(files); err != nil {
			return nil, err
		}
	}
	for name, text := range w.tests() {
		files["tests/"+name] = []byte(text)
	}
	return files, nil
}

const workflow = ".github/workflows/confdb.yml"

// buildSteps are the steps of the workflow that build the hooks' program.
const buildSteps = `      - uses: actions/setup-go@924ae3a1cded613372ab5595356fb5720e22ba16 # v6.5.0
        with:
          go-version: stable
      - run: CGO_ENABLED=0 go build -C custodian/src -trimpath -o ../bin/ .
`

// addProgram adds the source of the program for hooks in Go.
func (w *Wrapped) addProgram(files map[string][]byte) error {
	sources, err := fs.ReadDir(keep.Source, ".")
	if err != nil {
		return err
	}
	for _, entry := range sources {
		if files["custodian/src/keep/"+entry.Name()], err = keep.Source.ReadFile(entry.Name()); err != nil {
			return err
		}
	}
	files["custodian/src/go.mod"] = []byte("module custodian\n\ngo 1.23\n")
	files["custodian/.gitignore"] = []byte("/bin/\n")
	action := []byte("      - uses: " + w.Action + "\n")
	files[workflow] = bytes.Replace(files[workflow], action, append([]byte(buildSteps), action...), 1)
	return nil
}

// needs reports whether a file of the templates belongs to the project.
func (w *Wrapped) needs(name string) bool {
	switch {
	case strings.HasSuffix(name, "-secrets-state"):
		return w.Secrets()
	case strings.HasSuffix(name, "/keep_flow.py"):
		return w.Format != keep.INI
	case strings.Contains(name, "/keep_"):
		return strings.HasSuffix(name, "/keep_"+string(w.Format)+".py")
	}
	return true
}

// Notes returns sentences that say what a person has to check.
func (w *Wrapped) Notes() (notes []string) {
	if n := strings.Count(w.schema(), "# decide: "); n > 0 {
		notes = append(notes, fmt.Sprintf("%s.yaml has %d lines with \"decide\", about what %s does not tell", w.Name, n, w.File))
	}
	for _, left := range w.Left {
		notes = append(notes, "not in the views: "+left)
	}
	if len(w.blanked) > 0 {
		notes = append(notes, fmt.Sprintf("custodian/default/%s is without the secrets: %s. Look for others in it, such as in comments",
			w.File, strings.Join(w.blanked, ", ")))
	}
	return notes
}
