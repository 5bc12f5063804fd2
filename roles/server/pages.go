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
	"aspects-poc/roles/server/roster"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// pages returns the routes of the fleet page, and what answers a reader at an address that is none of the server's.
func pages(rules *fleet.Fleet) (routes []api.Route, missing echo.HandlerFunc) {
	shown := page.New(pageSource{rules, roster.New(rules)}, page.Options{Again: rules.PollInterval() / 2})
	for _, route := range shown.Routes() {
		right := access.Read
		if route.Open {
			right = access.Anyone
		}
		routes = append(routes, api.Route{Path: route.Path, Right: right, Handle: route.Handle})
	}
	return routes, shown.Missing
}

// pageSource is what the page shows of a fleet.
type pageSource struct {
	rules  *fleet.Fleet
	roster *roster.Roster
}

var _ page.Source = pageSource{}

func (s pageSource) Devices(ctx context.Context, asked page.Query) (page.List, error) {
	query, err := rosterQuery(asked)
	if err != nil {
		return page.List{}, fmt.Errorf("%w: %w", page.ErrQuery, err)
	}
	roll, good, err := s.roster.Roll(ctx)
	if err != nil {
		return page.List{}, err
	}
	found, err := roll.List(query)
	if errors.Is(err, fleet.ErrBadCursor) {
		return page.List{}, fmt.Errorf("%w: after is no place in the list: take it from a link of the page", page.ErrQuery)
	}
	list := page.List{
		Before: found.Before, Found: found.Found, Next: found.Next, Previous: found.Previous, HasPrevious: found.HasPrevious,
		States: map[string]int{}, Silent: found.Silent, Cloned: found.Cloned, All: found.All, Good: good,
	}
	for state, devices := range found.States {
		list.States[state.String()] = devices
	}
	for _, row := range found.Rows {
		list.Devices = append(list.Devices, listed(row))
	}
	return list, err
}

// rosterQuery reads what was asked for; its errors are worded as the API words them.
func rosterQuery(asked page.Query) (query roster.Query, err error) {
	query = roster.Query{Match: api.Match(asked.Text), Silent: asked.Silent, Cloned: asked.Cloned, After: asked.After, Limit: asked.Limit}
	if query.Selector, err = fleet.ParseSelector(asked.Selector); err != nil {
		return query, fmt.Errorf("selector cannot be read: %w", err)
	}
	var known bool
	if query.State, known = fleet.ParseState(asked.State); asked.State != "" && !known {
		return query, fmt.Errorf("state must be one of %s, silent, cloned, not %q", strings.Join(fleet.StateNames(), ", "), asked.State)
	}
	if query.Order, known = roster.ParseOrder(asked.Sort); !known {
		return query, fmt.Errorf("sort must be one of %s, or one of them after \"-\", not %q", roster.OrderNames(), asked.Sort)
	}
	return query, nil
}

// listed is a row as the API has devices.
func listed(row *roster.Row) serverapi.Device {
	device := serverapi.Device{
		UUID: row.ID, IPAddress: row.Address, Arch: row.Arch, Labels: row.Labels, State: row.State.String(), Silent: row.Silent,
		Cloned: row.Cloned, LastSeen: row.LastSeen, Desired: serverapi.Desired{Revision: row.Target},
	}
	if row.Running != 0 {
		device.Running = &serverapi.Running{Revision: row.Running}
	}
	if row.Reason != "" {
		device.Attempted = &serverapi.Attempted{Reason: row.Reason}
	}
	return device
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
	points, step, err := s.rules.Stats(ctx, id, since, 0)
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
