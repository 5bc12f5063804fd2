package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/page"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// pageStep is how far apart the points of the page's charts are.
const pageStep = 5 * time.Minute

// pages returns the routes of the fleet page. Who is refused for want of a token is sent to a form for it.
func pages(rules *fleet.Fleet, gate *access.Gate) []api.Route {
	fleetPage := page.New(pageSource{rules}, page.Options{Enter: func(c echo.Context, token string) error {
		return enter(c, gate, token)
	}})
	var routes []api.Route
	for _, route := range fleetPage.Routes() {
		handle := route.Handle
		if !route.Open {
			handle = func(c echo.Context) error {
				caller, err := gate.Operator(c.Request(), false)
				if refused := (*access.Refusal)(nil); errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
					return fleetPage.AskForToken(c)
				}
				if err != nil {
					return err
				}
				c.SetRequest(c.Request().WithContext(access.With(c.Request().Context(), caller)))
				return route.Handle(c)
			}
		}
		routes = append(routes, api.Route{Method: route.Method, Path: route.Path, Right: access.Anyone, Handle: handle})
	}
	return routes
}

// enter gives the browser a cookie with the token, for as long as it runs, if it is an operator's.
func enter(c echo.Context, gate *access.Gate, token string) error {
	_, err := gate.Holder(c.Request().Context(), token)
	if refused := (*access.Refusal)(nil); errors.As(err, &refused) {
		return fmt.Errorf("%w: %s", page.ErrToken, refused.Detail)
	}
	if err != nil {
		return err
	}
	c.SetCookie(&http.Cookie{Name: access.SessionCookie, Value: token, Path: "/", HttpOnly: true, Secure: c.IsTLS(),
		SameSite: http.SameSiteStrictMode})
	return nil
}

// pageSource is what the page shows of a fleet.
type pageSource struct{ rules *fleet.Fleet }

var _ page.Source = pageSource{}

func (s pageSource) Summary(ctx context.Context) (serverapi.Summary, error) {
	summary, err := s.rules.Summary(ctx)
	return wire.Summary(summary), err
}

func (s pageSource) Devices(ctx context.Context, query page.Query) (serverapi.DevicePage, error) {
	selector, err := fleet.ParseSelector(query.Selector)
	if err != nil {
		return serverapi.DevicePage{}, fmt.Errorf("%w %q: %w", page.ErrQuery, query.Selector, err)
	}
	filter := fleet.Filter{Selector: selector, Match: api.Match(query.Text)}
	if query.Silent {
		filter.Silent = &query.Silent
	}
	if query.State != "" {
		var known bool
		if filter.State, known = fleet.ParseState(query.State); !known {
			return serverapi.DevicePage{}, fmt.Errorf("%w: %q is none of %s", page.ErrQuery, query.State,
				strings.Join(fleet.StateNames(), ", "))
		}
	}
	views, next, err := s.rules.Devices(ctx, filter, query.After, query.Limit)
	if errors.Is(err, fleet.ErrBadCursor) {
		return serverapi.DevicePage{}, fmt.Errorf("%w: %w", page.ErrQuery, err)
	}
	list := serverapi.DevicePage{Next: next}
	for _, view := range views {
		list.Devices = append(list.Devices, wire.Device(view))
	}
	return list, err
}

func (s pageSource) Device(ctx context.Context, id uuid.UUID) (serverapi.Device, serverapi.DeviceTarget, error) {
	view, err := s.rules.Device(ctx, id)
	if err != nil {
		return serverapi.Device{}, serverapi.DeviceTarget{}, notFound(err)
	}
	device, err := wire.WholeDevice(view)
	if err != nil {
		return serverapi.Device{}, serverapi.DeviceTarget{}, err
	}
	target, err := wire.DeviceTarget(view.Target, true)
	return device, target, err
}

func (s pageSource) Stats(ctx context.Context, id uuid.UUID, since time.Time) (serverapi.DeviceStats, error) {
	points, step, err := s.rules.Stats(ctx, id, since, pageStep)
	if err != nil {
		return serverapi.DeviceStats{}, notFound(err)
	}
	return wire.Stats(points, step)
}

func (s pageSource) History(ctx context.Context, layer string, before int64, limit int) (serverapi.HistoryPage, error) {
	name := fleet.LayerName(layer)
	entries, err := s.rules.History(ctx, name, before, limit)
	if err != nil {
		return serverapi.HistoryPage{}, err
	}
	var list serverapi.HistoryPage
	for _, entry := range entries {
		whole, err := s.rules.Entry(ctx, entry.Revision) // lists are without the configurations
		if err != nil {
			return serverapi.HistoryPage{}, err
		}
		shape, err := wire.Entry(whole)
		if err != nil {
			return serverapi.HistoryPage{}, err
		}
		list.History = append(list.History, shape)
	}
	if len(entries) == limit && entries[limit-1].Revision > 1 {
		list.Next = entries[limit-1].Revision
	}
	return list, nil
}

func notFound(err error) error {
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return page.ErrNotFound
	}
	return err
}
