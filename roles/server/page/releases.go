package page

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

const (
	perReleases = 50  // releases on one page
	mostMoves   = 100 // moves on the page of a release
)

// A word is what a person can say to a release after a confirmation.
type word struct {
	event         release.Event
	right         access.Right
	title, button string
	danger        bool
	says          func(fleet.ReleaseView) string
}

var words = []word{
	{event: release.SaysGo, right: mayGo, title: "Go on with release %d", button: "Go", says: saysGo},
	{event: release.SaysHalt, right: mayWrite, title: "Halt release %d", button: "Halt", danger: true, says: saysHalt},
	{event: release.SaysUndo, right: mayWrite, title: "Undo release %d", button: "Undo", danger: true, says: func(view fleet.ReleaseView) string {
		return fmt.Sprintf("%s become what they were before the release, under new revisions. %s may have the change, and go back.",
			strings.Join(names(view), ", "), devices(admitted(view)))
	}},
}

func saysHalt(view fleet.ReleaseView) string {
	const then = "A person may say go or undo afterwards."
	if view.Progress.Stage == 0 {
		return "No stage begins, and no device gets the change. " + then
	}
	return fmt.Sprintf("No further stage begins. The stages that have begun have admitted %s: %d in sync. The others still get the change with their "+
		"next poll, if they have not got it yet. Only undo takes it back. %s", devices(admitted(view)), view.Outcome.Total().InSync, then)
}

func saysGo(view fleet.ReleaseView) string {
	number, of := view.Progress.Stage, len(view.Plan.Stages)
	next := ""
	if number < of {
		next = fmt.Sprintf("Stage %d of %d begins: %s.", number+1, of, view.Plan.Stages[number])
		if number < len(view.Sizes) {
			next += fmt.Sprintf(" It brings the change to %s.", devices(view.Sizes[number]))
		}
	}
	total := view.Outcome.Total()
	switch phase := view.Progress.Phase; {
	case phase == release.Halted && number > 0:
		return fmt.Sprintf("Stage %d of %d goes on. The devices that fail or are silent now do not stop the release again: %d and %d.", number, of,
			total.Failing, total.Silent)
	case phase == release.Holding && number == of:
		return "The release is done: the last stage holds no longer."
	case phase == release.Holding:
		return fmt.Sprintf("Stage %d holds no longer. %s", number, next)
	case number == of:
		return "The release is done, without the devices that are absent."
	}
	return next
}

func devices(number int) string {
	if number == 1 {
		return "1 device"
	}
	return fmt.Sprint(number, " devices")
}

// admitted returns the number of devices that have the change or may get it.
func admitted(view fleet.ReleaseView) int {
	total := view.Outcome.Total()
	return total.All() + total.Absent
}

func names(view fleet.ReleaseView) (list []string) {
	for _, layer := range view.Layers {
		list = append(list, string(layer))
	}
	return list
}

// releaseRoutes returns the routes of releases.
func (p *Page) releaseRoutes() []api.Route {
	list := []api.Route{
		{Method: http.MethodGet, Path: "/page/releases/", Right: access.Read, Handle: p.onlyWith("before", p.releases)},
		{Method: http.MethodGet, Path: "/page/releases/:id/", Right: access.Read, Handle: p.onlyWith("done", p.ofRelease(p.showRelease))},
	}
	for _, one := range words {
		path := "/page/releases/:id/" + string(one.event) + "/"
		list = append(list,
			api.Route{Method: http.MethodGet, Path: path, Right: access.Read, Handle: p.onlyWith("", p.ofRelease(one.ask(p)))},
			api.Route{Method: http.MethodPost, Path: path, Right: one.right, Act: string(one.event) + " releases/:id",
				Handle: p.onlyWith("", p.ofRelease(one.say(p)))})
	}
	return list
}

// ofRelease returns the handler of a page about a release. If there is no such release, it answers with a page that
// says so.
func (p *Page) ofRelease(handle func(echo.Context, fleet.ReleaseView) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := strconv.ParseInt(c.Param("id"), 10, 64)
		var view fleet.ReleaseView
		if err == nil {
			view, err = p.fleet.ShowRelease(c.Request().Context(), id)
		}
		if errors.Is(err, fleet.ErrUnknownRelease) || errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) {
			return p.problem(c, rootOf(c), fmt.Sprintf("There is no release %q.", c.Param("id")))
		}
		if err != nil {
			return err
		}
		return handle(c, view)
	}
}

func (p *Page) releases(c echo.Context) error {
	before, err := strconv.ParseInt(cmp.Or(c.QueryParam("before"), "0"), 10, 64)
	if err != nil || before < 0 {
		return p.problem(c, rootOf(c), fmt.Sprintf("There is no page of releases before %q: that is no release.", c.QueryParam("before")))
	}
	list, err := p.fleet.Releases(c.Request().Context(), before, perReleases)
	if err != nil {
		return err
	}
	data := struct {
		common
		Releases []releasing
		Next     string
	}{common: p.common(c, "Releases", "releases")}
	for _, one := range list {
		data.Releases = append(data.Releases, *releasingOf(fleet.ReleaseView{Release: one}))
	}
	if len(list) == perReleases {
		data.Next = "?before=" + strconv.FormatInt(list[perReleases-1].ID, 10)
	}
	return render(c, http.StatusOK, "releases", data)
}

