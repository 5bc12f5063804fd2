package page

import (
	"errors"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// releasing is the active release, as the API shows it.
type releasing struct {
	serverapi.Release
	Began time.Time
}

// Changes lists the layers of the release.
func (r releasing) Changes() string { return strings.Join(r.Layers, ", ") }

// releasing returns the active release with the counts of now; nil if there is none.
func (p *Page) releasing(c echo.Context) (*releasing, error) {
	active := p.fleet.Active()
	if active == nil {
		return nil, nil
	}
	view, err := p.fleet.ShowRelease(c.Request().Context(), active.ID)
	if errors.Is(err, fleet.ErrUnknownRelease) || err == nil && !view.Active() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &releasing{wire.Release(view), view.At}, nil
}
