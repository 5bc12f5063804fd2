package page

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// A labelsPage is the form for the labels of a device.
type labelsPage struct {
	common
	ID      string
	Typed   string   // one NAME=VALUE on each line
	Was     string   // the first content of Typed
	Said    []string // labels that the device says of itself
	Problem string
	Refused string
}

func (p *Page) labelsForm(c echo.Context, device fleet.View) labelsPage {
	given, said := fleet.Labels{}, fleet.Labels{}
	for name, value := range device.Labels {
		if strings.HasPrefix(name, fleet.SaidPrefix) {
			said[name] = value
		} else {
			given[name] = value
		}
	}
	data := labelsPage{common: p.common(c, "Labels", ""), ID: device.ID.String(), Typed: labelLines(given), Said: labelList(said)}
	data.Was = data.Typed
	if !mayFor(c, mayWrite, device.Labels) {
		data.Refused = notAllowed
	}
	return data
}

func labelList(labels fleet.Labels) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, name+"="+labels[name])
	}
	return list
}

func labelLines(labels fleet.Labels) string { return strings.Join(labelList(labels), "\n") }

// parseLabels parses the form of labelLines. A name alone has the value "".
func parseLabels(text string) (fleet.Labels, error) {
	labels := fleet.Labels{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if _, twice := labels[name]; twice {
			return nil, fmt.Errorf("line %d: the label %q stands here twice", i+1, name)
		}
		labels[name] = value
	}
	return labels, nil
}

// patchOf returns the merge patch that changes some labels to others.
func patchOf(before, after fleet.Labels) map[string]*string {
	patch := map[string]*string{}
	for name := range before {
		if _, stays := after[name]; !stays {
			patch[name] = nil
		}
	}
	for name, value := range after {
		if was, there := before[name]; !there || was != value {
			patch[name] = &value
		}
	}
	return patch
}

func (p *Page) askLabels(c echo.Context, device fleet.View) error {
	return render(c, http.StatusOK, "labels", p.labelsForm(c, device))
}

// setLabels changes the labels that the user has changed in the form. Others may have changed meanwhile, and stay.
func (p *Page) setLabels(c echo.Context, device fleet.View) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	data := p.labelsForm(c, device)
	data.Typed, data.Was = sent.text("labels"), sent.text("was")
	refuse := func(status int, problem string) error {
		data.Problem = problem
		return render(c, status, "labels", data)
	}
	before, err := parseLabels(data.Was)
	if err != nil {
		return echo.ErrBadRequest
	}
	after, err := parseLabels(data.Typed)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, err.Error())
	}
	patch := patchOf(before, after)
	if name, err := fleet.Labels(nil).Merge(patch).CheckGiven(); err != nil {
		problem, status, _ := refusalOf(c, &fleet.LabelError{Name: name, Err: err})
		return refuse(status, problem)
	}
	if len(patch) == 0 {
		return refuse(http.StatusUnprocessableEntity, "Nothing is changed yet.")
	}
	switch sent.word("act") {
	case actCheck:
		says, err := p.relabeling(device, patch)
		if err != nil {
			return err
		}
		return p.confirm(c, http.StatusOK, confirmation{common: p.common(c, "Change the labels", ""), Says: says, Button: "Set the labels",
			Kept: []hidden{{"labels", data.Typed}, {"was", data.Was}}, Back: "../", Edit: true})
	case actSet:
	default: // back to the form
		return render(c, http.StatusOK, "labels", data)
	}
	if _, err := p.fleet.SetLabels(c.Request().Context(), device.ID, patch, author(c), within(c)); err != nil {
		return explain(c, err, refuse)
	}
	return seeOther(c, "../?done=labels")
}

// relabeling describes the effects of a change of labels.
func (p *Page) relabeling(device fleet.View, patch map[string]*string) ([]string, error) {
	after := device.Labels.Merge(patch)
	says := []string{"Device " + device.ID.String() + "."}
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		was, there := device.Labels[name]
		switch value := patch[name]; {
		case value == nil && there:
			says = append(says, fmt.Sprintf("The label %s=%s is removed.", name, was))
		case value == nil:
		case there && was != *value:
			says = append(says, fmt.Sprintf("The label %s becomes %s; it was %s.", name, *value, was))
		case !there:
			says = append(says, fmt.Sprintf("The label %s=%s is added.", name, *value))
		}
	}
	layers, _, err := p.fleet.Targets()
	if err != nil {
		return nil, err
	}
	same := true
	for _, layer := range layers {
		was, is := layer.Selector.Matches(device.Labels), layer.Selector.Matches(after)
		if was == is {
			continue
		}
		same = false
		if is {
			says = append(says, fmt.Sprintf("The layer %s (%s) becomes part of its target.", layer.Name, layer.Selector))
		} else {
			says = append(says, fmt.Sprintf("The layer %s (%s) is no longer part of its target.", layer.Name, layer.Selector))
		}
	}
	if same {
		says = append(says, "The device has the same layers as before, so its target stays.")
	}
	return says, nil
}
