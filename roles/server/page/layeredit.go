package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"aspects-poc/internal/yamljson"
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// A layerForm is the form of a layer: YAML, or a field for each value of the confdb-schema.
//
// It has many fields because the template shows the form, its plan and what is wrong with it.
type layerForm struct {
	common
	Name     string // of the layer; "" for a new one
	NewName  string // of a new layer, as typed
	Labelled bool   // the layer has a selector and a priority
	Selector string
	Priority string
	Text     string // the configuration as YAML
	Fields   []fieldGroup
	Rest     string // YAML of the values without a field
	ByFields bool
	CanField bool   // the fleet has a confdb-schema for fields
	Staged   bool   // the change is released in stages
	Stages   string // the stages as YAML
	Match    int64  // the revision that the form began with
	Plan     *plan
	Problem  string
	Path     string // of the value with the Problem
	Since    []line // changes of others since Match
	SinceBy  string
	Refused  string
	Back     string
}

// The values of the parameter "as", and of the buttons that change the form.
const (
	asFields = "fields"
	asYAML   = "yaml"
)

func (p *Page) newLayer(c echo.Context) error {
	data := p.layerForm(c, fleet.Layer{})
	data.Title, data.Labelled, data.Back, data.Priority = "New layer", true, "../", "0"
	if err := p.lastStages(c, &data); err != nil {
		return err
	}
	return p.showForm(c, http.StatusOK, data, c.QueryParam("as") == asFields)
}

func (p *Page) editLayer(c echo.Context, layer fleet.Layer) error {
	data := p.layerForm(c, layer)
	written, err := yamlOf(layer.Config)
	if err != nil {
		return err
	}
	data.Selector, data.Priority, data.Text = layer.Selector.String(), strconv.FormatInt(layer.Priority, 10), written
	if err := p.lastStages(c, &data); err != nil {
		return err
	}
	return p.showForm(c, http.StatusOK, data, c.QueryParam("as") == asFields)
}

func (p *Page) layerForm(c echo.Context, layer fleet.Layer) layerForm {
	data := layerForm{common: p.common(c, "Edit "+string(layer.Name), "layers"), Name: string(layer.Name), Labelled: layer.Name.IsLabels(),
		Match: layer.Revision, Back: "../", CanField: p.schema() != nil}
	if !mayChange(c, layer) {
		data.Refused = notAllowed
	}
	return data
}

// showForm renders the form. With byFields it fills the fields from the text. A text that is not YAML stays text.
func (p *Page) showForm(c echo.Context, status int, data layerForm, byFields bool) error {
	if data.ByFields = false; byFields && data.CanField {
		config, err := configOf(data.Text)
		if err != nil {
			data.Problem = capital(err.Error())
			return render(c, http.StatusUnprocessableEntity, "edit", data)
		}
		if data.Fields, data.Rest, err = p.schema().fill(config, data.Path); err != nil {
			return err
		}
		data.ByFields = true
	}
	return render(c, status, "edit", data)
}

// configOf parses a configuration as YAML or JSON. Its error is for the user who typed the text.
func configOf(text string) (fleet.Config, error) {
	value, empty, err := yamljson.Decode([]byte(text))
	if err != nil {
		return fleet.Config{}, fmt.Errorf("the configuration cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if empty || value == nil {
		value = map[string]any{}
	}
	if _, is := value.(map[string]any); !is {
		return fleet.Config{}, errors.New("the configuration must be views with their values, such as \"control-telemetry: {sample-rate: 4}\"")
	}
	encoded, err := json.Marshal(value)
	if err == nil {
		var config fleet.Config
		if config, err = fleet.ParseConfig(encoded); err == nil {
			return config, nil
		}
	}
	return fleet.Config{}, fmt.Errorf("the configuration cannot be taken: %w", err)
}

// typed sets the fields of a form to the sent values.
func (p *Page) typed(data *layerForm, sent form) (byFields bool, err error) {
	data.NewName, data.Selector, data.Priority = sent.word("name"), sent.word("selector"), sent.word("priority")
	data.Match = sent.number("match")
	data.Staged, data.Stages = sent.word("release") == inStages, sent.text("stages")
	byFields = sent.word("as") == asFields && data.CanField
	if !byFields || sent.values.Has("config") {
		data.Text = sent.text("config")
		return byFields, nil
	}
	config, wrong := p.schema().read(sent)
	if wrong != nil { // as typed
		data.ByFields, data.Fields, data.Rest, data.Problem = true, wrong.fields, wrong.rest, wrong.text
		return true, wrong
	}
	data.Text, err = yamlOf(config)
	return true, err
}

// makeLayer makes a layer for labels.
func (p *Page) makeLayer(c echo.Context) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	data := p.layerForm(c, fleet.Layer{})
	data.Title, data.Labelled = "New layer", true
	name, err := fleet.LabelLayer(sent.word("name"))
	if err != nil {
		byFields, wrong := p.typed(&data, sent)
		data.Problem, data.Path = "The name cannot be used: "+err.Error()+".", "name"
		if wrong != nil {
			return render(c, http.StatusUnprocessableEntity, "edit", data)
		}
		return p.showForm(c, http.StatusUnprocessableEntity, data, byFields)
	}
	present, err := p.present(c, name)
	if err != nil {
		return err
	}
	return p.change(c, sent, data, present)
}

func (p *Page) changeLayer(c echo.Context, layer fleet.Layer) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	return p.change(c, sent, p.layerForm(c, layer), layer)
}

