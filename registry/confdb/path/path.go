// Package path is the grammar of confdb's paths: chains of accessors such as `a.b[0]`, `a.{x}[{n}].c` and, in storage
// paths, `items.{id}[.kind={k}].value`.
package path

import (
	"regexp"
	"strconv"
	"strings"
)

// Subkey is the form of one name in a path, of a key of any stored map, and of a view's, schema's and alias's name.
var Subkey = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// ValidSubkey tells whether a text has the form of Subkey; it is much faster than the expression.
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

// A Kind is what an accessor leads through.
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
	Name    string // key, placeholder's name, or digits
	Filters []Filter
}

// A Filter narrows what an accessor of a storage path leads to: objects whose field equals a parameter.
type Filter struct {
	Field, Param string
}

// String returns the filter as it is written in a path.
func (f Filter) String() string { return "[." + f.Field + "={" + f.Param + "}]" }

// Open tells whether the accessor is a placeholder.
func (a Accessor) Open() bool { return a.Kind == KeyPlaceholder || a.Kind == IndexPlaceholder }

// List tells whether the accessor leads into a list.
func (a Accessor) List() bool { return a.Kind == Index || a.Kind == IndexPlaceholder }

// Index returns the index that the digits stand for; one that no list can have for more digits than fit.
func (a Accessor) Index() int {
	index, err := strconv.Atoi(a.Name)
	if err != nil {
		return 1<<31 - 1
	}
	return index
}

// Bare returns the accessor without its filters, as text.
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

// A Path is a chain of accessors; the empty one stands for everything.
type Path []Accessor

// String returns the path as it is written, filters included: what was parsed from it is equal to it.
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

// Open tells whether the path has placeholders.
func (p Path) Open() bool {
	for _, accessor := range p {
		if accessor.Open() {
			return true
		}
	}
	return false
}

// Compare orders paths: accessor by accessor, placeholders first, then by text (so that [10] comes before [2], as in
// snapd); a prefix comes before what is longer.
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

// Overlap tells whether what two paths stand for can overlap: they agree as far as both go, where a placeholder agrees
// with everything of its kind.
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
