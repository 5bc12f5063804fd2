package rest

import "context"

// AsRoot is the context of a request that the administrator makes.
func AsRoot(ctx context.Context) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{})
}
