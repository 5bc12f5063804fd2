package page

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// chartSpan is the time that a chart shows.
const chartSpan = 24 * time.Hour

// A chart has times in seconds since 1970, and for each series one value for each time; null means no value.
type chart struct {
	Times  []int64  `json:"times"`
	Series []series `json:"series"`
}

type series struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

func (p *Page) chart(c echo.Context) error {
	id, err := p.fleet.Find(c.Request().Context(), c.Param("uuid"))
	if missing(id, err) != "" {
		return echo.ErrNotFound
	}
	if err != nil {
		return err
	}
	counted, step, err := p.fleet.Stats(c.Request().Context(), id, p.now().Add(-chartSpan), 0)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return echo.ErrNotFound
	}
	if err != nil {
		return err
	}
	stats, err := wire.Stats(counted, step)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	switch c.QueryParam("kind") {
	case "packets":
		return c.JSON(http.StatusOK, packetsChart(thinned(stats.Points)).withValues())
	case "peers":
		return c.JSON(http.StatusOK, peersChart(thinned(stats.Points)).withValues())
	}
	return echo.ErrNotFound
}

// mostPoints is the largest number of points in a chart, because a chart has no more pixels.
const mostPoints = 1200

// thinned returns at most mostPoints points, evenly spread, with the first and the last one. The rates of counters stay
// right.
func thinned(points []serverapi.Stats) []serverapi.Stats {
	if len(points) <= mostPoints {
		return points
	}
	some := make([]serverapi.Stats, mostPoints)
	for i := range some {
		some[i] = points[i*(len(points)-1)/(mostPoints-1)]
	}
	return some
}

// packetsChart returns the packets a second between two points. Where a counter has fallen, the device has restarted,
// and there is no value.
func packetsChart(points []serverapi.Stats) chart {
	drawn := chart{Times: []int64{}, Series: []series{}}
	if len(points) < 2 {
		return drawn
	}
	names := map[string]bool{}
	for _, point := range points {
		for name := range point.Packets {
			names[name] = true
		}
		drawn.Times = append(drawn.Times, point.At)
	}
	drawn.Times = drawn.Times[1:]
	for _, name := range slices.Sorted(maps.Keys(names)) {
		sent := series{Name: name + " sent"}
		received := series{Name: name + " received"}
		for i, point := range points[1:] {
			was, before := points[i].Packets[name]
			is, now := point.Packets[name]
			seconds := point.At - points[i].At
			comparable := before && now && seconds > 0
			sent.Values = append(sent.Values, rate(was.Sent, is.Sent, seconds, comparable))
			received.Values = append(received.Values, rate(was.Received, is.Received, seconds, comparable))
		}
		drawn.Series = append(drawn.Series, sent, received)
	}
	return drawn
}

func rate(was, is uint64, seconds int64, comparable bool) *float64 {
	if !comparable || is < was {
		return nil
	}
	value := float64(is-was) / float64(seconds)
	return &value
}

func peersChart(points []serverapi.Stats) chart {
	drawn := chart{Times: []int64{}, Series: []series{{Name: "peers"}}}
	for _, point := range points {
		drawn.Times = append(drawn.Times, point.At)
		var value *float64
		if point.Peers != nil {
			n := float64(*point.Peers)
			value = &n
		}
		drawn.Series[0].Values = append(drawn.Series[0].Values, value)
	}
	return drawn
}

// withValues returns the chart without series that have no value. Without any series the chart has no times.
func (c chart) withValues() chart {
	kept := chart{Times: c.Times, Series: []series{}}
	for _, one := range c.Series {
		if slices.ContainsFunc(one.Values, func(value *float64) bool { return value != nil }) {
			kept.Series = append(kept.Series, one)
		}
	}
	if len(kept.Series) == 0 {
		kept.Times = []int64{}
	}
	return kept
}
