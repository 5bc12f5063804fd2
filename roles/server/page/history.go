package page

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/roster"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// perHistory is the number of changes on a page.
const perHistory = 50

// A change is a row of the history.
type change struct {
	Revision        int64
	Layer, Selector string
	Device          string // the present name of the layer's device
	Author          string
	At              time.Time
	Lines           []line
	Restore         string // URL that asks whether to restore the change; "" for none
}

// A line is a value that a change added, changed or removed.
type line struct {
	Kind string // "added", "removed" or "changed"
	Text string
}

func (p *Page) history(c echo.Context) error {
	before, err := strconv.ParseInt(cmp.Or(c.QueryParam("before"), "0"), 10, 64)
	if err != nil || before < 0 {
		return p.problem(c, rootOf(c), fmt.Sprintf("The history has no page before %q: that is no revision.", c.QueryParam("before")))
	}
	entries, err := p.fleet.Entries(c.Request().Context(), "", before, perHistory)
	if err != nil {
		return err
	}
	changes, err := p.changesOf(c.Request().Context(), entries)
	if err != nil {
		return err
	}
	data := struct {
		common
		Changes []change
		Next    string
		May     bool
	}{common: p.common(c, "History", "history"), Changes: changes, May: may(c, mayWrite)}
	if len(entries) == perHistory && entries[perHistory-1].Revision > 1 {
		data.Next = "?before=" + strconv.FormatInt(entries[perHistory-1].Revision, 10)
	}
	for i, one := range entries {
		if data.May && !one.Layer.IsSecret() && one.Layer != fleet.SignatureName && !one.Layer.IsRelease() {
			data.Changes[i].Restore = fmt.Sprintf("%d/restore/", one.Revision)
		}
	}
	return render(c, http.StatusOK, "history", data)
}

func (p *Page) changesOf(ctx context.Context, entries []fleet.Entry) ([]change, error) {
	var devices []uuid.UUID
	for _, entry := range entries {
		devices = append(devices, entry.Layer.Device())
	}
	names, err := p.fleet.NamesOf(ctx, devices)
	if err != nil {
		return nil, err
	}
	var list []change
	for i, entry := range entries {
		lines, err := lines(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, change{
			Revision: entry.Revision, Layer: string(entry.Layer), Device: names[devices[i]], Selector: entry.Selector.String(), Author: entry.By, At: entry.At,
			Lines: lines,
		})
	}
	return list, nil
}

func newestFirst(changes []change) {
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(b.Revision, a.Revision) })
}

// lines lists the values that an entry changed.
func lines(entry fleet.Entry) ([]line, error) {
	var list []line
	if entry.Restores != 0 {
		list = append(list, line{"changed", "back to revision " + strconv.FormatInt(entry.Restores, 10)})
	}
	if entry.Action == fleet.Relabeled {
		list = append(list, line{"changed", "labels: " + cmp.Or(strings.Join(roster.Labels(entry.Labels), ", "), "none")})
	}
	if entry.Action == fleet.Renamed {
		list = append(list, line{"changed", "name: " + cmp.Or(entry.Name, "none")})
	}
	if entry.Action == fleet.Moved {
		list = append(list, line{"changed", entry.Step})
	}
	before, err := valuesOf(entry.Before)
	if err != nil {
		return nil, err
	}
	after, err := valuesOf(entry.After)
	if err != nil {
		return nil, err
	}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		was, wasThere := before[path]
		is, isThere := after[path]
		switch {
		case !wasThere:
			list = append(list, line{"added", "+ " + path + " = " + text(is)})
		case !isThere:
			list = append(list, line{"removed", "− " + path + " = " + text(was)})
		case !jsonvalue.Equal(was, is):
			list = append(list, line{"changed", path + ": " + text(was) + " → " + text(is)})
		}
	}
	return list, nil
}

// valuesOf returns the leaves of a configuration by path; none for nil.
func valuesOf(config *fleet.Config) (map[string]any, error) {
	if config == nil {
		return map[string]any{}, nil
	}
	tree, err := config.Tree()
	return flatten(tree), err
}
