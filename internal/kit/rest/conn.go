package rest

import (
	"context"
	"net"
)

// ConnContext is what an http.Server that uses Handler or SnapHandler needs as its ConnContext: it tells who asks.
func ConnContext(ctx context.Context, connection net.Conn) context.Context {
	return withPeer(ctx, connection)
}
