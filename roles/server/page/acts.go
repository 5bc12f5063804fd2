package page

import (
	"net/http"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// An act is a change of a device that the page makes after a confirmation.
type act struct {
	name          string // in the address, and in the message after the act
	audits        string // the verb of the audit log
	right         access.Right
	title, button string
	danger        bool
	fits          func(fleet.View) bool // reports whether the act would change something
	says          func(fleet.View) []string
	do            func(*Page, echo.Context, uuid.UUID) error
}

var acts = []act{
	{name: "approve", audits: "approve", right: mayAdmit, title: "Approve the device", button: "Approve",
		fits: func(device fleet.View) bool { return device.Status != fleet.Active },
		says: func(device fleet.View) []string {
			if device.Status == fleet.Revoked {
				return []string{"The device is revoked. When it is approved, it may poll again, and it gets its target, which may have secrets."}
			}
			return []string{"The device waits for approval. When it is approved, it may poll, and it gets its target, which may have secrets."}
		},
		do: func(p *Page, c echo.Context, id uuid.UUID) error {
			_, err := p.fleet.SetStatus(c.Request().Context(), id, fleet.Active, within(c))
			return err
		}},
	{name: "revoke", audits: "revoke", right: mayAdmit, title: "Revoke the device", button: "Revoke", danger: true,
		fits: func(device fleet.View) bool { return device.Status != fleet.Revoked },
		says: func(fleet.View) []string {
			return []string{"The server refuses the device's polls from now on, until the device is approved again. The device keeps " +
				"running the configuration that it has."}
		},
		do: func(p *Page, c echo.Context, id uuid.UUID) error {
			_, err := p.fleet.SetStatus(c.Request().Context(), id, fleet.Revoked, within(c))
			return err
		}},
	{name: "alone", audits: "unmark", right: mayWrite, title: "One machine alone is this device", button: "Remove the mark",
		fits: func(device fleet.View) bool { return device.Cloned },
		says: func(fleet.View) []string {
			return []string{"The mark that two machines report as this device is removed. It comes back if two machines report again: " +
				"first give one of them a state of its own."}
		},
		do: func(p *Page, c echo.Context, id uuid.UUID) error {
			return p.fleet.SetAlone(c.Request().Context(), id, within(c))
		}},
}

// actRoutes returns the routes of the acts: GET asks, and POST acts.
func (p *Page) actRoutes() (list []api.Route) {
	for _, one := range acts {
		path := "/page/devices/:uuid/" + one.name + "/"
		list = append(list,
			api.Route{Method: http.MethodGet, Path: path, Right: access.Read, Handle: p.onlyWith("", p.ofDevice(one.ask(p)))},
			api.Route{Method: http.MethodPost, Path: path, Right: one.right, Act: one.audits + " devices/:uuid",
				Handle: p.onlyWith("", p.ofDevice(one.act(p)))})
	}
	return list
}

// ofDevice returns the handler of a page about a device. If there is no such device, it answers with a page that says
// so.
func (p *Page) ofDevice(handle func(echo.Context, fleet.View) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := p.fleet.Find(c.Request().Context(), c.Param("uuid"))
		var device fleet.View
		if err == nil {
			device, err = p.fleet.Device(c.Request().Context(), id)
		}
		if detail := missing(id, err); detail != "" {
			return p.problem(c, rootOf(c), detail)
		}
		if err != nil {
			return err
		}
		return handle(c, device)
	}
}

func (a act) confirmation(p *Page, c echo.Context, device fleet.View) confirmation {
	data := confirmation{common: p.common(c, a.title, ""), Says: append([]string{"Device " + device.ID.String() + "."}, a.says(device)...),
		Button: a.button, Danger: a.danger, Back: "../"}
	if !mayFor(c, a.right, device.Labels) {
		data.Refused = notAllowed
	}
	return data
}

const notAllowed = "Your token does not allow this."

func (a act) ask(p *Page) func(echo.Context, fleet.View) error {
	return func(c echo.Context, device fleet.View) error {
		return p.confirm(c, http.StatusOK, a.confirmation(p, c, device))
	}
}

func (a act) act(p *Page) func(echo.Context, fleet.View) error {
	return func(c echo.Context, device fleet.View) error {
		err := a.do(p, c, device.ID)
		if err == nil {
			return seeOther(c, "../?done="+a.name)
		}
		return p.refused(c, err, a.confirmation(p, c, device))
	}
}

// An offer is a link to an act.
type offer struct {
	URL, Text string
	Danger    bool
}

// offers returns the acts that the caller may do to a device and that would change something.
func offers(c echo.Context, device fleet.View) (list []offer) {
	for _, one := range acts {
		if mayFor(c, one.right, device.Labels) && one.fits(device) {
			list = append(list, offer{URL: one.name + "/", Text: one.title, Danger: one.danger})
		}
	}
	if may(c, mayName) {
		list = append(list, offer{URL: "name/", Text: "Rename"})
	}
	if mayFor(c, mayWrite, device.Labels) {
		list = append(list, offer{URL: "labels/", Text: "Change the labels"},
			offer{URL: "../../layers/devices/" + device.ID.String() + "/edit/", Text: "Edit its own layer"})
	}
	return list
}
