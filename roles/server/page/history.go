package page

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// perHistory is how many changes one page lists.
const perHistory = 50

// A change is a line of the history.
type change struct {
	Revision        int64
	Layer, Selector string
	Author          string
	At              time.Time
	Lines           []line
}

// A line is one value that a change set, changed or took away.
type line struct {
	Kind string // "added", "removed" or "changed"
	Text string
}

func (p *Page) history(c echo.Context) error {
	before, err := strconv.ParseInt(cmp.Or(c.QueryParam("before"), "0"), 10, 64)
	if err != nil || before < 0 {
		return p.problem(c, "../../", fmt.Sprintf("The history has no page before %q: that is no revision.", c.QueryParam("before")))
	}
	found, err := p.source.History(c.Request().Context(), "", before, perHistory)
	if err != nil {
		return err
	}
	data := struct {
		common
		Changes []change
		Next    string
	}{common: p.common("History", "history", "../../"), Changes: changesOf(found)}
	if found.Next != 0 {
		data.Next = "?before=" + strconv.FormatInt(found.Next, 10)
	}
	return render(c, http.StatusOK, "history", data)
}

func changesOf(history serverapi.HistoryPage) []change {
	var list []change
	for _, entry := range history.History {
		list = append(list, change{
			Revision: entry.Revision, Layer: entry.Layer, Selector: entry.Selector, Author: entry.Author, At: at(entry.At),
			Lines: lines(entry),
		})
	}
	return list
}

func newestFirst(changes []change) {
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(b.Revision, a.Revision) })
}

// lines says what a change was, value by value.
func lines(entry serverapi.HistoryEntry) []line {
	var list []line
	if entry.Restores != 0 {
		list = append(list, line{"changed", "back to revision " + strconv.FormatInt(entry.Restores, 10)})
	}
	if entry.Labels != nil {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(entry.Labels)) {
			pairs = append(pairs, name+"="+entry.Labels[name])
		}
		list = append(list, line{"changed", "labels: " + cmp.Or(strings.Join(pairs, ", "), "none")})
	}
	before, after := map[string]any{}, map[string]any{}
	flatten("", map[string]any(entry.Before), before)
	flatten("", map[string]any(entry.After), after)
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
	return list
}
