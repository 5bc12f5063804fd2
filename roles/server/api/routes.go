package api

import (
	"log/slog"
	"net/http"
	"strings"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// Options changes how the HTTP surface works. The zero value is ready for use.
type Options struct {
	MaxBody int64        // bytes; zero means 1 MiB
	Log     *slog.Logger // nil means none
}

// handlers answers requests.
type handlers struct {
	fleet *fleet.Fleet
	limit int64 // of bodies, in bytes
	log   *slog.Logger
}

// A route is one operation.
type route struct {
	method, path string
	handle       echo.HandlerFunc
}

// api is the route table: what is served, but for the documentation. Each row has its annotations where the handler is.
func (h *handlers) api() []route {
	return []route{
		{http.MethodPost, "/register/", h.register},
		{http.MethodPost, "/poll/", h.poll},
		{http.MethodGet, "/target-config/", h.getTarget},
		{http.MethodPut, "/target-config/", h.putTarget},
		{http.MethodGet, "/state/:uuid/", h.state},
	}
}

// New returns the HTTP surface over a fleet.
func New(rules *fleet.Fleet, options Options) *echo.Echo {
	h := &handlers{fleet: rules, limit: options.MaxBody, log: options.Log}
	if h.limit == 0 {
		h.limit = 1 << 20
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	app := echo.New()
	app.HideBanner = true
	app.HTTPErrorHandler = h.answerError
	app.IPExtractor = echo.ExtractIPDirect()
	app.Use(h.observe, middleware.RecoverWithConfig(middleware.RecoverConfig{
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			h.log.Error("a handler panicked", "error", err, "request-id", requestID(c), "stack", string(stack))
			refused := newProblem(http.StatusInternalServerError, "The server failed here; its log says more")
			refused.cause = err
			return refused
		},
	}), sameOrigin())
	redirected := map[string]bool{}
	for _, route := range h.api() {
		app.Add(route.method, route.path, route.handle)
		if bare := strings.TrimSuffix(route.path, "/"); !redirected[bare] {
			redirected[bare] = true
			app.Any(bare, addSlash)
		}
	}
	documentation(app)
	return app
}

// addSlash sends a request to the path with the slash at its end, method and body kept, as the original did.
func addSlash(c echo.Context) error {
	url := c.Request().URL
	target := url.EscapedPath() + "/"
	if url.RawQuery != "" {
		target += "?" + url.RawQuery
	}
	return c.Redirect(http.StatusTemporaryRedirect, target)
}

// sameOrigin refuses writes that a browser sends on behalf of another site's page. Other clients are not concerned.
func sameOrigin() echo.MiddlewareFunc {
	protection := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := protection.Check(c.Request()); err != nil {
				return newProblem(http.StatusForbidden, "Pages of other sites may not change anything here")
			}
			return next(c)
		}
	}
}
