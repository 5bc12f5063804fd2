package fleet

import "context"

// Flush writes what has been seen.
func (f *Fleet) Flush(ctx context.Context) error { return f.flush(ctx) }
