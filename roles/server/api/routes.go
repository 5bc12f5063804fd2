package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/parking"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/sync/singleflight"
)

// Options are options of New. The zero value is ready for use.
type Options struct {
	MaxBody int64        // bytes; zero means 1 MiB
	Log     *slog.Logger // nil means none
	// Gate decides who may call; nil means that everybody may call everything.
	Gate *access.Gate
	// Audit is the audit log. Tokens has the tokens of operators and devices. Nil means that the API does not have
	// their routes.
	Audit  *audit.Log
	Tokens access.Store
	// Beside has routes that are not the API's, such as pages.
	Beside []Route
	// Page answers browsers with a page instead of a problem, at unknown addresses and at those of Beside. Nil means a
	// problem, as for other clients.
	Page func(echo.Context, serverapi.Problem) error
	// Observed is called after each answer with the pattern of its route, except for held polls and streams; nil for no
	// call.
	Observed func(method, route string, status int, took time.Duration)
	// Admitted is called after the check of an operator's request, before its body is read; nil for no call.
	Admitted func(context.Context)
	// Stopping ends streams, such as events; nil means never.
	Stopping context.Context
	// Lot is the listener of the server, which holds polls; nil means that their handlers wait.
	Lot *parking.Lot
	// Now is the time of answers (Date); nil means time.Now. Doubt returns why that time may be wrong; a nil Doubt
	// means that it is right.
	Now   func() time.Time
	Doubt func() error
	// AtWork is the number of polls and registrations that are worked on at once; zero means 256. Further ones wait.
	AtWork int
}

// handlers has the handlers and their state.
//
// It has many fields because each option is one, and many methods because each route is one.
type handlers struct {
	fleet    *fleet.Fleet
	gate     *access.Gate
	audit    *audit.Log            // nil for none
	tokens   access.Store          // nil for none
	admitted func(context.Context) // nil for none
	limit    int64                 // of bodies, in bytes
	log      *slog.Logger
	observed func(method, route string, status int, took time.Duration)
	pages    pages
	stopping context.Context
	now      func() time.Time
	doubt    func() error       // nil if now is always right
	streams  chan struct{}      // one element for each open stream of events
	checks   singleflight.Group // checks of the store, for readiness
	lot      *parking.Lot       // nil for none
	guard    echo.MiddlewareFunc
	turns    turns // of requests that are worked on: see inTurn
}

// pages answers browsers with a page instead of a problem.
type pages struct {
	answer func(echo.Context, serverapi.Problem) error // nil for none
	at     map[string]bool                             // the paths of Options.Beside, and "", which unknown addresses have
}

// answers reports whether the answer to a request is a page.
func (p pages) answers(c echo.Context) bool {
	return p.answer != nil && p.at[c.Path()] && strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/html")
}

// A Route is one operation: who may call it, its parameters, and its handler. A route of GET also answers HEAD.
type Route struct {
	Method, Path string
	Right        access.Right
	Handle       echo.HandlerFunc
	Takes        *Takes // nil if Handle checks the request itself
	// Act is the operation's name in the audit log: a verb and a thing, in which :NAME stands for a parameter of the
	// path. "" means that the operation changes nothing.
	Act string
}

