package page

import (
	"net/http"
	"net/url"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/server/roster"

	"github.com/labstack/echo/v4"
)

// mostCauses is the number of causes that the overview shows.
const mostCauses = 8

// A need is something that a person should look at.
type need struct {
	State, Text string
	Devices     int
	URL         string
	Advice      string
}

// needs are the needs on the overview, the most urgent first. Refused and failed devices are shown by cause.
var needs = []struct{ state, advice string }{
	{fleet.StateDrifted.String(), "They run their target, and show other values: something on them has changed what the target set."},
	{silent, "They have not polled for three intervals: they are off, or cannot reach the server."},
	{fleet.StatePending.String(), "They wait for somebody to approve them."},
	{cloned, "Two machines report as each of them: an image was copied after its first start."},
}

// A cause is why some devices refused their target or failed.
type cause struct {
	State   string
	Devices int
	Reason  note
	URL     string
}

// A progress says how many devices run the last change.
type progress struct {
	Revision     int64
	Layer        string
	By           string
	At           time.Time
	Running, All int
}

// Done reports whether all devices run the change.
func (p progress) Done() bool { return p.Running == p.All }

// An overviewPage has the fields of the overview's template.
//
// It has many fields because each part of the template is one.
type overviewPage struct {
	common
	Devices  int
	Well     int // devices that run their target, and are not silent
	Counts   []count
	Causes   []cause
	More     int // further causes
	Needs    []need
	Progress *progress  // nil if there is no target
	Release  *releasing // nil if no release is active
	Offers   []offer    // words that the caller may say to the release
	Trend    trend
}

// Fine reports whether nothing needs a person.
func (o overviewPage) Fine() bool {
	return len(o.Causes) == 0 && len(o.Needs) == 0 && (o.Release == nil || !o.Release.NeedsWord)
}

// list is the address of the list of devices, relative to the root.
const list = "page/devices/"

func (p *Page) overview(c echo.Context) error {
	ctx := c.Request().Context()
	roll, good, err := p.roster.Roll(ctx)
	if err != nil {
		return err
	}
	all, err := roll.List(roster.Query{Limit: 1})
	if err != nil {
		return err
	}
	data := overviewPage{common: p.common(c, "Overview", "overview"), Devices: all.All, Counts: counts(all, filter{})}
	if good > 0 {
		data.Again = min(data.Again, good.Milliseconds()+1)
	}
	of := map[string]int{}
	for i := range data.Counts {
		of[data.Counts[i].State] = data.Counts[i].Devices
		data.Counts[i].URL = list + trimDot(data.Counts[i].URL)
		data.Counts[i].Here = false
	}
	data.Well = roll.Well()
	if n := roll.Unsigned(); n > 0 {
		data.Needs = append(data.Needs, need{State: fleet.StateBehind.String(), Text: "not signed", Devices: n,
			URL: list + "?" + url.Values{"state": {fleet.StateBehind.String()}}.Encode(), Advice: "Nobody has signed their target: an operator signs it with aspects-poc fleet sign."})
	}
	for _, one := range needs {
		if n := of[one.state]; n > 0 {
			data.Needs = append(data.Needs, need{State: one.state, Text: stateText(one.state), Devices: n,
				URL: list + "?" + url.Values{"state": {one.state}}.Encode(), Advice: one.advice})
		}
	}
	causes := roll.Causes()
	for _, one := range causes[:min(mostCauses, len(causes))] {
		shown := cause{State: one.State.String(), Devices: one.Devices,
			URL: list + "?" + url.Values{"state": {one.State.String()}, "cause": {one.Cause}}.Encode()}
		if reason := noteOf(one.Example); reason != nil {
			shown.Reason = *reason
		} else {
			shown.URL = list + "?" + url.Values{"state": {one.State.String()}}.Encode()
		}
		data.Causes = append(data.Causes, shown)
	}
	data.More = len(causes) - len(data.Causes)
	if data.Progress, err = p.progress(c, roll); err != nil {
		return err
	}
	if data.Release, data.Offers, err = p.releasing(c); err != nil {
		return err
	}
	week := c.QueryParam("trend") == "week"
	span := trendDay
	if week {
		span = trendWeek
	}
	samples, err := p.fleet.Samples(ctx, p.now().Add(-span))
	if err != nil {
		return err
	}
	data.Trend = trendOf(samples, all, p.now())
	data.Trend.Week = week
	return render(c, http.StatusOK, "overview", data)
}

// progress returns the progress of the last change of a layer or a secret.
func (p *Page) progress(c echo.Context, roll *roster.Roll) (*progress, error) {
	ctx := c.Request().Context()
	revision, err := p.fleet.LastChange(ctx)
	if err != nil || revision == 0 {
		return nil, err
	}
	entries, err := p.fleet.History(ctx, "", revision+1, 1)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	last := entries[0]
	far := &progress{Revision: revision, Layer: string(last.Layer), By: last.By, At: last.At}
	if active := p.fleet.Active(); active != nil && revision > active.ID {
		revision-- // devices that wait for the release get the change with this number
	}
	far.Running, far.All = roll.Running(revision)
	return far, nil
}

// trimDot changes a URL relative to the list so that it can follow the list's address.
func trimDot(address string) string {
	if address == "." {
		return ""
	}
	return address
}

// home shows the overview. It also handles the parameters of the list, which had this address before there was an
// overview.
func (p *Page) home(c echo.Context) error {
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK) // a script only checks its right
	}
	if _, wrong := params.Parse(c.Request().URL.RawQuery, []string{"trend"}); wrong != nil {
		return c.Redirect(http.StatusMovedPermanently, list+"?"+c.Request().URL.RawQuery)
	}
	return p.overview(c)
}
