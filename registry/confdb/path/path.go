// Package path parses and compares confdb's paths. Its main type is Path, a chain of accessors such as `a.b[0]`,
// `a.{x}[{n}].c` or, in storage paths, `items.{id}[.kind={k}].value`.
package path

import (
	"regexp"
	"strconv"
	"strings"
)

// Subkey is the form of a name in a path, of the keys of stored maps, and of the names of views, schemas and aliases.
var Subkey = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// ValidSubkey reports whether text matches Subkey. It is much faster than the expression.
func ValidSubkey(text string) bool {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return false
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case c == '-' && i+1 < len(text) && text[i+1] != '-':
		default:
			return false
		}
	}
	return true
}

// A Kind is the kind of an accessor.
type Kind uint8

// The kinds of accessors.
const (
	Key              Kind = iota // `name`
	Index                        // `[3]`
	KeyPlaceholder               // `{x}`
	IndexPlaceholder             // `[{n}]`
)

// An Accessor is one step of a path.
type Accessor struct {
	Kind    Kind
	Name    string // key, name of the placeholder, or digits
	Filters []Filter
}

// A Filter of a storage path selects objects whose field equals a parameter.
type Filter struct {
	Field, Param string
}

// String returns the filter in the notation of paths.
func (f Filter) String() string { return "[." + f.Field + "={" + f.Param + "}]" }

// Open reports whether the accessor is a placeholder.
func (a Accessor) Open() bool { return a.Kind == KeyPlaceholder || a.Kind == IndexPlaceholder }

// List reports whether the accessor leads into a list.
func (a Accessor) List() bool { return a.Kind == Index || a.Kind == IndexPlaceholder }

// Index returns the value of the digits. If it is too large, it is an index that no list has.
func (a Accessor) Index() int {
	index, err := strconv.Atoi(a.Name)
	if err != nil {
		return 1<<31 - 1
	}
	return index
}

// Bare returns the accessor as text without its filters.
func (a Accessor) Bare() string {
	switch a.Kind {
	case Index:
		return "[" + a.Name + "]"
	case KeyPlaceholder:
		return "{" + a.Name + "}"
	case IndexPlaceholder:
		return "[{" + a.Name + "}]"
	default:
		return a.Name
	}
}

// A Path is a chain of accessors. The empty path leads to everything.
type Path []Accessor

// String returns the path as text with its filters. Parsing it gives an equal path.
func (p Path) String() string { return p.text(true) }

// Bare returns the path without filters.
func (p Path) Bare() string { return p.text(false) }

func (p Path) text(filters bool) string {
	var text strings.Builder
	for i, accessor := range p {
		if i > 0 && !accessor.List() {
			text.WriteByte('.')
		}
		text.WriteString(accessor.Bare())
		if filters {
			for _, filter := range accessor.Filters {
				text.WriteString(filter.String())
			}
		}
	}
	return text.String()
}

// Open reports whether the path has placeholders.
func (p Path) Open() bool {
	for _, accessor := range p {
		if accessor.Open() {
			return true
		}
	}
	return false
}

// Compare orders paths accessor by accessor: placeholders first, then by text, as snapd does, so [10] comes before
// [2]. A prefix comes first.
func Compare(a, b Path) int {
	for i := range min(len(a), len(b)) {
		if a[i].Open() != b[i].Open() {
			if a[i].Open() {
				return -1
			}
			return 1
		}
		if order := strings.Compare(a[i].Bare(), b[i].Bare()); order != 0 {
			return order
		}
	}
	return len(a) - len(b)
}

// Overlap reports whether two paths can lead to the same data or one into the other. A placeholder matches everything
// of its kind.
func Overlap(a, b Path) bool {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i].List() != b[i].List():
			return false
		case a[i].Open() || b[i].Open():
		case a[i].Kind == Index && a[i].Index() == b[i].Index():
		case a[i].Name != b[i].Name:
			return false
		}
	}
	return true
}
