package page

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// perPage is how many devices one page lists.
const perPage = 50

// states are those that can be filtered by, in the order of the page: what needs somebody first comes first.
var states = []string{
	serverapi.StateRefused, serverapi.StateFailed, serverapi.StateDrifted, serverapi.StateBehind, serverapi.StateInSync,
	serverapi.StateNew, serverapi.StatePending, serverapi.StateRevoked,
}

// A count is a number of devices in a state, and the way to their list.
type count struct {
	State, Text string
	Devices     int
	URL         string
	Here        bool
}

// A row is a device of the list.
type row struct {
	ID, URL          string
	State            string
	Silent           bool
	Note             string
	Labels           []string
	Running, Desired int64
	Seen             time.Time
	Address, Arch    string
}

func (p *Page) devices(c echo.Context) error {
	ctx := c.Request().Context()
	parameter := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	query := Query{
		Selector: parameter("selector"), State: parameter("state"), Text: parameter("q"),
		After: parameter("after"), Limit: perPage,
	}
	asked := query
	if query.State == "silent" {
		asked.State, asked.Silent = "", true
	}
	data := struct {
		common
		Counts   []count
		States   []count
		Query    Query
		Problem  string
		Devices  []row
		Filtered bool
		Next     string
	}{common: common{Title: "Devices", Here: "devices"}, Query: query}
	data.Filtered = query.Selector+query.State+query.Text+query.After != ""

	summary, err := p.source.Summary(ctx)
	if err != nil {
		return err
	}
	data.Counts, data.States = counts(summary, query)
	status := http.StatusOK
	found, err := p.source.Devices(ctx, asked)
	switch {
	case errors.Is(err, ErrQuery):
		status, data.Problem = http.StatusUnprocessableEntity, err.Error()
	case err != nil:
		return err
	}
	for _, device := range found.Devices {
		data.Devices = append(data.Devices, rowOf(device))
	}
	if found.Next != "" {
		next := query
		next.After = found.Next
		data.Next = listURL(next)
	}
	return render(c, status, "devices", data)
}

// counts returns the summary's numbers, and the states to choose from. A number leads to the list of that state with the
// other filters as they are.
func counts(summary serverapi.Summary, query Query) (list, choices []count) {
	add := func(state string, devices int) {
		to := query
		to.State, to.After = state, ""
		entry := count{State: state, Text: stateText(state), Devices: devices, URL: listURL(to), Here: query.State == state}
		list = append(list, entry)
		if state != "" {
			choices = append(choices, entry)
		}
	}
	add("", summary.Devices)
	for _, state := range states {
		add(state, summary.States[state])
	}
	add("silent", summary.Silent)
	return list, choices
}

// listURL is relative to the list itself.
func listURL(query Query) string {
	values := url.Values{}
	for name, value := range map[string]string{
		"selector": query.Selector, "state": query.State, "q": query.Text, "after": query.After,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) == 0 {
		return "."
	}
	return "?" + values.Encode()
}

func rowOf(device serverapi.Device) row {
	r := row{
		ID: device.UUID.String(), URL: "page/devices/" + device.UUID.String() + "/", State: device.State,
		Silent: device.Silent, Note: note(device), Labels: labels(device), Desired: device.Desired.Revision,
		Seen: at(device.LastSeen), Address: device.IPAddress, Arch: device.Arch,
	}
	if device.Running != nil {
		r.Running = device.Running.Revision
	}
	return r
}

// note says why a device is in the state it is in, where it told.
func note(device serverapi.Device) string {
	if attempt := device.Attempted; attempt != nil &&
		(device.State == serverapi.StateRefused || device.State == serverapi.StateFailed) {
		return attempt.Reason
	}
	return ""
}

func labels(device serverapi.Device) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(device.Labels)) {
		list = append(list, name+"="+device.Labels[name])
	}
	return list
}

// at turns the API's seconds into a time; zero stays zero.
func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
