package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/internal/yamljson"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/labstack/echo/v4"
)

// inStages is the value of the field "release" for a change in stages.
const inStages = "stages"

// firstStages are the stages in a form before the first release.
const firstStages = `stages:
- devices: 1
- percent: 10
  hold: 30m
- percent: 100
stop-when: {failing: 2%, silent: 5%}
on-stop: undo
`

// lastStages fills a form with the stages of the last release.
func (p *Page) lastStages(c echo.Context, data *layerForm) error {
	data.Stages = firstStages
	last, err := p.fleet.Releases(c.Request().Context(), 0, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	written, err := yamljson.Encode([]byte(last[0].Plan.String()))
	data.Stages = string(written)
	return err
}

// stagesOf returns the stages of a form; nil for none. Its error is for the user who typed them.
func (p *Page) stagesOf(data layerForm) (*release.Plan, error) {
	if !data.Staged {
		return nil, nil
	}
	value, _, err := yamljson.Decode([]byte(data.Stages))
	if err != nil {
		return nil, fmt.Errorf("the stages cannot be read: %w", err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("the stages cannot be read: %w", err)
	}
	plan, err := p.fleet.ReadPlan(text)
	if wrong := (*release.Error)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("the stages cannot be used: %s", strings.TrimSpace(wrong.Field+" "+wrong.Text))
	}
	return &plan, err
}

// set makes a change; in stages if stages is not nil. It returns the ID of the release; 0 for none.
func (p *Page) set(c echo.Context, change fleet.Change, stages *release.Plan) (int64, error) {
	ctx := c.Request().Context()
	if stages == nil {
		_, err := p.fleet.Set(ctx, change)
		return 0, err
	}
	_, begun, err := p.fleet.StartRelease(ctx, fleet.Batch{Changes: []fleet.Change{change}}, *stages, author(c))
	if err != nil || begun == nil {
		return 0, only(err)
	}
	return begun.ID, nil
}

// A plannedStage is a stage in a plan.
type plannedStage struct {
	Stage, Terms string
	Devices      int
}
