package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// sendTime is how long a stop waits for the rest of a request from an unknown caller.
const sendTime = time.Second

// visitors has the open connections of a server. At a stop it closes those on which an unknown caller still sends a
// request, because such a caller could delay the stop for any time. The zero value is ready for use.
type visitors struct {
	mu sync.Mutex
	of map[net.Conn]*visitor
}

// A visitor is a connection. It must get an answer if its caller is known or its request is complete.
type visitor struct{ owed atomic.Bool }

type visitorKey struct{}

// enter implements http.Server.ConnContext.
func (v *visitors) enter(ctx context.Context, conn net.Conn) context.Context {
	entered := &visitor{}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[net.Conn]*visitor{}
	}
	v.of[conn] = entered
	return context.WithValue(ctx, visitorKey{}, entered)
}

// leave implements http.Server.ConnState.
func (v *visitors) leave(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.of, conn)
	}
}

// close closes the connections that need no answer.
func (v *visitors) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for conn, entered := range v.of {
		if !entered.owed.Load() {
			_ = conn.Close() // nobody waits for it
		}
	}
}

// owe records that the caller of a request is known, so that its connection gets an answer.
func owe(ctx context.Context) {
	if entered, ok := ctx.Value(visitorKey{}).(*visitor); ok {
		entered.owed.Store(true)
	}
}

// watch returns a handler that records when a request is complete.
func watch(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if entered, ok := request.Context().Value(visitorKey{}).(*visitor); ok {
			entered.owed.Store(request.ContentLength == 0)
			if request.ContentLength != 0 {
				watched := *request // the server reads the body of its own request
				watched.Body = &arriving{request.Body, entered}
				request = &watched
			}
		}
		handler.ServeHTTP(w, request)
	})
}

// An arriving is the body of a request on its way.
type arriving struct {
	io.ReadCloser
	from *visitor
}

// Read implements io.Reader.
func (a *arriving) Read(into []byte) (int, error) {
	n, err := a.ReadCloser.Read(into)
	if errors.Is(err, io.EOF) {
		a.from.owed.Store(true)
	}
	return n, err
}
