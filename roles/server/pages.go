package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/page"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// pageStep is how far apart the points of the page's charts are.
const pageStep = 5 * time.Minute

// pages returns the routes of the fleet page.
func pages(rules *fleet.Fleet) []api.Route {
	var routes []api.Route
	for _, route := range page.New(pageSource{rules}, page.Options{}).Routes() {
		right := access.Read
		if route.Open {
			right = access.Anyone
		}
		routes = append(routes, api.Route{Path: route.Path, Right: right, Handle: route.Handle})
	}
	return routes
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
	entries, err := s.rules.History(ctx, fleet.LayerName(layer), before, limit)
	if err != nil {
		return serverapi.HistoryPage{}, err
	}
	for i, entry := range entries { // lists are without the configurations
		if entries[i], err = s.rules.Entry(ctx, entry.Revision); err != nil {
			return serverapi.HistoryPage{}, err
		}
	}
	return wire.HistoryPage(entries, limit)
}

func notFound(err error) error {
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return page.ErrNotFound
	}
	return err
}
