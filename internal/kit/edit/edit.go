// Package edit has changes of files as data: texts that are replaced, files that are made, renamed or made executable. Its
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

// An Edit replaces a part of a file's text. Start and End are positions as in document.Position; where they are equal, Text is
// inserted.
type Edit struct {
	File  string            `json:"file"`
	Start document.Position `json:"start"`
	End   document.Position `json:"end"`
	Text  string            `json:"text"`
}

// A File is a file to make, with its whole text. It must not exist yet.
type File struct {
	Name       string `json:"name"`
	Text       string `json:"text"`
	Executable bool   `json:"executable,omitempty"`
}

// A Rename gives a file another name. There must be no file of that name yet.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// A Fix is a change that mends one thing. Edits do not overlap. Edits are made before renames: their files have the old names.
type Fix struct {
	Title      string   `json:"title"` // what it does, such as: put all storage below v1
	Edits      []Edit   `json:"edits,omitempty"`
	Create     []File   `json:"create,omitempty"`
	Rename     []Rename `json:"rename,omitempty"`
	Executable []string `json:"executable,omitempty"` // files that become executable

	// Alone means that the fix changes what other fixes are about: they wait until lint has looked again.
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

// Choose returns the fixes that can be made together, in their order, and those that must wait. Of two that change the same
// text, or make the same file, it takes the first. It takes a fix that is Alone only if it is the first to touch its files, and
// none behind it that does.
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

// conflicts reports whether two fixes change the same text, or are about the same file in another way.
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

// overlaps reports whether two edits of a file cannot both be made. Two insertions at one place can.
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

// Apply returns a text with edits, whose files do not count. Edits that are there twice are made once. The error is for edits
// that overlap.
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

// Same reports whether two fixes do the same.
func (f *Fix) Same(other *Fix) bool {
	return f.Title == other.Title && slices.Equal(f.Edits, other.Edits) && slices.Equal(f.Create, other.Create) &&
		slices.Equal(f.Rename, other.Rename) && slices.Equal(f.Executable, other.Executable)
}