// api returns the table of routes without the documentation. The annotations of a route are at its handler.
func (h *handlers) api() []Route {
	return []Route{
		{http.MethodPost, "/register/", access.Register, h.register, &Takes{Body: true}, ""},
		{http.MethodPost, "/poll/", access.Poll, h.poll, &Takes{Body: true}, ""},
		{http.MethodPost, "/keys/", access.Poll, h.replaceKey, &Takes{Body: true}, ""},
		{http.MethodGet, "/state/:uuid/", access.Read, h.state, &Takes{}, ""},
		{http.MethodGet, "/target-config/", access.Read, h.getTarget, &Takes{Tags: true}, ""},
		{http.MethodPut, "/target-config/", access.Write, h.putTarget, &Takes{Query: "dry-run", Body: true, Tags: true}, "set layers/everyone"},

		{http.MethodGet, "/devices/", access.Read, h.listDevices, &Takes{Query: "selector state silent cloned name q limit after"}, ""},
		{http.MethodGet, "/devices/:uuid/", access.Read, h.getDevice, &Takes{}, ""},
		{http.MethodDelete, "/devices/:uuid/", access.Administer, h.deleteDevice, &Takes{}, "delete devices/:uuid"},
		{http.MethodPatch, "/devices/:uuid/labels/", access.WriteInScope, h.patchLabels, &Takes{Body: true}, "label devices/:uuid"},
		{http.MethodPut, "/devices/:uuid/name/", access.Write, h.putName, &Takes{Body: true}, "name devices/:uuid"},
		{http.MethodDelete, "/devices/:uuid/name/", access.Write, h.deleteName, &Takes{}, "unname devices/:uuid"},
		{http.MethodPost, "/devices/:uuid/approve/", access.ApproveInScope, h.approveDevice, &Takes{}, "approve devices/:uuid"},
		{http.MethodPost, "/devices/:uuid/revoke/", access.ApproveInScope, h.revokeDevice, &Takes{}, "revoke devices/:uuid"},
		{http.MethodDelete, "/devices/:uuid/cloned/", access.WriteInScope, h.deleteCloned, &Takes{}, "unmark devices/:uuid"},
		{http.MethodGet, "/devices/:uuid/target/", access.Read, h.getDeviceTarget, &Takes{Query: "explain"}, ""},
		{http.MethodGet, "/devices/:uuid/stats/", access.Read, h.getStats, &Takes{Query: "since step"}, ""},

		{http.MethodGet, "/revoked-keys/", access.Read, h.listRevokedKeys, &Takes{}, ""},
		{http.MethodDelete, "/revoked-keys/:key/", access.Administer, h.allowKey, &Takes{}, "allow keys/:key"},

		{http.MethodGet, "/targets/", access.Read, h.listTargets, &Takes{Query: "limit after"}, ""},
		{http.MethodPost, "/targets/", access.WriteInScope, h.changeTargets, &Takes{Query: "dry-run full after", Body: true, Ask: access.Read}, "apply layers"},
		{http.MethodGet, "/schema/", access.Read, h.getSchema, &Takes{}, ""},
		{http.MethodGet, "/targets/everyone/", access.Read, h.getEveryone, &Takes{Tags: true}, ""},
		{http.MethodPut, "/targets/everyone/", access.Write, h.putEveryone, &Takes{Query: "dry-run", Body: true, Tags: true}, "set layers/everyone"},
		{http.MethodDelete, "/targets/everyone/", access.Write, h.deleteEveryone, &Takes{Query: "dry-run", Tags: true}, "remove layers/everyone"},
		{http.MethodGet, "/targets/labels/:name/", access.Read, h.getLabelLayer, &Takes{Tags: true}, ""},
		{http.MethodPut, "/targets/labels/:name/", access.WriteInScope, h.putLabelLayer, &Takes{Query: "dry-run", Body: true, Tags: true}, "set layers/labels/:name"},
		{http.MethodDelete, "/targets/labels/:name/", access.WriteInScope, h.deleteLabelLayer, &Takes{Query: "dry-run", Tags: true}, "remove layers/labels/:name"},
		{http.MethodGet, "/targets/devices/:uuid/", access.Read, h.getDeviceLayer, &Takes{Tags: true}, ""},
		{http.MethodPut, "/targets/devices/:uuid/", access.WriteInScope, h.putDeviceLayer, &Takes{Query: "dry-run", Body: true, Tags: true}, "set layers/devices/:uuid"},
		{http.MethodDelete, "/targets/devices/:uuid/", access.WriteInScope, h.deleteDeviceLayer, &Takes{Query: "dry-run", Tags: true}, "remove layers/devices/:uuid"},

		{http.MethodGet, "/secrets/", access.Read, h.listSecrets, &Takes{}, ""},
		{http.MethodPut, "/secrets/:name/", access.Administer, h.putSecret, &Takes{Query: "dry-run", Body: true, Tags: true}, "set secrets/:name"},
		{http.MethodDelete, "/secrets/:name/", access.Administer, h.deleteSecret, &Takes{Tags: true}, "remove secrets/:name"},

		{http.MethodGet, "/signature/", access.Read, h.getSignature, &Takes{Query: "manifest"}, ""},
		{http.MethodPut, "/signature/", access.Write, h.putSignature, &Takes{Body: true}, "sign signature"},
		{http.MethodDelete, "/signature/", access.Administer, h.deleteSignature, &Takes{}, "remove signature"},

		{http.MethodGet, "/history/", access.Read, h.listHistory, &Takes{Query: "layer limit before"}, ""},
		{http.MethodGet, "/history/:revision/", access.Read, h.getEntry, &Takes{}, ""},
		{http.MethodGet, "/history/:revision/diff/", access.Read, h.getDiff, &Takes{Query: "against"}, ""},
		{http.MethodPost, "/history/:revision/restore/", access.WriteInScope, h.restore, &Takes{}, "restore revisions/:revision"},

		{http.MethodGet, "/releases/", access.Read, h.listReleases, &Takes{Query: "limit before"}, ""},
		{http.MethodGet, "/releases/:id/", access.Read, h.getRelease, &Takes{}, ""},
		{http.MethodPost, "/releases/:id/go/", access.Approve, h.goRelease, &Takes{}, "go releases/:id"},
		{http.MethodPost, "/releases/:id/halt/", access.WriteInScope, h.haltRelease, &Takes{}, "halt releases/:id"},
		{http.MethodPost, "/releases/:id/undo/", access.WriteInScope, h.undoRelease, &Takes{}, "undo releases/:id"},

		{http.MethodGet, "/tokens/", access.Administer, h.listTokens, &Takes{}, ""},
		{http.MethodPost, "/tokens/", access.Administer, h.createToken, &Takes{Body: true}, "create tokens"},
		{http.MethodDelete, "/tokens/:name/", access.Administer, h.revokeToken, &Takes{}, "revoke tokens/:name"},
		{http.MethodGet, "/whoami/", access.Read, h.whoami, &Takes{}, ""},
		{http.MethodGet, "/audit/", access.Administer, h.listAudit, &Takes{Query: "since who thing result limit before after"}, ""},

		{http.MethodGet, "/summary/", access.Read, h.summary, &Takes{Query: "limit"}, ""},
		{http.MethodGet, "/events/", access.Read, h.events, &Takes{}, ""},
		{http.MethodGet, "/healthz", access.Anyone, h.healthz, &Takes{}, ""},
		{http.MethodGet, "/readyz", access.Anyone, h.readyz, &Takes{}, ""},
	}
}

