package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// stringType accepts JSON strings. They may be restricted to choices, or to a pattern that matches anywhere in the
// string.
type stringType struct {
	scalar
	choices []string
	pattern *regexp.Regexp
}

func (*stringType) Name() string                         { return "string" }
func (t *stringType) here() ([]Type, error)              { return []Type{t}, nil }
func (t *stringType) step(path.Accessor) ([]Type, error) { return nil, errBeyond("string") }

func (t *stringType) check(n *databag.Node) *fault {
	if fault := expected(n, "string", databag.String); fault != nil {
		return fault
	}
	return t.checkText(n.Text())
}

func (t *stringType) checkText(text string) *fault {
	if t.choices != nil && !slices.Contains(t.choices, text) {
		return &fault{cause: fmt.Sprintf("string %q is not one of the allowed choices", text)}
	}
	if t.pattern != nil && !t.pattern.MatchString(text) {
		return &fault{cause: fmt.Sprintf("expected string matching %s but value was %q", t.pattern, text)}
	}
	return nil
}

func (t *stringType) parse(p *parser, constraints object) bool {
	parseChoices(p, constraints, &t.choices, `cannot have a "choices" constraint with an empty list`)
	raw, ok := constraints["pattern"]
	if !ok {
		return true
	}
	if t.choices != nil {
		p.Add(errors.New(`cannot use "choices" and "pattern" constraints in same schema`), "pattern")
		return true
	}
	var pattern string
	err := json.Unmarshal(raw, &pattern)
	if err == nil {
		t.pattern, err = regexp.Compile(pattern)
	}
	if err != nil {
		p.Add(fmt.Errorf(`cannot parse "pattern" constraint: %w`, err), "pattern")
	}
	return true
}

// parseChoices parses the constraint "choices", if it is there. empty is the error of an empty list.
func parseChoices[T any](p *parser, constraints object, choices *[]T, empty string) {
	raw, ok := constraints["choices"]
	if !ok {
		return
	}
	if err := json.Unmarshal(raw, choices); err != nil {
		p.Add(fmt.Errorf(`cannot parse "choices" constraint: %w`, err), "choices")
		*choices = nil
	} else if len(*choices) == 0 {
		p.Add(errors.New(empty), "choices")
		*choices = nil
	}
}

// numeric is an int or a number. It may be restricted to choices, or to bounds.
type numeric[N int64 | float64] struct {
	scalar
	name     string
	read     func(literal string) (N, bool)
	show     func(N) string
	choices  []N
	min, max *N
}

func newInt() *numeric[int64] {
	return &numeric[int64]{
		name: "int",
		read: func(literal string) (int64, bool) {
			n, err := strconv.ParseInt(literal, 10, 64)
			return n, err == nil
		},
		show: func(n int64) string { return strconv.FormatInt(n, 10) },
	}
}

func newNumber() *numeric[float64] {
	return &numeric[float64]{
		name: "number",
		read: func(literal string) (float64, bool) {
			n, err := strconv.ParseFloat(literal, 64)
			return n, err == nil
		},
		show: func(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) },
	}
}

func (t *numeric[N]) Name() string                       { return t.name }
func (t *numeric[N]) here() ([]Type, error)              { return []Type{t}, nil }
func (t *numeric[N]) step(path.Accessor) ([]Type, error) { return nil, errBeyond(t.name) }

func (t *numeric[N]) check(n *databag.Node) *fault {
	if fault := expected(n, t.name, databag.Number); fault != nil {
		return fault
	}
	number, ok := t.read(n.Text())
	switch {
	case !ok:
		return &fault{cause: fmt.Sprintf("expected %s type but value was number %s", t.name, n.Text())}
	case t.choices != nil && !slices.Contains(t.choices, number):
		return &fault{cause: t.show(number) + " is not one of the allowed choices"}
	case t.min != nil && number < *t.min:
		return &fault{cause: t.show(number) + " is less than the allowed minimum " + t.show(*t.min)}
	case t.max != nil && number > *t.max:
		return &fault{cause: t.show(number) + " is greater than the allowed maximum " + t.show(*t.max)}
	}
	return nil
}

func (t *numeric[N]) parse(p *parser, constraints object) bool {
	parseChoices(p, constraints, &t.choices, `cannot have "choices" constraint with empty list`)
	t.min = t.parseBound(p, constraints, "min")
	t.max = t.parseBound(p, constraints, "max")
	if t.min != nil && t.max != nil && *t.min > *t.max {
		p.Add(errors.New(`cannot have "min" constraint with value greater than "max"`), "min")
		t.min, t.max = nil, nil
	}
	return true
}

// parseBound returns the value of a bound, or nil if there is none.
func (t *numeric[N]) parseBound(p *parser, constraints object, name string) *N {
	raw, ok := constraints[name]
	if !ok {
		return nil
	}
	if t.choices != nil {
		p.Add(fmt.Errorf(`cannot have "choices" and %q constraints`, name), name)
		return nil
	}
	bound := new(N) // encoding/json accepts null and leaves the 0
	if err := json.Unmarshal(raw, bound); err != nil {
		p.Add(fmt.Errorf("cannot parse %q constraint: %w", name, err), name)
		return nil
	}
	return bound
}

// boolType accepts true and false.
type boolType struct{ scalar }

func (*boolType) Name() string                         { return "bool" }
func (t *boolType) here() ([]Type, error)              { return []Type{t}, nil }
func (t *boolType) step(path.Accessor) ([]Type, error) { return nil, errBeyond("bool") }

func (t *boolType) check(n *databag.Node) *fault { return expected(n, "bool", databag.Bool) }

// anyType accepts everything except null, without checking what is below.
type anyType struct {
	scalar
	refused bool // the definition is faulty, and its type not known
}

// refused returns the type in the place of a faulty definition. It causes no fault elsewhere.
func refused() Type { return &anyType{refused: true} }

func isRefused(t Type) bool {
	any, ok := resolve(t).(*anyType)
	return ok && any.refused
}

func (*anyType) Name() string                         { return "any" }
func (t *anyType) here() ([]Type, error)              { return []Type{t}, nil }
func (t *anyType) step(path.Accessor) ([]Type, error) { return []Type{t}, nil }

func (t *anyType) check(n *databag.Node) *fault {
	if n.Kind() == databag.Null {
		return expected(n, "any", databag.Object)
	}
	return nil
}
