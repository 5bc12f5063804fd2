package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/server/access"

	"github.com/labstack/echo/v4"
)

// errLater is what a handler returns whose request is answered later.
var errLater = errors.New("the request is answered later")

// Keys of what the context of a request has.
const (
	beginKey = "begin" // when it came
	turnKey  = "turn"  // ends its turn: see inTurn
)

// later has a request answered by a function that waits first. Of the request it keeps what the answer and the access log
// need. The function gets another context, whose request has no headers and no body.
//
// Without a lot, or where the lot cannot take the connection (HTTP/2), the handler itself waits.
func (h *handlers) later(c echo.Context, answer echo.HandlerFunc) error {
	// Copies: the texts of a request may be parts of larger ones.
	return h.park(c, answer, http.Request{Method: strings.Clone(c.Request().Method), RemoteAddr: c.Request().RemoteAddr,
		URL: &url.URL{Path: strings.Clone(c.Request().URL.Path)}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1})
}

func (h *handlers) park(c echo.Context, answer echo.HandlerFunc, request http.Request) error {
	app, path, header, begin := c.Echo(), c.Path(), c.Response().Header(), c.Get(beginKey)
	caller := access.From(c.Request().Context())
	parked := h.lot != nil && h.lot.Park(c.Response().Writer, c.Request(), func(ctx context.Context, w http.ResponseWriter) {
		for name, values := range header {
			w.Header()[name] = values
		}
		c := app.NewContext(request.WithContext(access.With(ctx, caller)), w)
		h.date(c.Response())
		c.SetPath(path)
		c.Set(beginKey, begin)
		if err := h.guard(answer)(c); !errors.Is(err, errLater) {
			h.finish(c, begin.(time.Time), err)
		}
	})
	if parked {
		return errLater
	}
	if end, ok := c.Get(turnKey).(func()); ok {
		end() // who waits does not work
	}
	return answer(c)
}

const (
	// defaultAtWork is enough for the stores, which write what comes together in one go.
	defaultAtWork = 256
	// mostQueued is the largest body, in bytes, of a request that is parked while it waits for its turn.
	mostQueued = 64 << 10
	// turnTime is the longest time to wait for a turn. Devices wait longer for an answer.
	turnTime = 20 * time.Second
)

// inTurn is the middleware that bounds the memory of requests of devices that come together, such as after a change of the
// target: a request needs several times as much while it is worked on as while it waits.
func (h *handlers) inTurn(next echo.HandlerFunc) echo.HandlerFunc {
	work := func(c echo.Context) error {
		end := sync.OnceFunc(func() { <-h.atWork })
		defer end()
		c.Set(turnKey, end)
		return next(c)
	}
	return func(c echo.Context) error {
		body, err := h.readAll(c) // before its turn: a body may come slowly
		if err != nil {
			return err
		}
		c.Request().Body = io.NopCloser(bytes.NewReader(body))
		select {
		case h.atWork <- struct{}{}:
			return work(c)
		default:
		}
		wait := func(c echo.Context) error {
			late := time.NewTimer(turnTime)
			defer late.Stop()
			select {
			case h.atWork <- struct{}{}:
				return work(c)
			case <-late.C:
				return context.DeadlineExceeded
			case <-c.Request().Context().Done():
				return c.Request().Context().Err()
			}
		}
		if len(body) > mostQueued {
			return wait(c)
		}
		return h.park(c, wait, *c.Request())
	}
}