// New returns the API of a fleet, with the documentation and the routes of Beside.
func New(rules *fleet.Fleet, options Options) *echo.Echo {
	h := &handlers{fleet: rules, gate: options.Gate, audit: options.Audit, tokens: options.Tokens, admitted: options.Admitted, limit: options.MaxBody, log: options.Log, observed: options.Observed, stopping: options.Stopping,
		pages: pages{options.Page, map[string]bool{"": true}}, now: options.Now, doubt: options.Doubt, streams: make(chan struct{}, mostStreams), lot: options.Lot,
		turns: turns{free: cmp.Or(options.AtWork, defaultAtWork)}}
	if h.limit == 0 {
		h.limit = 1 << 20
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.stopping == nil {
		h.stopping = context.Background()
	}
	app := echo.New()
	app.HideBanner = true
	app.HTTPErrorHandler = h.answerError
	app.IPExtractor = echo.ExtractIPDirect()
	h.guard = middleware.RecoverWithConfig(middleware.RecoverConfig{
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			h.log.Error("a handler panicked", "error", err, "request-id", requestID(c), "stack", string(stack))
			refused := newProblem(http.StatusInternalServerError, "The server failed here; its log says more")
			refused.cause = err
			return refused
		},
	})
	app.Use(h.observe, h.guard, sameOrigin())
	documentation(app)
	routes := slices.DeleteFunc(append(h.api(), options.Beside...), func(r Route) bool {
		return h.audit == nil && r.Path == "/audit/" || h.tokens == nil && strings.HasPrefix(r.Path, "/tokens/")
	})
	for _, route := range options.Beside {
		h.pages.at[route.Path] = true
	}
	if !slices.ContainsFunc(routes, func(r Route) bool { return r.Path == "/" }) {
		routes = append(routes, Route{Method: http.MethodGet, Path: "/", Handle: redirectTo("docs/index.html")})
	}
	redirected := map[string]bool{}
	for _, route := range routes {
		checks := []echo.MiddlewareFunc{h.audited(route), h.allow(route), identified}
		if route.Right == access.Poll || route.Right == access.Register {
			checks = []echo.MiddlewareFunc{h.inTurn(h.require(route.Right))}
		}
		if route.Takes != nil {
			checks = append(checks, h.understand(route.Right, *route.Takes))
		}
		checks = append([]echo.MiddlewareFunc{unescaped}, checks...)
		app.Add(route.Method, route.Path, route.Handle, checks...)
		if route.Method == http.MethodGet {
			app.Add(http.MethodHead, route.Path, route.Handle, checks...)
		}
		bare, slash := strings.CutSuffix(route.Path, "/")
		switch {
		case route.Takes == nil || redirected[bare]:
		case slash:
			app.Any(bare, addSlash)
		default:
			app.Any(bare+"/", redirectTo(".."+bare))
		}
		redirected[bare] = true
	}
	return app
}

