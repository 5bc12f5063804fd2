package page

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// perPage is how many devices one page lists.
const perPage = 50

// silent and cloned are what devices can be filtered by beside their states.
const silent, cloned = "silent", "cloned"

// states are those that can be filtered by, the worst first.
var states = []string{
	serverapi.StateFailed, serverapi.StateRefused, serverapi.StateDrifted, silent, serverapi.StateBehind, cloned,
	serverapi.StatePending, serverapi.StateNew, serverapi.StateInSync, serverapi.StateRevoked,
}

// columns are those of the list, by what the query calls them.
var columns = []struct{ Name, Text string }{
	{"device", "Device"}, {"address", "Address"}, {"state", "State"}, {"labels", "Labels"}, {"target", "Target"},
	{"reported", "Reported"}, {"seen", "Last seen"},
}

// A count is a number of devices in a state, and the way to their list.
type count struct {
	State, Text string
	Devices     int
	URL         string
	Here        bool
}

// A heading is that of a column, and the way to the list in its order.
type heading struct {
	Name, Text string
	URL        string
	Sorted     string // "ascending", "descending" or ""
	Arrow      string
}

// A choice is an option of a form.
type choice struct {
	Value, Text string
	Here        bool
}

// A row is a device of the list.
type row struct {
	ID, URL          string
	State            string
	Silent, Cloned   bool
	Note             *note
	Labels, More     []string // More are those that a list folds
	Running, Desired int64
	Seen             time.Time
	Address, Arch    string
}

// devicesPage is what the template of the list shows.
type devicesPage struct {
	common
	Query                 Query
	Counts                []count
	States, Sorts         []choice
	Headings              []heading
	Problem               string
	Devices               []row
	Filtered              bool
	Total, First, Last    int
	Page, Pages           int
	Start, Previous, Next string // URLs
}

func (p *Page) devices(c echo.Context) error {
	arguments, wrong := params.Parse(c.Request().URL.RawQuery, []string{"selector", "state", "q", "sort", "after"})
	parameter := func(name string) string { return strings.TrimSpace(arguments[name].Value) }
	query := Query{
		Selector: parameter("selector"), State: parameter("state"), Text: parameter("q"), Sort: parameter("sort"),
		After: parameter("after"), Limit: perPage,
	}
	asked := query
	switch query.State {
	case silent:
		asked.State, asked.Silent = "", true
	case cloned:
		asked.State, asked.Cloned = "", true
	}
	data := devicesPage{common: p.common("Devices", "devices", ""), Query: query}
	data.Filtered = query.Selector+query.State+query.Text != ""
	data.choose()
	if wrong != nil {
		data.Problem = complaints(wrong)
		return render(c, http.StatusUnprocessableEntity, "devices", data)
	}
	list, err := p.source.Devices(c.Request().Context(), asked)
	if errors.Is(err, ErrQuery) {
		data.Problem = problemText(err)
		return render(c, http.StatusUnprocessableEntity, "devices", data)
	}
	if err != nil {
		return err
	}
	data.fill(list)
	return render(c, http.StatusOK, "devices", data)
}

// fill takes in what was found.
func (d *devicesPage) fill(list List) {
	if list.Good > 0 {
		d.Again = min(d.Again, list.Good.Milliseconds()+1)
	}
	for _, device := range list.Devices {
		d.Devices = append(d.Devices, rowOf(device))
	}
	d.Counts = counts(list, d.Query)
	d.Total, d.First, d.Last = list.Found, list.Before+1, list.Before+len(list.Devices)
	d.Page = (list.Before+perPage-1)/perPage + 1
	d.Pages = max(d.Page-1+(list.Found-list.Before+perPage-1)/perPage, d.Page)
	if list.HasPrevious {
		d.Previous, d.Start = listURL(d.Query, "after", list.Previous), listURL(d.Query, "after", "")
	}
	if list.Next != "" {
		d.Next = listURL(d.Query, "after", list.Next)
	}
}

