package page

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// mostChanges is how many changes of each layer a device's page shows.
const mostChanges = 10

// A fact is a line about a device.
type fact struct {
	Name, Value string
	At          time.Time // in the place of Value
}

func (p *Page) device(c echo.Context) error {
	const root = "../../../"
	ctx := c.Request().Context()
	id, err := uuid.Parse(c.Param("uuid"))
	if err != nil {
		return problem(c, root, fmt.Sprintf("%q is no UUID.", c.Param("uuid")))
	}
	device, target, err := p.source.Device(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return problem(c, root, fmt.Sprintf("No device %s is registered.", id))
	}
	if err != nil {
		return err
	}
	data := struct {
		common
		ID       uuid.UUID
		State    string
		Silent   bool
		Why      string
		Leaves   []leaf
		ChartURL string
		Facts    []fact
		Changes  []change
	}{
		common: common{Title: id.String(), Root: root}, ID: id, State: device.State, Silent: device.Silent,
		Why: why(device), Leaves: leaves(target, device.Config), ChartURL: "chart/", Facts: facts(device, target),
	}
	for _, layer := range target.Layers {
		history, err := p.source.History(ctx, layer, 0, mostChanges)
		if err != nil {
			return err
		}
		data.Changes = append(data.Changes, changesOf(history)...)
	}
	newestFirst(data.Changes)
	return render(c, 200, "device", data)
}

// why says in a sentence what a state means for this device.
func why(device serverapi.Device) string {
	desired, running := device.Desired.Revision, int64(0)
	if device.Running != nil {
		running = device.Running.Revision
	}
	runs := "It has not reported that it runs a target of the server."
	if running != 0 {
		runs = fmt.Sprintf("It runs revision %d.", running)
	}
	switch device.State {
	case serverapi.StateInSync:
		if desired == 0 {
			return "No target was ever set for it."
		}
		if device.Running == nil {
			return fmt.Sprintf("It shows all that revision %d asks for. It does not say what it runs.", desired)
		}
		return fmt.Sprintf("It runs what it shall run: revision %d.", desired)
	case serverapi.StateRefused, serverapi.StateFailed:
		attempt := device.Attempted
		if attempt == nil {
			return runs
		}
		where := ""
		if attempt.Path != "" {
			where = " at " + attempt.Path
		}
		verb := "could not apply"
		if device.State == serverapi.StateRefused {
			verb = "refused"
		}
		return fmt.Sprintf("It %s revision %d%s: %s. %s", verb, attempt.Revision, where, strings.TrimSuffix(attempt.Reason, "."), runs)
	case serverapi.StateDrifted:
		return fmt.Sprintf("It has applied revision %d, but shows other values since.", desired)
	case serverapi.StateBehind:
		return fmt.Sprintf("It has not told yet what became of revision %d. %s", desired, runs)
	case serverapi.StateNew:
		return "It has registered, and not polled yet."
	case serverapi.StatePending:
		return "An operator has to approve it before it gets a target."
	case serverapi.StateRevoked:
		return "An operator has turned it away."
	}
	return runs
}

func facts(device serverapi.Device, target serverapi.DeviceTarget) []fact {
	list := []fact{
		{Name: "Last seen", At: at(device.LastSeen)},
		{Name: "Registered", At: at(device.Registered)},
		{Name: "Address", Value: device.IPAddress},
		{Name: "Architecture", Value: device.Arch},
		{Name: "Labels", Value: strings.Join(labels(device), ", ")},
		{Name: "Layers of its target", Value: strings.Join(target.Layers, ", ")},
		{Name: "Set by", Value: device.Desired.SetBy},
		{Name: "Set", At: at(device.Desired.SetAt)},
		{Name: "Hash", Value: device.Desired.Hash},
	}
	if attempt := device.Attempted; attempt != nil {
		list = append(list, fact{Name: "Last attempt", Value: fmt.Sprintf("revision %d, %s", attempt.Revision, attempt.Outcome)},
			fact{Name: "Attempted", At: at(attempt.At)})
	}
	list = append(list, fact{Name: "Key", Value: device.KeyID})
	var known []fact
	for _, f := range list {
		if f.Value != "" || !f.At.IsZero() || f.Name == "Last seen" {
			known = append(known, f)
		}
	}
	return known
}
