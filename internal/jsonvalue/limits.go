package jsonvalue

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits are limits for JSON text of a caller who is not trusted.
type Limits struct {
	Depth  int // levels of objects and lists
	Values int // objects, lists, scalars and names of members, together
}

// A LimitError says which limit a text exceeds.
type LimitError string

func (e LimitError) Error() string { return string(e) }

// Check returns an error unless text is one JSON value within the limits, in valid UTF-8, without repeated members of an object. The
// error is a LimitError if a limit is exceeded. Call Check before decoding: it builds no values, and stops at the limit.
func (l Limits) Check(text []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text)) // a Buffer is read in place
	for values, whole := 0, false; ; whole = decoder.StackDepth() == 0 {
		token, err := decoder.ReadToken()
		switch kind := token.Kind(); {
		case err == io.EOF && whole:
			return nil
		case err != nil:
			return err
		case whole:
			return errors.New("something follows its JSON value")
		case decoder.StackDepth() > l.Depth:
			return LimitError(fmt.Sprintf("it nests deeper than %d levels", l.Depth))
		case kind != '}' && kind != ']':
			if values++; values > l.Values {
				return LimitError(fmt.Sprintf("it has more than %d values", l.Values))
			}
		}
	}
}