// A move is a step of a release.
type move struct {
	At       time.Time
	Text, By string
}

// A failing is some devices that have failed in a release, with their reason, or devices that delay it.
type failing struct {
	Outcome, Path, Reason string
	Devices               int
	Some                  []named
	More                  int
}

// A named is a device with its name, or else its ID.
type named struct{ URL, Name string }

func (p *Page) showRelease(c echo.Context, view fleet.ReleaseView) error {
	ctx := c.Request().Context()
	data := struct {
		common
		*releasing
		Failing []failing
		Holding []failing
		Moves   []move
		Offers  []offer
	}{common: p.common(c, fmt.Sprint("Release ", view.ID), "releases"), releasing: releasingOf(view)}
	var ids []uuid.UUID
	for _, cause := range slices.Concat(view.Outcome.Causes, view.HeldBy) {
		ids = append(ids, cause.Some...)
	}
	known, err := p.fleet.NamesOf(ctx, ids)
	if err != nil {
		return err
	}
	data.Failing, data.Holding = withNames(view.Outcome.Causes, known), withNames(view.HeldBy, known)
	entries, err := p.fleet.History(ctx, view.HistoryName(), 0, mostMoves)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		by := entry.By
		if by == view.ByItself() {
			by = "the server"
		}
		data.Moves = append(data.Moves, move{entry.At, entry.Step, by})
	}
	data.Offers = p.releaseOffers(c, view, "")
	return render(c, http.StatusOK, "release", data)
}

// withNames returns devices with their names and the addresses of their pages.
func withNames(causes []fleet.Cause, known map[uuid.UUID]string) (list []failing) {
	for _, cause := range causes {
		one := failing{Outcome: cause.Outcome, Path: cause.Path, Reason: cause.Reason, Devices: cause.Devices, More: cause.Devices - len(cause.Some)}
		for _, id := range cause.Some {
			one.Some = append(one.Some, named{"../../devices/" + id.String() + "/", cmp.Or(known[id], id.String())})
		}
		list = append(list, one)
	}
	return list
}

// releaseOffers returns the words that the caller may say to a release and that would move it.
func (p *Page) releaseOffers(c echo.Context, view fleet.ReleaseView, below string) (list []offer) {
	for _, one := range words {
		if view.Active() && one.refused(p, c, view) == nil && view.Takes(one.event) {
			list = append(list, offer{URL: below + string(one.event) + "/", Text: one.button, Danger: one.danger})
		}
	}
	return list
}

// refused returns an error if the caller may not say the word.
func (w word) refused(p *Page, c echo.Context, view fleet.ReleaseView) error {
	if !may(c, w.right) {
		return fleet.ErrScope
	}
	return p.fleet.Permits(c.Request().Context(), fleet.Word{Release: view.ID, Event: w.event, Within: within(c)})
}

func (w word) confirmation(p *Page, c echo.Context, view fleet.ReleaseView) confirmation {
	data := confirmation{common: p.common(c, fmt.Sprintf(w.title, view.ID), "releases"), Button: w.button, Danger: w.danger, Back: "../",
		Kept: []hidden{{"version", fmt.Sprint(view.Version)}}}
	switch {
	case !view.Active():
		data.Refused = fmt.Sprintf("The release has ended: it is %s.", view.Progress.Phase)
		return data
	case w.refused(p, c, view) != nil:
		data.Refused = notAllowed
	case !view.Takes(w.event):
		data.Refused = fmt.Sprintf("That changes nothing: %s.", view.Step())
	}
	data.Says = []string{fmt.Sprintf("Release %d of %s: %s.", view.ID, strings.Join(names(view), ", "), view.Step()), w.says(view)}
	if w.event == release.SaysUndo && p.signs() {
		data.Says = append(data.Says, "Operators sign in this fleet: a device goes back at once if the last statement allows that (--allow-undo); "+
			"else when an operator has signed the layers as they are then.")
	}
	return data
}

// signs reports whether the fleet has statements of operators.
func (p *Page) signs() bool {
	_, _, err := p.fleet.Book()
	return err == nil
}

func (w word) ask(p *Page) func(echo.Context, fleet.ReleaseView) error {
	return func(c echo.Context, view fleet.ReleaseView) error {
		return p.confirm(c, http.StatusOK, w.confirmation(p, c, view))
	}
}

func (w word) say(p *Page) func(echo.Context, fleet.ReleaseView) error {
	return func(c echo.Context, view fleet.ReleaseView) error {
		sent, err := formOf(c)
		if err != nil {
			return err
		}
		_, err = p.fleet.Say(c.Request().Context(), fleet.Word{Release: view.ID, Version: max(0, sent.number("version")), Event: w.event,
			By: author(c), Within: within(c)})
		phase := map[release.Event]release.Phase{release.SaysHalt: release.Halted, release.SaysUndo: release.Undone}[w.event]
		if err == nil || errors.Is(err, fleet.ErrNoMove) && view.Progress.Phase == phase { // or it was sent twice
			return seeOther(c, "../?done="+string(w.event))
		}
		return p.refused(c, err, w.confirmation(p, c, view))
	}
}
