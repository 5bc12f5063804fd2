// Package folder reads and writes a folder with the layers of a fleet as YAML files:
//
//	everyone.yaml        config
//	labels/NAME.yaml     selector, priority, config
//	devices/NAME.yaml    device (a name or an ID), config
//	values/LABEL.yaml    values for variables, by the values of a label
//	release.yaml         the stages in which devices get the changes
//
// Its main type is Folder. Read returns all faults of a folder at once, each with its place. Folder.Layers fills in the
// variables. Folder.Write changes only the values that differ. The package talks to no server: package fleetcmd does.
package folder

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/nearest"
)

const (
	// MaxFile is the largest size of a file, in bytes.
	MaxFile = 1 << 20
	// MaxFiles is the largest number of files.
	MaxFiles = 20_000
)

// A Fault is an error in a file of a folder.
type Fault struct {
	File string            // below the folder
	At   document.Position // zero means the whole file
	Text string
}

func (f Fault) String() string {
	if f.At == (document.Position{}) {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.At.Line, f.At.Column, f.Text)
}

// Faults are all faults of a folder, sorted by file and place.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults as an error; nil for none.
func (f Faults) sorted() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return f
}

// A Kind is the kind of a layer's file.
type Kind string

// The kinds, by folder.
const (
	Everyone Kind = "everyone"
	Labels   Kind = "labels"
	Devices  Kind = "devices"
)

// A File is the file of a layer.
type File struct {
	Path     string // below the folder, with slashes
	Kind     Kind
	Name     string // of a layer of labels
	Device   string // the name or ID of a device
	Selector string
	Priority int64
	Config   *document.Node // a map

	top *document.Node
}

// A Folder is the content of a folder.
type Folder struct {
	Dir   string
	Files []*File // sorted by path
	// Release is the map in release.yaml; nil without that file. The server checks its content.
	Release *document.Node

	values map[string]*document.Node // by label
	faults Faults
}

// fault records a fault.
func (f *Folder) fault(file string, at document.Position, format string, args ...any) {
	f.faults = append(f.faults, Fault{file, at, fmt.Sprintf(format, args...)})
}

// Read reads a folder. It returns Faults if the content of the folder is wrong, and another error if the folder cannot
// be read.
func Read(dir string) (*Folder, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "read", Path: dir, Err: errors.New("it is a file, and not a folder")}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder: %w", err)
	}
	f := &Folder{Dir: dir, values: map[string]*document.Node{}}
	if err := f.list("", f.top); err != nil {
		return nil, err
	}
	for _, name := range []string{"labels", "devices", "values"} {
		if err := f.list(name, func(entry fs.DirEntry) error { return f.inside(name, entry) }); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(f.Files, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
	return f, f.faults.sorted()
}

// list calls pass for the entries of a folder. It leaves out hidden files and Markdown.
func (f *Folder) list(below string, pass func(fs.DirEntry) error) error {
	if info, err := os.Lstat(filepath.Join(f.Dir, below)); below != "" && err == nil && !info.IsDir() {
		return nil // top has reported it
	}
	entries, err := os.ReadDir(filepath.Join(f.Dir, below))
	if below != "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the folder: %w", err)
	}
	if len(entries) > MaxFiles {
		return fmt.Errorf("cannot read the folder: %s has more than %d files", filepath.Join(f.Dir, below), MaxFiles)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".md") || strings.HasSuffix(name, "~") {
			continue
		}
		if err := pass(entry); err != nil {
			return err
		}
	}
	return nil
}

// SchemaFile is the name of the file with the JSON Schema of the other files. It may be in the folder.
const SchemaFile = "fleet.schema.json"

// ReleaseFile is the name of the file with the stages of releases.
const ReleaseFile = "release.yaml"

// InRelease returns the place of a member of release.yaml. member is a path as the server writes it, such as
// stages.1.percent; stages count from 1.
func (f *Folder) InRelease(member string) document.Position {
	steps := strings.Split(member, ".")
	for i, step := range steps {
		if number, err := strconv.Atoi(step); err == nil {
			steps[i] = strconv.Itoa(number - 1)
		}
	}
	_, at := f.Release.Follow(steps...)
	return at
}

func (f *Folder) top(entry fs.DirEntry) error {
	name := entry.Name()
	switch name {
	case "everyone.yaml":
		f.layer(name, entry, &File{Path: name, Kind: Everyone})
	case "labels", "devices", "values":
		if !entry.IsDir() {
			f.fault(name, document.Position{}, "is no folder; it must have the files of %s", name)
		}
	case ReleaseFile:
		f.Release = f.parse(name, entry)
	case SchemaFile:
	default:
		known := []string{"everyone.yaml", "labels", "devices", "values", ReleaseFile, SchemaFile}
		f.fault(name, document.Position{}, "is not known here%s; there can be everyone.yaml, labels/NAME.yaml, devices/NAME.yaml, "+
			"values/LABEL.yaml, %s, %s and *.md", meant(name, known), ReleaseFile, SchemaFile)
	}
	return nil
}

