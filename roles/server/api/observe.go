package api

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// observe is the middleware that gives each request an ID, answers the errors of handlers, and writes the access log.
func (h *handlers) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begin := time.Now()
		c.Set(beginKey, begin)
		response := c.Response()
		response.Header().Set(echo.HeaderXRequestID, chooseID(c.Request()))
		response.Header().Set("X-Content-Type-Options", "nosniff")
		h.date(response)
		if err := next(c); !errors.Is(err, errLater) {
			h.finish(c, begin, err)
		}
		return nil
	}
}

// date sets the server's time in an answer. Devices with a wrong clock sign by that time.
func (h *handlers) date(response *echo.Response) {
	response.Before(func() { response.Header().Set("Date", h.now().UTC().Format(http.TimeFormat)) })
}

// finish answers an error and writes the access log.
func (h *handlers) finish(c echo.Context, begin time.Time, err error) {
	request, response := c.Request(), c.Response()
	if err != nil {
		c.Error(err)
	}
	if h.observed != nil && !held(response) {
		h.observed(request.Method, c.Path(), response.Status, time.Since(begin))
	}
	level := slog.LevelInfo
	if routine(c.Path()) && response.Status < http.StatusBadRequest {
		level = slog.LevelDebug
	}
	logged := errors.Is(err, fleet.ErrOutage) // the store has logged it, once for all requests
	if response.Status >= http.StatusInternalServerError && !logged {
		level = slog.LevelError
	}
	attributes := []slog.Attr{
		slog.String("method", request.Method),
		slog.String("path", clip(request.URL.Path)),
		slog.Int("status", response.Status),
		slog.Duration("duration", time.Since(begin)),
		slog.Int64("bytes", response.Size),
		slog.String("remote", c.RealIP()),
		slog.String("request-id", requestID(c)),
	}
	if err != nil && !logged {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	h.log.LogAttrs(request.Context(), level, "request", attributes...)
}

// routine reports whether requests of a route come all the time, from each device or from a monitor. In a log they
// would hide the others.
func routine(route string) bool {
	return slices.Contains([]string{"/poll/", "/healthz", "/readyz", "/metrics"}, route)
}

// held marks an answer that was delayed on purpose, so that its time is not measured.
func held(response *echo.Response) bool {
	return response.Header().Get("Preference-Applied") != "" ||
		strings.HasPrefix(response.Header().Get(echo.HeaderContentType), "text/event-stream")
}

// requestID returns the ID of this request in the log.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// chooseID returns the caller's ID, so that both logs have the same, or a new one if the caller's is unfit for a log.
func chooseID(request *http.Request) string {
	given := request.Header.Get(echo.HeaderXRequestID)
	if given == "" || len(given) > 64 {
		return rand.Text()
	}
	for _, char := range []byte(given) {
		letter := char >= '0' && char <= '9' || char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z'
		if !letter && char != '-' && char != '_' && char != '.' {
			return rand.Text()
		}
	}
	return given
}
