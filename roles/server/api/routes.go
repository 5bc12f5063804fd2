package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// Options changes how the HTTP surface works. The zero value is ready for use.
type Options struct {
	MaxBody int64        // bytes; zero means 1 MiB
	Log     *slog.Logger // nil means none
	// Gate says who may call; nil lets everybody do everything.
	Gate *access.Gate
	// Beside is what else is served, such as pages.
	Beside []Route
	// Observed is told of each request with the pattern of its route, once it is answered, but for those that were held
	// on purpose; nil for nobody.
	Observed func(method, route string, status int, took time.Duration)
	// Stopping ends answers that have no end of their own, such as events; nil means never.
	Stopping context.Context
}

// handlers answers requests.
type handlers struct {
	fleet    *fleet.Fleet
	gate     *access.Gate
	limit    int64 // of bodies, in bytes
	log      *slog.Logger
	observed func(method, route string, status int, took time.Duration)
	stopping context.Context
	streams  chan struct{} // has an element for each stream of events
}

// A route is one operation, and who may call it.
type route struct {
	method, path string
	right        access.Right
	handle       echo.HandlerFunc
}

// A Route is served beside the API, to GET and HEAD.
type Route struct {
	Path   string
	Right  access.Right
	Handle echo.HandlerFunc
}

// api is the route table: what is served, but for the documentation. Each row has its annotations where the handler is.
func (h *handlers) api() []route {
	return []route{
		{http.MethodPost, "/register/", access.Register, h.register},
		{http.MethodPost, "/poll/", access.Poll, h.poll},
		{http.MethodPost, "/keys/", access.Poll, h.replaceKey},
		{http.MethodGet, "/state/:uuid/", access.Read, h.state},
		{http.MethodGet, "/target-config/", access.Read, h.getTarget},
		{http.MethodPut, "/target-config/", access.Write, h.putTarget},

		{http.MethodGet, "/devices/", access.Read, h.listDevices},
		{http.MethodGet, "/devices/:uuid/", access.Read, h.getDevice},
		{http.MethodDelete, "/devices/:uuid/", access.Write, h.deleteDevice},
		{http.MethodPatch, "/devices/:uuid/labels/", access.Write, h.patchLabels},
		{http.MethodPost, "/devices/:uuid/approve/", access.Write, h.approveDevice},
		{http.MethodPost, "/devices/:uuid/revoke/", access.Write, h.revokeDevice},
		{http.MethodGet, "/devices/:uuid/target/", access.Read, h.getDeviceTarget},
		{http.MethodGet, "/devices/:uuid/stats/", access.Read, h.getStats},

		{http.MethodGet, "/targets/", access.Read, h.listTargets},
		{http.MethodGet, "/targets/everyone/", access.Read, h.getEveryone},
		{http.MethodPut, "/targets/everyone/", access.Write, h.putEveryone},
		{http.MethodDelete, "/targets/everyone/", access.Write, h.deleteEveryone},
		{http.MethodGet, "/targets/labels/:name/", access.Read, h.getLabelLayer},
		{http.MethodPut, "/targets/labels/:name/", access.Write, h.putLabelLayer},
		{http.MethodDelete, "/targets/labels/:name/", access.Write, h.deleteLabelLayer},
		{http.MethodGet, "/targets/devices/:uuid/", access.Read, h.getDeviceLayer},
		{http.MethodPut, "/targets/devices/:uuid/", access.Write, h.putDeviceLayer},
		{http.MethodDelete, "/targets/devices/:uuid/", access.Write, h.deleteDeviceLayer},

		{http.MethodGet, "/history/", access.Read, h.listHistory},
		{http.MethodGet, "/history/:revision/", access.Read, h.getEntry},
		{http.MethodGet, "/history/:revision/diff/", access.Read, h.getDiff},
		{http.MethodPost, "/history/:revision/restore/", access.Write, h.restore},

		{http.MethodGet, "/summary/", access.Read, h.summary},
		{http.MethodGet, "/events/", access.Read, h.events},
		{http.MethodGet, "/healthz", access.Anyone, h.healthz},
		{http.MethodGet, "/readyz", access.Anyone, h.readyz},
	}
}

// New returns the HTTP surface over a fleet.
func New(rules *fleet.Fleet, options Options) *echo.Echo {
	h := &handlers{fleet: rules, gate: options.Gate, limit: options.MaxBody, log: options.Log, observed: options.Observed, stopping: options.Stopping,
		streams: make(chan struct{}, mostStreams)}
	if h.limit == 0 {
		h.limit = 1 << 20
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.stopping == nil {
		h.stopping = context.Background()
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
		app.Add(route.method, route.path, route.handle, h.require(route.right)...)
		if bare, cut := strings.CutSuffix(route.path, "/"); cut && !redirected[bare] {
			redirected[bare] = true
			app.Any(bare, addSlash)
		}
	}
	documentation(app)
	start := slices.ContainsFunc(options.Beside, func(r Route) bool { return r.Path == "/" })
	if !start {
		options.Beside = append(slices.Clip(options.Beside), Route{Path: "/", Handle: redirectTo("docs/index.html")})
	}
	for _, route := range options.Beside {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			app.Add(method, route.Path, route.Handle, h.require(route.Right)...)
		}
	}
	return app
}

// require lets only those through who have a right.
func (h *handlers) require(right access.Right) []echo.MiddlewareFunc {
	if h.gate == nil {
		return nil
	}
	return []echo.MiddlewareFunc{h.gate.Require(right, h.readBody)}
}

// author names who calls, for the history.
func author(c echo.Context) string { return access.From(c.Request().Context()).Author() }

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
