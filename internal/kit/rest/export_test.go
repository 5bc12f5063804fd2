package rest

import "context"

// AsRoot is the context of a request that the administrator makes.
func AsRoot(ctx context.Context) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{})
}

// NotImitated are the endpoints that answer that they are not imitated, by path and method.
var NotImitated = notImitated

// Imitated tells whether there is an endpoint of a path, imitated or not.
func Imitated(path string) bool { return routes[path] != nil }
