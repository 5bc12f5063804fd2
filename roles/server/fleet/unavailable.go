package fleet

import "errors"

// ErrUnavailable marks trouble of a store that passes, such as a database server that is being restarted: the same call
// may succeed later. What a call was to write may have been written.
var ErrUnavailable = errors.New("the store is not available at present")
