package rest

import "context"

// AsRoot returns the context of a request by the administrator.
func AsRoot(ctx context.Context) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{})
}

// NotImitated are the endpoints that answer that they are not imitated, by path and method.
var NotImitated = notImitated

// Imitated reports whether the server has an endpoint with a path, imitated or not.
func Imitated(path string) bool { return routes[path] != nil }
