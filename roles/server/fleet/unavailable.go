package fleet

import (
	"errors"
	"fmt"
)

// ErrUnavailable marks trouble of a store that passes, such as a database server that is being restarted: the same call
// may succeed later. What a call was to write may have been written.
var ErrUnavailable = errors.New("the store is not available at present")

// ErrOutage is an ErrUnavailable of which the store tells in the log: once when it begins, and once when it ends. Others do
// not log it.
var ErrOutage = fmt.Errorf("%w", ErrUnavailable)
