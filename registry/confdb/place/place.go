// Package place records where in a confdb-schema's document an error is. Parsers add the keys and indexes with In and
// Name, and callers read them with Of. The texts of errors do not change.
package place

import "errors"

// located is an error with the steps from the wrapping parser to the fault.
type located struct {
	error
	steps []string
	name  bool
}

func (l *located) Unwrap() error { return l.error }

// In returns the error with the steps to the fault: keys of maps, and decimal indexes of lists.
func In(err error, steps ...string) error {
	if err == nil {
		return nil
	}
	return &located{error: err, steps: steps}
}

// Name is In for a fault of the last key itself, not of its value.
func Name(err error, steps ...string) error { return &located{error: err, steps: steps, name: true} }

// Of returns the steps to the fault, outermost first, and whether the fault is the last key itself. Without steps it
// is the whole document.
func Of(err error) (steps []string, name bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if l, ok := err.(*located); ok {
			steps, name = append(steps, l.steps...), l.name
		}
	}
	return steps, name
}
