package page

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/server/roster"

	"github.com/labstack/echo/v4"
)

// perPage is the number of devices on a page of the list.
const perPage = 50

// The list can be filtered by these two words like by a state.
const silent, cloned = "silent", "cloned"

// states are the filters by state, the worst first.
var states = []string{
	fleet.StateFailed.String(), fleet.StateRefused.String(), fleet.StateDrifted.String(), silent, fleet.StateBehind.String(),
	cloned, fleet.StatePending.String(), fleet.StateNew.String(), fleet.StateInSync.String(), fleet.StateRevoked.String(),
}

// columns are the columns of the list; Name is the value of the parameter "sort".
var columns = []struct{ Name, Text string }{
	{"device", "Device"}, {"address", "Address"}, {"state", "State"}, {"labels", "Labels"}, {"target", "Target"},
	{"reported", "Reported"}, {"seen", "Last seen"},
}

// A count is the number of devices in a state, with a link to their list.
type count struct {
	State, Text string
	Devices     int
	URL         string
	Here        bool
}

// A heading is a column's heading, with a link to the list sorted by that column.
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

// A row is a device in the list.
type row struct {
	ID, Name, URL    string
	State            string
	Silent, Cloned   bool
	Note             *note
	Labels, More     []string // More are the folded labels
	Running, Desired int64
	Seen             time.Time
	Address, Arch    string
}

// A filter is the query of the list, as the reader wrote it. Empty fields select all.
type filter struct {
	Selector string // over labels, such as "site=berlin,stage!=test"
	State    string // one of states
	Text     string // in UUID, name, address, architecture or labels
	Sort     string // a column, with "-" in front for the reverse order; "" means the worst state first
	Cause    string // of a refusal or a failure, from the overview
	After    string // cursor of a page
}

// devicesPage has the fields of the list's template.
//
// It has many fields because the template shows the list, its filter and its pages.
type devicesPage struct {
	common
	Query                 filter
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
	arguments, wrong := params.Parse(c.Request().URL.RawQuery, []string{"selector", "state", "q", "sort", "cause", "after"})
	parameter := func(name string) string { return strings.TrimSpace(arguments[name].Value) }
	data := devicesPage{common: p.common(c, "Devices", "devices"), Query: filter{
		Selector: parameter("selector"), State: parameter("state"), Text: parameter("q"), Sort: parameter("sort"),
		Cause: arguments["cause"].Value, After: parameter("after"),
	}}
	data.Filtered = data.Query.Selector+data.Query.State+data.Query.Text+data.Query.Cause != ""
	data.choose()
	refuse := func(problem string) error {
		data.Problem = problem
		return render(c, http.StatusUnprocessableEntity, "devices", data)
	}
	if wrong != nil {
		return refuse(sentence(wrong))
	}
	query, err := data.Query.parse()
	if err != nil {
		return refuse(err.Error())
	}
	roll, good, err := p.roster.Roll(c.Request().Context())
	if err != nil {
		return err
	}
	list, err := roll.List(query)
	if errors.Is(err, fleet.ErrBadCursor) {
		return refuse("after is no place in the list: take it from a link of the page")
	}
	if err != nil {
		return err
	}
	if good > 0 {
		data.Again = min(data.Again, good.Milliseconds()+1)
	}
	data.fill(list)
	return render(c, http.StatusOK, "devices", data)
}

// parse returns the filter in the roster's form. The error is in the words of the API.
func (f filter) parse() (query roster.Query, err error) {
	query = roster.Query{Match: api.Match(f.Text), Silent: f.State == silent, Cloned: f.State == cloned, Cause: f.Cause, After: f.After, Limit: perPage}
	if query.Selector, err = fleet.ParseSelector(f.Selector); err != nil {
		return query, fmt.Errorf("selector cannot be read: %w", err)
	}
	var ok bool
	if f.State != "" && !query.Silent && !query.Cloned {
		if query.State, ok = fleet.ParseState(f.State); !ok {
			return query, fmt.Errorf("state must be one of %s, silent, cloned, not %q", strings.Join(fleet.StateNames(), ", "), f.State)
		}
	}
	if query.Order, ok = roster.ParseOrder(f.Sort); !ok {
		return query, fmt.Errorf("sort must be one of %s, or one of them after \"-\", not %q", roster.OrderNames(), f.Sort)
	}
	return query, nil
}

// fill sets the fields for a page of the list.
func (d *devicesPage) fill(list roster.List) {
	for _, device := range list.Rows {
		d.Devices = append(d.Devices, rowOf(device))
	}
	d.Counts = counts(list, d.Query)
	d.Total, d.First, d.Last = list.Found, list.Before+1, list.Before+len(list.Rows)
	d.Page = (list.Before+perPage-1)/perPage + 1
	d.Pages = max(d.Page-1+(list.Found-list.Before+perPage-1)/perPage, d.Page)
	if list.HasPrevious {
		d.Previous, d.Start = d.Query.url("after", list.Previous), d.Query.url("after", "")
	}
	if list.Next != "" {
		d.Next = d.Query.url("after", list.Next)
	}
}

// WithoutCause returns the list's URL without the filter by cause.
func (d devicesPage) WithoutCause() string { return d.Query.url("cause", "") }

// choose sets the options of the form and the headings of the table.
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
		h.URL = d.Query.url("sort", to)
		d.Headings = append(d.Headings, h)
	}
}

// counts returns the number of devices in each state. Each links to the list of that state with the same other filters.
func counts(list roster.List, query filter) []count {
	devices := map[string]int{"": list.All, silent: list.Silent, cloned: list.Cloned}
	for state, n := range list.States {
		devices[state.String()] = n
	}
	var all []count
	for _, state := range append([]string{""}, states...) {
		all = append(all, count{State: state, Text: stateText(state), Devices: devices[state],
			URL: query.url("state", state), Here: query.State == state})
	}
	return all
}

// url returns the list's URL, relative to the list, with one parameter changed. It is the URL of the first page, unless
// the parameter is "after".
func (f filter) url(name, value string) string {
	parameters := map[string]string{"selector": f.Selector, "state": f.State, "q": f.Text, "sort": f.Sort, "cause": f.Cause}
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

// A device with more than foldFrom labels shows foldTo of them; the list folds the rest.
const foldFrom, foldTo = 10, 6

func rowOf(device *roster.Row) row {
	r := row{
		ID: device.ID.String(), Name: device.Name, URL: device.ID.String() + "/", State: device.State.String(),
		Silent: device.Silent, Cloned: device.Cloned, Note: noteOf(device.Reason), Labels: roster.Labels(device.Labels),
		Desired: device.Target, Running: device.Running, Seen: at(device.LastSeen), Address: device.Address, Arch: device.Arch,
	}
	if len(r.Labels) > foldFrom {
		r.Labels, r.More = r.Labels[:foldTo], r.Labels[foldTo:]
	}
	return r
}

// A note says why a device is in its state. The list folds Rest.
type note struct{ Begin, Rest string }

// noteLength is the number of characters of a note that are not folded.
const noteLength = 180

// noteOf returns the reason that a device reported; nil if it reported none.
func noteOf(reason string) *note {
	if reason == "" {
		return nil
	}
	text := []rune(reason)
	if len(text) <= noteLength {
		return &note{Begin: reason}
	}
	cut := noteLength
	for cut > noteLength/2 && text[cut] != ' ' {
		cut--
	}
	if text[cut] != ' ' {
		cut = noteLength // a single word
	}
	return &note{Begin: string(text[:cut]), Rest: string(text[cut:])}
}

// at returns the time of seconds since 1970; zero for 0.
func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// number returns a number with its digits in groups of three.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