// choose sets what can be chosen in the form and at the head of the table.
func (d *devicesPage) choose() {
	for _, state := range states {
		d.States = append(d.States, choice{state, stateText(state), d.Query.State == state})
	}
	column, reverse := strings.CutPrefix(cmp.Or(d.Query.Sort, "state"), "-")
	for _, one := range columns {
		h := heading{Name: one.Name, Text: one.Text}
		to := one.Name
		up, down := one.Text, one.Text+", reversed"
		if one.Name == "state" {
			up, down = one.Text+", the worst first", one.Text+", the worst last"
		}
		d.Sorts = append(d.Sorts, choice{one.Name, up, one.Name == column && !reverse},
			choice{"-" + one.Name, down, one.Name == column && reverse})
		if one.Name == column {
			h.Sorted, h.Arrow = "ascending", "↑"
			if reverse {
				h.Sorted, h.Arrow = "descending", "↓"
			} else {
				to = "-" + to
			}
		}
		if to == "state" {
			to = ""
		}
		h.URL = listURL(d.Query, "sort", to)
		d.Headings = append(d.Headings, h)
	}
}

// counts returns numbers of devices. A number leads to the list of its state, with the other filters as they are.
func counts(list List, query Query) []count {
	all := []count{{Text: "all", Devices: list.All}}
	for _, state := range states {
		devices := list.States[state]
		switch state {
		case silent:
			devices = list.Silent
		case cloned:
			devices = list.Cloned
		}
		all = append(all, count{State: state, Text: stateText(state), Devices: devices})
	}
	for i := range all {
		all[i].URL, all[i].Here = listURL(query, "state", all[i].State), query.State == all[i].State
	}
	return all
}

// listURL is the list with one parameter of the query changed, from its beginning unless that is the change. It is
// relative to the list itself.
func listURL(query Query, name, value string) string {
	parameters := map[string]string{"selector": query.Selector, "state": query.State, "q": query.Text, "sort": query.Sort}
	parameters[name] = value
	values := url.Values{}
	for name, value := range parameters {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) == 0 {
		return "."
	}
	return "?" + values.Encode()
}

// problemText is what a source says about a query, as it says it.
func problemText(err error) string { return strings.TrimPrefix(err.Error(), ErrQuery.Error()+": ") }

// foldFrom is from how many labels on a list folds some, and foldTo how many stay.
const foldFrom, foldTo = 10, 6

func rowOf(device serverapi.Device) row {
	r := row{
		ID: device.UUID.String(), URL: "page/devices/" + device.UUID.String() + "/", State: device.State,
		Silent: device.Silent, Cloned: device.Cloned, Note: noteOf(device), Labels: labels(device), Desired: device.Desired.Revision,
		Seen: at(device.LastSeen), Address: device.IPAddress, Arch: device.Arch,
	}
	if len(r.Labels) > foldFrom {
		r.Labels, r.More = r.Labels[:foldTo], r.Labels[foldTo:]
	}
	if device.Running != nil {
		r.Running = device.Running.Revision
	}
	return r
}

// A note says why a device is in the state it is in. What is long is folded.
type note struct{ Begin, Rest string }

// noteLength is how many characters of a note a list shows unfolded.
const noteLength = 180

// noteOf returns what a device told; nil for nothing.
func noteOf(device serverapi.Device) *note {
	attempt := device.Attempted
	if attempt == nil || attempt.Reason == "" ||
		device.State != serverapi.StateRefused && device.State != serverapi.StateFailed {
		return nil
	}
	text := []rune(attempt.Reason)
	if len(text) <= noteLength {
		return &note{Begin: attempt.Reason}
	}
	cut := noteLength
	for cut > noteLength/2 && text[cut] != ' ' {
		cut--
	}
	if text[cut] != ' ' {
		cut = noteLength // one word
	}
	return &note{Begin: string(text[:cut]), Rest: string(text[cut:])}
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

// number groups the digits of large numbers.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
