package layers

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxTerms is the largest number of terms of a selector.
const MaxTerms = 32

// A Selector chooses devices by their labels. All of its terms must hold:
//
//	k=v   the device has the label k with the value v
//	k!=v  it has not: it has another value, or no such label
//	k     it has the label k, of whatever value
//	!k    it has no label k
//
// The zero value chooses all. It is immutable.
type Selector struct {
	terms []term
	text  string // canonical: terms sorted, each once
}

type term struct {
	name, value string
	valued      bool // k=v or k!=v
	not         bool
}

// ParseSelector parses terms that are separated by commas. It ignores white space around names, values and signs.
func ParseSelector(text string) (Selector, error) {
	if strings.TrimSpace(text) == "" {
		return Selector{}, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) > MaxTerms {
		return Selector{}, fmt.Errorf("a selector has at most %d terms, not %d", MaxTerms, len(parts))
	}
	var s Selector
	for _, part := range parts {
		term, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return Selector{}, err
		}
		s.terms = append(s.terms, term)
	}
	slices.SortFunc(s.terms, func(a, b term) int { return cmp.Compare(a.String(), b.String()) })
	s.terms = slices.Compact(s.terms)
	texts := make([]string, len(s.terms))
	for i, term := range s.terms {
		texts[i] = term.String()
	}
	s.text = strings.Join(texts, ",")
	return s, nil
}

func parseTerm(text string) (term, error) {
	if text == "" {
		return term{}, errors.New("a selector's term is empty; want k=v, k!=v, k or !k, separated by commas")
	}
	var t term
	t.name, t.value, t.valued = strings.Cut(text, "=")
	if t.valued {
		t.name, t.not = strings.CutSuffix(t.name, "!")
	} else {
		t.name, t.not = strings.CutPrefix(t.name, "!")
	}
	t.name, t.value = strings.TrimSpace(t.name), strings.TrimSpace(t.value)
	if err := CheckWord("a label's name", t.name); err != nil {
		return term{}, fmt.Errorf("term %q: %w", text, err)
	}
	if t.value != "" {
		if err := CheckWord("a label's value", t.value); err != nil {
			return term{}, fmt.Errorf("term %q: %w", text, err)
		}
	}
	return t, nil
}

func (t term) String() string {
	switch {
	case t.valued && t.not:
		return t.name + "!=" + t.value
	case t.valued:
		return t.name + "=" + t.value
	case t.not:
		return "!" + t.name
	}
	return t.name
}

// String returns the canonical text. Selectors with the same terms have the same text.
func (s Selector) String() string { return s.text }

// Requires reports whether one of the terms is name=value. Without that term the selector may choose devices without
// the label.
func (s Selector) Requires(name, value string) bool {
	return slices.Contains(s.terms, term{name: name, value: value, valued: true})
}

// Label returns a label that every chosen device has. ok is false if no term names one.
func (s Selector) Label() (name, value string, ok bool) {
	for _, term := range s.terms {
		if term.valued && !term.not {
			return term.name, term.value, true
		}
	}
	return "", "", false
}

// Matches reports whether the selector chooses a device with these labels.
func (s Selector) Matches(labels map[string]string) bool {
	for _, term := range s.terms {
		value, there := labels[term.name]
		holds := there && (!term.valued || value == term.value)
		if holds == term.not {
			return false
		}
	}
	return true
}
