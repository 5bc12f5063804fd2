package rest

import (
	"context"
	"net"

	"golang.org/x/sys/unix"
)

// A peer is the process at the other end of a connection.
type peer struct{ uid, pid int }

type peerKey struct{}

// withPeer adds the peer of a connection to its context. The kernel reports the peer.
func withPeer(ctx context.Context, connection net.Conn) context.Context {
	socket, ok := connection.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx
	}
	var found *unix.Ucred
	if err := raw.Control(func(fd uintptr) {
		found, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || found == nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peer{uid: int(found.Uid), pid: int(found.Pid)})
}

func peerOf(ctx context.Context) (peer, bool) {
	p, ok := ctx.Value(peerKey{}).(peer)
	return p, ok
}
