// Package place tells where in a confdb-schema's document an error arose: parsers wrap their errors with the keys and
// indexes that led them on, and whoever shows the error asks for them. Messages stay as they are.
package place

import "errors"

// located is an error with the steps that led to it from where the wrapping parser stood.
type located struct {
	error
	steps []string
	name  bool
}

func (l *located) Unwrap() error { return l.error }

// In returns the error as one of what the steps lead to: keys of maps, and decimal indexes of lists.
func In(err error, steps ...string) error {
	if err == nil {
		return nil
	}
	return &located{error: err, steps: steps}
}

// Name returns the error as one of the name that the last step is, and not of what is behind it.
func Name(err error, steps ...string) error { return &located{error: err, steps: steps, name: true} }

// Of returns the steps from the outside in, and whether the fault is the last step's own name. Without steps the whole
// of what was parsed is meant.
func Of(err error) (steps []string, name bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if l, ok := err.(*located); ok {
			steps, name = append(steps, l.steps...), l.name
		}
	}
	return steps, name
}
