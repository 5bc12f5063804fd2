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
		return p.problem(c, root, fmt.Sprintf("%q is no UUID.", c.Param("uuid")))
	}
	device, target, err := p.source.Device(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return p.problem(c, root, fmt.Sprintf("No device %s is registered.", id))
	}
	if err != nil {
		return err
	}
	data := struct {
		common
		ID       uuid.UUID
		State    string
		Silent   bool
		Cloned   bool
		Why      string
		Labels   []string
		Config   configuration
		ChartURL string
		StatsURL string
		Facts    []fact
		Changes  []change
	}{
		common: p.common(id.String(), "", root), ID: id, State: device.State, Silent: device.Silent, Cloned: device.Cloned,
		Why: why(device), Labels: labels(device), Config: arrange(leaves(target, device.Config)), ChartURL: "chart/",
		StatsURL: root + "devices/" + id.String() + "/stats/", Facts: facts(device, target),
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
	desired := device.Desired.Revision
	runs := "It has not said which revision it runs."
	if device.Running != nil && device.Running.Revision != 0 {
		runs = fmt.Sprintf("It runs revision %d.", device.Running.Revision)
	}
	switch device.State {
	case serverapi.StateInSync:
		switch {
		case desired == 0:
			return "No target was ever set for it."
		case device.Running == nil:
			return fmt.Sprintf("What it reports matches its target, revision %d. %s", desired, runs)
		}
		return fmt.Sprintf("It runs its target, revision %d, and what it reports matches.", desired)
	case serverapi.StateRefused, serverapi.StateFailed:
		return attempted(device, runs)
	case serverapi.StateDrifted:
		return fmt.Sprintf("It has applied its target, revision %d, but what it reports differs by now.", desired)
	case serverapi.StateBehind:
		return fmt.Sprintf("It has not reported yet what became of its target, revision %d. %s", desired, runs)
	case serverapi.StateNew:
		return "It has registered, and has not polled yet."
	case serverapi.StatePending:
		return "An operator has to approve it before it gets a target."
	case serverapi.StateRevoked:
		return "An operator has turned it away."
	}
	return runs
}

// attempted says what became of the target that a device could not take.
func attempted(device serverapi.Device, runs string) string {
	attempt := device.Attempted
	if attempt == nil {
		return runs
	}
	verb := "could not apply"
	if device.State == serverapi.StateRefused {
		verb = "refused"
	}
	where, reason := "", ""
	if attempt.Path != "" {
		where = " at " + attempt.Path
	}
	if attempt.Reason != "" {
		reason = ": " + strings.TrimSuffix(attempt.Reason, ".")
	}
	return fmt.Sprintf("It %s revision %d%s%s. %s", verb, attempt.Revision, where, reason, runs)
}

func facts(device serverapi.Device, target serverapi.DeviceTarget) []fact {
	list := []fact{
		{Name: "Last seen", At: at(device.LastSeen)},
		{Name: "Registered", At: at(device.Registered)},
		{Name: "Address", Value: device.IPAddress},
		{Name: "Architecture", Value: device.Arch},
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
