package page

import (
	"net/http"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// A namePage is the form for the name of a device.
type namePage struct {
	common
	ID      string
	Typed   string
	Problem string
	Refused string
}

func (p *Page) nameForm(c echo.Context, device fleet.View) namePage {
	data := namePage{common: p.common(c, "Name", ""), ID: device.ID.String(), Typed: device.Name}
	if !may(c, mayName) {
		data.Refused = notAllowed
	}
	return data
}

func (p *Page) askName(c echo.Context, device fleet.View) error {
	return render(c, http.StatusOK, "name", p.nameForm(c, device))
}

// setName gives a device a name, or removes its name. The form explains the effects.
func (p *Page) setName(c echo.Context, device fleet.View) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	name := sent.word("name")
	if _, err := p.fleet.SetName(c.Request().Context(), device.ID, name, author(c)); err != nil {
		return explain(c, err, func(status int, problem string) error {
			data := p.nameForm(c, device)
			data.Typed, data.Problem = name, capital(problem)
			return render(c, status, "name", data)
		})
	}
	return seeOther(c, rootOf(c)+list+device.ID.String()+"/?done=name")
}
