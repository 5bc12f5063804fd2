// Package edit represents changes of files as data: replaced texts, and files that are created, renamed or made executable. Its
// main types are Fix, a change that mends one thing, and Text, a file's text with its lines.
//
//	taken, left := edit.Choose(fixes)
//	changed, err := edit.Apply(text, taken[0].Edits)
//
// Package lint makes fixes, `registry lint --fix` writes them to disk, and the language server offers them to editors.
package edit

import (
	"cmp"
	"errors"
	"slices"

	"aspects-poc/internal/document"
)

// An Edit replaces the part of a file's text from Start to End by Text. If Start and End are equal, it inserts Text.
type Edit struct {
	File  string            `json:"file"`
	Start document.Position `json:"start"`
	End   document.Position `json:"end"`
	Text  string            `json:"text"`
}

// A File is a file to create, with its whole text. It must not exist yet.
type File struct {
	Name       string `json:"name"`
	Text       string `json:"text"`
	Executable bool   `json:"executable,omitempty"`
}

// A Rename renames a file. No file may have the new name yet.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// A Fix is a change that mends one thing. Its edits do not overlap. They apply before the renames, so their files have the old names.
type Fix struct {
	Title      string   `json:"title"` // what it does, such as: put all storage below v1
	Edits      []Edit   `json:"edits,omitempty"`
	Create     []File   `json:"create,omitempty"`
	Rename     []Rename `json:"rename,omitempty"`
	Executable []string `json:"executable,omitempty"` // files that become executable

	// Alone means that other fixes of the same files are wrong after this one. They wait until lint has run again.
	Alone bool `json:"-"`
}

// Files returns the names of the files that a fix touches, sorted.
func (f *Fix) Files() []string {
	var names []string
	for _, e := range f.Edits {
		names = append(names, e.File)
	}
	for _, made := range f.Create {
		names = append(names, made.Name)
	}
	for _, moved := range f.Rename {
		names = append(names, moved.From, moved.To)
	}
	names = append(names, f.Executable...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Choose divides fixes into those that can be made together, in their order, and those that must wait. Of two fixes that change the
// same text, or create the same file, the second waits. A fix that is Alone waits if an earlier one touches its files; if it does not
// wait, later fixes that touch its files do.
func Choose(fixes []*Fix) (taken, left []*Fix) {
	var sole, touched []string
	for _, fix := range fixes {
		files := fix.Files()
		has := func(list []string) bool {
			return slices.ContainsFunc(files, func(name string) bool { return slices.Contains(list, name) })
		}
		if has(sole) || fix.Alone && has(touched) || slices.ContainsFunc(taken, fix.conflicts) {
			left = append(left, fix)
			continue
		}
		taken = append(taken, fix)
		touched = append(touched, files...)
		if fix.Alone {
			sole = append(sole, files...)
		}
	}
	return taken, left
}

// conflicts reports whether two fixes change the same text, or create or rename the same file.
func (f *Fix) conflicts(other *Fix) bool {
	for _, a := range f.Edits {
		if slices.ContainsFunc(other.Edits, func(b Edit) bool { return a.File == b.File && a.overlaps(b) }) {
			return true
		}
	}
	for _, a := range f.Create {
		if slices.ContainsFunc(other.Create, func(b File) bool { return a.Name == b.Name }) {
			return true
		}
	}
	for _, a := range f.Rename {
		if slices.ContainsFunc(other.Rename, func(b Rename) bool { return a.From == b.From || a.To == b.To }) {
			return true
		}
	}
	return false
}

// overlaps reports whether two edits of a file exclude each other. Two insertions at one place do not.
func (e Edit) overlaps(other Edit) bool {
	if e == other {
		return false
	}
	if e.Start == e.End && other.Start == other.End {
		return false
	}
	return compare(e.Start, other.End) < 0 && compare(other.Start, e.End) < 0
}

func compare(a, b document.Position) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) }

// Apply returns a text with edits applied. It ignores the edits' files, and applies equal edits once. It returns an error if edits
// overlap.
func Apply(text []byte, edits []Edit) ([]byte, error) {
	at := NewText(text)
	var list []Edit
	for _, e := range edits {
		if !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b Edit) int { return cmp.Or(compare(a.Start, b.Start), compare(a.End, b.End)) })
	var out []byte
	done := 0
	for _, e := range list {
		start, end := at.Offset(e.Start), at.Offset(e.End)
		if start < done || end < start {
			return nil, errors.New("two changes are about the same text")
		}
		out = append(append(out, text[done:start]...), e.Text...)
		done = end
	}
	return append(out, text[done:]...), nil
}

// Same reports whether two fixes are equal, except for Alone.
func (f *Fix) Same(other *Fix) bool {
	return f.Title == other.Title && slices.Equal(f.Edits, other.Edits) && slices.Equal(f.Create, other.Create) &&
		slices.Equal(f.Rename, other.Rename) && slices.Equal(f.Executable, other.Executable)
}