// change handles the form of a layer: it shows the effects of the change, shows the form in another way, or sets the
// layer. present is the present layer.
func (p *Page) change(c echo.Context, sent form, data layerForm, present fleet.Layer) error {
	byFields, err := p.typed(&data, sent)
	var wrong *fieldsError
	switch {
	case errors.As(err, &wrong):
		return render(c, http.StatusUnprocessableEntity, "edit", data)
	case err != nil:
		return err
	}
	act := sent.word("act")
	refuse := func(err error) error {
		problem, status, other := refusalOf(c, err)
		if other != nil {
			return other
		}
		data.Problem = problem
		var target *fleet.TargetError
		var layer *fleet.LayerError
		switch {
		case errors.As(err, &target):
			data.Path = target.Path
		case errors.As(err, &layer):
			data.Path = layer.Field
		case errors.Is(err, fleet.ErrStale):
			if err := p.faster(c, &data, present); err != nil {
				return err
			}
		}
		if act == actPlan {
			status = http.StatusOK
		}
		return p.showForm(c, status, data, byFields)
	}
	switch act {
	case asYAML, asFields:
		return p.showForm(c, http.StatusOK, data, act == asFields)
	case actCheck, actPlan, actSet:
	default:
		return p.showForm(c, http.StatusOK, data, byFields)
	}
	change, err := p.changeOf(data, present.Name)
	if err != nil {
		data.Problem = capital(err.Error())
		var layer *fleet.LayerError
		if errors.As(err, &layer) {
			data.Path, data.Problem = layer.Field, "The "+layer.Error()+"."
		}
		return p.showForm(c, http.StatusUnprocessableEntity, data, byFields && data.Path != "")
	}
	change.By, change.Within = author(c), within(c)
	stages, err := p.stagesOf(data)
	if err != nil {
		data.Problem, data.Path = capital(err.Error()), "stages"
		status := http.StatusUnprocessableEntity
		if act == actPlan {
			status = http.StatusOK
		}
		return p.showForm(c, status, data, byFields)
	}
	if act == actSet {
		begun, err := p.set(c, change, stages)
		if errors.Is(err, fleet.ErrStale) && layerIs(present, change) {
			err = nil // the form was sent twice
		}
		switch {
		case err != nil:
			return refuse(err)
		case begun > 0:
			return seeOther(c, fmt.Sprintf("%spage/releases/%d/?done=begin", rootOf(c), begun))
		}
		return seeOther(c, rootOf(c)+"page/layers/"+string(present.Name)+"/?done=set")
	}
	if data.Plan, err = p.plan(c.Request().Context(), change, stages); err != nil {
		return refuse(err)
	}
	if act == actPlan {
		return p.showForm(c, http.StatusOK, data, byFields)
	}
	kept := []hidden{{"stages", data.Stages}, {"name", data.NewName}, {"selector", data.Selector}, {"priority", data.Priority}, {"match", fmt.Sprint(data.Match)},
		{"config", data.Text}}
	if byFields {
		kept = append(kept, hidden{"as", asFields})
	}
	button := "Set the layer"
	if data.Staged {
		kept, button = append(kept, hidden{"release", inStages}), "Release in stages"
	}
	says := fmt.Sprintf("The layer %s is set.", present.Name)
	if data.Match == 0 {
		says = fmt.Sprintf("The layer %s is made.", present.Name)
	}
	if change.Selector.String() != "" {
		says += fmt.Sprintf(" It is for devices with %s, at priority %d.", change.Selector, change.Priority)
	}
	return p.confirm(c, http.StatusOK, confirmation{common: p.common(c, "Set "+string(present.Name), "layers"), Says: []string{says},
		Plan: data.Plan, Kept: kept, Button: button, Back: data.Back, Edit: true})
}

// changeOf returns the change of a form.
func (p *Page) changeOf(data layerForm, name fleet.LayerName) (change fleet.Change, err error) {
	change = fleet.Change{Layer: fleet.Layer{Name: name}, Match: &data.Match}
	if data.Labelled {
		if change.Selector, err = fleet.ParseSelector(data.Selector); err != nil {
			return change, &fleet.LayerError{Field: "selector", Text: "cannot be read: " + err.Error()}
		}
		if change.Priority, err = strconv.ParseInt(data.Priority, 10, 64); err != nil || change.Priority < -1<<31 {
			return change, &fleet.LayerError{Field: "priority", Text: fmt.Sprintf("must be a whole number, not %q", data.Priority)}
		}
	}
	change.Config, err = configOf(data.Text)
	return change, err
}

// layerIs reports whether a layer already has the content of a change.
func layerIs(layer fleet.Layer, change fleet.Change) bool {
	return layer.Revision > 0 && layer.Config.Equal(change.Config) && layer.Priority == change.Priority &&
		layer.Selector.String() == change.Selector.String()
}

// faster shows in a form what others have changed since the form was filled in. The form is then for the present
// revision.
func (p *Page) faster(c echo.Context, data *layerForm, present fleet.Layer) error {
	if present.Revision == data.Match {
		return nil // a named secret has changed, or the layer has changed meanwhile
	}
	switch {
	case present.Revision == 0:
		data.Problem = "Somebody has removed this layer meanwhile. What you typed is kept: to set it makes the layer again."
	case data.Match == 0 && data.Name == "":
		data.Problem = fmt.Sprintf("There is a layer %s already, of revision %d. What you typed is kept: to set it replaces that layer.",
			present.Name, present.Revision)
	default:
		data.Problem = fmt.Sprintf("Somebody else was faster: the layer has revision %d by now. What you typed is kept. Take over what you want to "+
			"keep of the changes below, then review again.", present.Revision)
		against := data.Match
		_, _, list, err := p.fleet.Diff(c.Request().Context(), present.Revision, &against)
		if err != nil {
			return err
		}
		data.Since, data.SinceBy = differences(list), present.By
	}
	data.Match = present.Revision
	return nil
}
