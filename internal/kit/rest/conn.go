package rest

import (
	"context"
	"net"
)

// ConnContext is the ConnContext of an http.Server that uses Handler or SnapHandler. It records who the client is.
func ConnContext(ctx context.Context, connection net.Conn) context.Context {
	return withPeer(ctx, connection)
}
