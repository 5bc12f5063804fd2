package page

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// chartSpan is how far back the charts go.
const chartSpan = 24 * time.Hour

// A chart is what is drawn: times in seconds since 1970, and for each series a value at each time, null where there is
// none.
type chart struct {
	Times  []int64  `json:"times"`
	Series []series `json:"series"`
}

type series struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

func (p *Page) chart(c echo.Context) error {
	id, err := uuid.Parse(c.Param("uuid"))
	if err != nil {
		return echo.ErrNotFound
	}
	stats, err := p.source.Stats(c.Request().Context(), id, p.options.Now().Add(-chartSpan))
	if errors.Is(err, ErrNotFound) {
		return echo.ErrNotFound
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	switch c.QueryParam("kind") {
	case "packets":
		return c.JSON(http.StatusOK, packetsChart(thinned(stats.Points)).known())
	case "peers":
		return c.JSON(http.StatusOK, peersChart(thinned(stats.Points)).known())
	}
	return echo.ErrNotFound
}

// mostPoints bounds what is drawn: more than a chart has pixels in width are no use.
const mostPoints = 1200

// thinned leaves of many points some that are evenly spread, the first and the last among them. Of counters nothing is
// lost with that: a rate is that between two points.
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

// packetsChart turns counters into packets a second between two points. Where a counter fell, the device has begun to
// count anew, and there is no value.
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
			known := before && now && seconds > 0
			sent.Values = append(sent.Values, rate(was.Sent, is.Sent, seconds, known))
			received.Values = append(received.Values, rate(was.Received, is.Received, seconds, known))
		}
		drawn.Series = append(drawn.Series, sent, received)
	}
	return drawn
}

func rate(was, is uint64, seconds int64, known bool) *float64 {
	if !known || is < was {
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

// known leaves out series that have no value at all, and all times where no series is left.
func (c chart) known() chart {
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
