package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// errLater is what a handler returns whose request is answered later.
var errLater = errors.New("the request is answered later")

// beginKey is the key of the time at which a request came in its context.
const beginKey = "begin"

// later has a request answered by a function that waits first. Of the request it keeps what the answer and the access log
// need. The function gets another context, whose request has no headers and no body.
//
// Without a lot, or where the lot cannot take the connection (HTTP/2), the handler itself waits.
func (h *handlers) later(c echo.Context, answer echo.HandlerFunc) error {
	if h.lot == nil {
		return answer(c)
	}
	// Copies: the texts of a request may be parts of larger ones.
	request := http.Request{Method: strings.Clone(c.Request().Method), RemoteAddr: c.Request().RemoteAddr,
		URL: &url.URL{Path: strings.Clone(c.Request().URL.Path)}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	app, path, header, begin := c.Echo(), c.Path(), c.Response().Header(), c.Get(beginKey).(time.Time)
	parked := h.lot.Park(c.Response(), c.Request(), func(ctx context.Context, w http.ResponseWriter) {
		for name, values := range header {
			w.Header()[name] = values
		}
		c := app.NewContext(request.WithContext(ctx), w)
		c.SetPath(path)
		h.finish(c, begin, h.guard(answer)(c))
	})
	if !parked {
		return answer(c)
	}
	return errLater
}
