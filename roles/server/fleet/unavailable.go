package fleet

import (
	"errors"
	"fmt"
)

// ErrUnavailable marks a failure of the store that may pass, such as a restart of the database server: the same call
// may succeed later. The failed call may have written its data.
var ErrUnavailable = errors.New("the store is not available at present")

// ErrOutage is an ErrUnavailable that the store itself logs: once when it begins, and once when it ends. Other packages
// do not log it.
var ErrOutage = fmt.Errorf("%w", ErrUnavailable)