// unescaped is the middleware that removes the escapes from the parameters of a path. Echo does so for most paths, but
// not for one with an escaped slash.
func unescaped(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().URL.RawPath == "" {
			return next(c)
		}
		values := slices.Clone(c.ParamValues())
		for i, value := range values {
			plain, err := url.PathUnescape(value)
			if err != nil {
				return newProblem(http.StatusBadRequest, "The path has an escape that cannot be read")
			}
			values[i] = plain
		}
		c.SetParamValues(values...)
		return next(c)
	}
}

// require returns the middleware that refuses callers without a right.
func (h *handlers) require(right access.Right) echo.MiddlewareFunc {
	if h.gate == nil {
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	checked := h.gate.Require(right, h.readBody)
	if h.admitted == nil || right != access.Read && !right.Changes() {
		return checked
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return checked(func(c echo.Context) error {
			h.admitted(c.Request().Context())
			return next(c)
		})
	}
}

// allow returns the middleware that refuses callers without the right that a route needs.
func (h *handlers) allow(route Route) echo.MiddlewareFunc {
	act := h.require(route.Right)
	if route.Takes == nil || route.Takes.Ask == 0 {
		return act
	}
	ask := h.require(route.Takes.Ask)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		acts, asks := act(next), ask(next)
		return func(c echo.Context) error {
			if dryRunAsked(c) {
				return asks(c)
			}
			return acts(c)
		}
	}
}

// author returns the caller's name for the history.
func author(c echo.Context) string { return access.From(c.Request().Context()).Author() }

// within returns the caller's scope.
func within(c echo.Context) fleet.Scope { return fleet.Scope(access.From(c.Request().Context()).Scope) }

// addSlash redirects to the path with a slash at its end, with method and body, as the original did. The body of the
// answer says that nothing was done, for clients that do not follow redirects.
func addSlash(c echo.Context) error {
	url := c.Request().URL
	target := url.EscapedPath() + "/"
	if url.RawQuery != "" {
		target += "?" + url.RawQuery
	}
	c.Response().Header().Set(echo.HeaderLocation, target)
	return newProblem(http.StatusTemporaryRedirect, fmt.Sprintf("Nothing was done: the path has a slash at its end, %s; curl "+
		"goes there by itself with -L", clip(target)))
}

// sameOrigin returns the middleware that refuses writes that a browser sends for another site's page. Other clients
// pass.
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
