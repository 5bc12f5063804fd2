package path

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ParseRequest parses a path of keys and indexes, as users write it. It accepts and ignores well-formed field
// filters. Empty text is the empty path.
func ParseRequest(text string) (Path, error) {
	return parse(text, func(piece string) (Accessor, error) {
		accessor, ok := classify(piece)
		switch {
		case !ok:
			return Accessor{}, fmt.Errorf("invalid subkey %q", piece)
		case accessor.Open():
			return Accessor{}, fmt.Errorf("invalid subkey %q: path only supports literal keys and indexes", piece)
		}
		return accessor, nil
	})
}

// ParseRuleRequest parses the request path of a rule: keys and placeholders, but no indexes.
func ParseRuleRequest(text string) (Path, error) {
	return parse(text, func(piece string) (Accessor, error) {
		accessor, err := ruleAccessor(piece)
		if err == nil && accessor.Kind == Index {
			return Accessor{}, fmt.Errorf("invalid subkey %q: view paths cannot have literal indexes (only index placeholders)", piece)
		}
		return accessor, err
	})
}

// ParseStorage parses a storage path: any accessors, with filters.
func ParseStorage(text string) (Path, error) { return parse(text, ruleAccessor) }

func ruleAccessor(piece string) (Accessor, error) {
	accessor, ok := classify(piece)
	if !ok {
		return Accessor{}, fmt.Errorf("subkey %q must conform to base format \"[a-z](?:-?[a-z0-9])*\"", piece)
	}
	return accessor, nil
}

// classify returns the accessor of a piece of a path.
func classify(piece string) (Accessor, bool) {
	if inner, ok := inside(piece, "[{", "}]"); ok && ValidSubkey(inner) {
		return Accessor{Kind: IndexPlaceholder, Name: inner}, true
	}
	if inner, ok := inside(piece, "{", "}"); ok && ValidSubkey(inner) {
		return Accessor{Kind: KeyPlaceholder, Name: inner}, true
	}
	if inner, ok := inside(piece, "[", "]"); ok && inner != "" && strings.Trim(inner, "0123456789") == "" {
		return Accessor{Kind: Index, Name: inner}, true
	}
	return Accessor{Kind: Key, Name: piece}, ValidSubkey(piece)
}

func inside(text, before, after string) (string, bool) {
	if len(text) < len(before)+len(after) {
		return "", false
	}
	text, ok := strings.CutPrefix(text, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(text, after)
}

var (
	errEmpty  = errors.New("cannot have empty subkeys")
	errFilter = errors.New("field filter must be in the format [.<field>={<param_name>}]")
	errCut    = errors.New("field filter terminated unexpectedly: must be in the format [.<field>={<param_name>}]")
	errTail   = errors.New("invalid sub-key: field filters, if present, must be at the end of a sub-key")
)

type piece struct {
	text    string
	filters []Filter
}

func parse(text string, accessor func(piece string) (Accessor, error)) (Path, error) {
	if text == "" {
		return nil, nil
	}
	pieces, err := split(text)
	if err != nil {
		return nil, err
	}
	path := make(Path, 0, len(pieces))
	for _, piece := range pieces {
		for _, filter := range piece.filters {
			if !ValidSubkey(filter.Field) || !ValidSubkey(filter.Param) {
				return nil, fmt.Errorf("invalid field filter %s: both field and placeholder name must conform to %s", filter, Subkey)
			}
		}
		step, err := accessor(piece.text)
		if err != nil {
			return nil, err
		}
		step.Filters = piece.filters
		path = append(path, step)
	}
	return path, nil
}

// split divides a path into pieces, at dots and before brackets. Like snapd, it reads the whole text before the
// pieces are checked, which decides the error of a path with several faults.
func split(text string) ([]piece, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("non UTF-8 character")
	}
	var pieces []piece
	var current piece
	start := 0 // start of the current piece
	end := func(at int) error {
		if current.filters == nil {
			current.text = text[start:at]
		}
		if current.text == "" {
			return errEmpty
		}
		pieces = append(pieces, current)
		current = piece{}
		return nil
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '.':
			if err := end(i); err != nil {
				return nil, err
			}
			start = i + 1
		case text[i] != '[':
			if current.filters != nil {
				return nil, errTail
			}
		case i+1 == len(text):
			return nil, fmt.Errorf("invalid subkey %q", "[")
		case text[i+1] == '.':
			if current.filters == nil {
				current.text = text[start:i]
			}
			length := strings.IndexByte(text[i:], ']')
			if length < 0 {
				return nil, errCut
			}
			filter, err := parseFilter(text[i : i+length+1])
			if err != nil {
				return nil, err
			}
			for _, other := range current.filters {
				if other.Field == filter.Field {
					return nil, fmt.Errorf("cannot apply more than one filter to the same field: %s and %s", other, filter)
				}
			}
			current.filters = append(current.filters, filter)
			i += length
		default:
			if err := end(i); err != nil {
				return nil, err
			}
			start = i
		}
	}
	if err := end(len(text)); err != nil {
		return nil, err
	}
	return pieces, nil
}

func parseFilter(text string) (Filter, error) {
	inner, _ := inside(text, "[.", "]")
	parts := strings.Split(inner, "=")
	if len(parts) != 2 {
		return Filter{}, errFilter
	}
	param, ok := inside(parts[1], "{", "}")
	if !ok || param == "" {
		return Filter{}, errFilter
	}
	return Filter{Field: parts[0], Param: param}, nil
}