func meant(name string, known []string) string {
	if near := nearest.Names(name, known); len(near) > 0 {
		return fmt.Sprintf("; did you mean %s?", near[0])
	}
	return ""
}

func (f *Folder) inside(folder string, entry fs.DirEntry) error {
	file := path.Join(folder, entry.Name())
	name, yaml := strings.CutSuffix(entry.Name(), ".yaml")
	switch {
	case !yaml:
		f.fault(file, document.Position{}, "is not known here; files in %s end in .yaml", folder)
	case folder == "labels":
		f.layer(file, entry, &File{Path: file, Kind: Labels, Name: name})
	case folder == "devices":
		f.layer(file, entry, &File{Path: file, Kind: Devices})
	default:
		if top := f.parse(file, entry); top != nil {
			f.values[name] = top
		}
	}
	return nil
}

// parse parses a file whose top level is a map. After a fault it returns nil.
func (f *Folder) parse(file string, entry fs.DirEntry) *document.Node {
	where := filepath.Join(f.Dir, filepath.FromSlash(file))
	info, err := entry.Info()
	switch {
	case err != nil:
		f.fault(file, document.Position{}, "cannot be read: %v", err)
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		f.fault(file, document.Position{}, "is a link; put the file itself here")
		return nil
	case !info.Mode().IsRegular():
		f.fault(file, document.Position{}, "is no file")
		return nil
	case info.Size() > MaxFile:
		f.fault(file, document.Position{}, "is larger than %d bytes", MaxFile)
		return nil
	}
	text, err := os.ReadFile(where)
	if err != nil {
		f.fault(file, document.Position{}, "cannot be read: %v", err)
		return nil
	}
	top, wrong, err := document.ParseYAML(file, text)
	var refused *document.Error
	switch {
	case errors.As(err, &refused):
		f.fault(file, refused.Pos, "%s", refused.Message)
		return nil
	case err != nil:
		f.fault(file, document.Position{}, "%v", err)
		return nil
	}
	for _, fault := range wrong {
		text := fault.Message
		if fault.Kind == document.DuplicateKey {
			text, _, _ = strings.Cut(text, ":") // none of both counts here
		}
		f.fault(file, fault.Pos, "%s", text)
	}
	if !top.Is(document.Map) {
		f.fault(file, top.Pos, "want a map, not a %s", top.Kind)
		return nil
	}
	f.unquoted(file, top, strings.Split(string(text), "\n"))
	return top
}

// unquoted reports variables without quotes, which YAML reads as a map.
func (f *Folder) unquoted(file string, node *document.Node, lines []string) {
	switch node.Kind {
	case document.String:
		if row := node.Pos.Line - 1; strings.HasPrefix(node.Text, open) && row >= 0 && row < len(lines) {
			line := []rune(lines[row])
			if at := node.Pos.Column - 1; at >= 0 && at < len(line) && line[at] == '{' {
				f.fault(file, node.Pos, `a value that begins with a variable needs quotes: "%s"`, node.Text)
			}
		}
	case document.List:
		for _, item := range node.Items {
			f.unquoted(file, item, lines)
		}
	case document.Map:
		for _, entry := range node.Entries {
			f.unquoted(file, entry.Value, lines)
		}
	}
}

// layer parses the file of a layer.
func (f *Folder) layer(file string, entry fs.DirEntry, layer *File) {
	top := f.parse(file, entry)
	if top == nil {
		return
	}
	layer.top = top
	known := map[Kind][]string{Everyone: {"config"}, Labels: {"selector", "priority", "config"}, Devices: {"device", "config"}}[layer.Kind]
	for _, entry := range top.Entries {
		value := entry.Value
		switch {
		case !slices.Contains(known, entry.Key):
			f.fault(file, entry.KeyPos, "%q is not known here%s; there can be %s", entry.Key, meant(entry.Key, known), strings.Join(known, ", "))
		case entry.Key == "config" && !value.Is(document.Map):
			f.fault(file, entry.At(), "config must be a map, not a %s; {} is an empty one", value.Kind)
		case entry.Key == "config":
			layer.Config = value
		case entry.Key == "priority":
			if _, err := fmt.Sscanf(value.Text, "%d", &layer.Priority); err != nil || !value.Is(document.Number) || fmt.Sprint(layer.Priority) != value.Text {
				f.fault(file, entry.At(), "priority must be a whole number")
			}
		case entry.Key == "device" && value.Kind < document.List && !value.Is(document.Null) && value.Written() != "":
			layer.Device = value.Written() // the beginning of an ID may be a number
		case value.String() == "":
			f.fault(file, entry.At(), "%s must be a text", entry.Key)
		case entry.Key == "selector":
			layer.Selector = value.Text
		}
	}
	for _, required := range known {
		if required != "priority" && top.Entry(required) == nil {
			f.fault(file, document.Position{Line: 1, Column: 1}, "has no %s", required)
		}
	}
	f.Files = append(f.Files, layer)
}
