package page

import (
	"errors"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/labstack/echo/v4"
)

// releasing is the active release.
type releasing struct {
	fleet.ReleaseView
	Rows []releaseRow
}

// A releaseRow is a stage of the active release.
type releaseRow struct {
	Stage string
	Begun bool
	release.Counts
	Devices int // that it has, or would have if it began now
}

// Changes lists the layers of the release.
func (r releasing) Changes() string {
	names := make([]string, len(r.Layers))
	for i, layer := range r.Layers {
		names[i] = string(layer)
	}
	return strings.Join(names, ", ")
}

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
	shown := &releasing{ReleaseView: view}
	for i, stage := range view.Plan.Stages {
		row := releaseRow{Stage: stage.String(), Begun: i < len(view.Progress.Admit)}
		if i < len(view.Outcome.Stages) {
			row.Counts = view.Outcome.Stages[i]
		}
		if i < len(view.Sizes) {
			row.Devices = view.Sizes[i]
		}
		shown.Rows = append(shown.Rows, row)
	}
	return shown, nil
}
