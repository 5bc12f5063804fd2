package page

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/roster"
	"aspects-poc/roles/server/wire"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// mostChanges is the number of changes of each layer that a device's page shows.
const mostChanges = 10

// A fact is a line about a device: a value or a time.
type fact struct {
	Name, Value string
	At          time.Time
}

func (p *Page) device(c echo.Context, device fleet.View) error {
	ctx := c.Request().Context()
	id, root := device.ID, rootOf(c)
	values, err := leaves(device.Target, device.Config)
	tooMuch := errors.Is(err, errTooMuch)
	if err != nil && !tooMuch {
		return err
	}
	whole := root + "devices/" + id.String() + "/"
	data := struct {
		common
		ID       uuid.UUID
		Name     string
		State    string
		Silent   bool
		Cloned   bool
		Why      string
		Labels   []string
		Config   configuration
		TooMuch  bool
		JSON     string // address of the whole device as JSON
		ChartURL string
		StatsURL string
		Facts    []fact
		Changes  []change
		Offers   []offer
	}{
		common: p.common(c, cmp.Or(device.Name, id.String()), ""), ID: id, Name: device.Name, State: device.State.String(), Silent: device.Silent, Cloned: device.Cloned,
		Why: why(device), Labels: roster.Labels(device.Labels), Config: arrange(values, whole), TooMuch: tooMuch, JSON: whole,
		ChartURL: "chart/", StatsURL: whole + "stats/", Facts: facts(device),
		Offers: offers(c, device),
	}
	for _, layer := range layersOf(device) {
		entries, err := p.fleet.Entries(ctx, layer, 0, mostChanges)
		if err != nil {
			return err
		}
		changes, err := p.changesOf(ctx, entries)
		if err != nil {
			return err
		}
		data.Changes = append(data.Changes, changes...)
	}
	newestFirst(data.Changes)
	return render(c, 200, "device", data)
}

// layersOf returns the layers of a device's target, and its own layer, because the history has the changes of its
// labels under that name.
func layersOf(device fleet.View) (list []fleet.LayerName) {
	own := fleet.DeviceLayer(device.ID)
	for _, layer := range device.Target.Layers {
		if layer.Name != own {
			list = append(list, layer.Name)
		}
	}
	return append(list, own)
}

// missing explains why a path names no device, for an error of Find or Device. It returns "" for other errors.
func missing(id uuid.UUID, err error) string {
	var word *fleet.UnknownWordError
	var several *fleet.AmbiguousError
	var wrong *fleet.NameError
	switch {
	case errors.As(err, &word):
		return capital(word.Error())
	case errors.As(err, &several):
		return capital(several.Error())
	case errors.As(err, &wrong):
		return "The address " + wrong.Error() + "."
	case errors.Is(err, fleet.ErrUnknownDevice):
		return fmt.Sprintf("No device %s is registered.", id)
	}
	return ""
}

// why explains the device's state in a sentence.
func why(device fleet.View) string {
	desired := device.Target.Revision
	runs := "It has not said which revision it runs."
	if device.Running.Revision != 0 {
		runs = fmt.Sprintf("It runs revision %d.", device.Running.Revision)
	}
	if device.WaitsFor > 0 {
		runs += fmt.Sprintf(" Release %d brings it another target in stage %d.", device.Release.ID, device.WaitsFor)
	} else if device.Release != nil && device.Stage == 0 {
		runs += fmt.Sprintf(" Release %d is to bring it another target.", device.Release.ID)
	}
	switch device.State {
	case fleet.StateInSync:
		switch {
		case desired == 0:
			return "No target was ever set for it."
		case device.Mute():
			return fmt.Sprintf("What it reports matches its target, revision %d. %s", desired, runs)
		}
		if device.Running.Revision < desired {
			return fmt.Sprintf("It runs its target, and what it reports matches. Since revision %d operators have only signed, which its next "+
				"poll tells it. %s", device.Target.Since, runs)
		}
		said := fmt.Sprintf("It runs its target, revision %d, and what it reports matches.", desired)
		if device.Release != nil && device.Stage == 0 {
			said += strings.TrimPrefix(runs, fmt.Sprintf("It runs revision %d.", device.Running.Revision))
		}
		return said
	case fleet.StateRefused, fleet.StateFailed:
		return attempted(device, runs)
	case fleet.StateDrifted:
		return fmt.Sprintf("It has applied its target, revision %d, but what it reports differs by now.", desired)
	case fleet.StateBehind:
		if device.Target.Signing.Needed && device.Target.Signing.Evidence == nil {
			return fmt.Sprintf("No operator has signed its target, revision %d, so the server does not offer it. %s", desired, runs)
		}
		return fmt.Sprintf("It has not reported yet what became of its target, revision %d. %s", desired, runs)
	case fleet.StateNew:
		return "It has registered, and has not polled yet."
	case fleet.StatePending:
		return "An operator has to approve it before it gets a target."
	case fleet.StateRevoked:
		return "An operator has turned it away."
	}
	return runs
}

// attempted explains why the device could not apply its target.
func attempted(device fleet.View, runs string) string {
	attempt := device.Attempted
	if attempt.Outcome == fleet.None {
		return runs
	}
	verb := "could not apply"
	if device.State == fleet.StateRefused {
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

func facts(device fleet.View) []fact {
	var layers []string
	for _, layer := range device.Target.Layers {
		layers = append(layers, string(layer.Name))
	}
	list := []fact{
		{Name: "Last seen", At: device.LastSeen},
		{Name: "Registered", At: device.Registered},
		{Name: "Address", Value: device.IPAddress},
		{Name: "Architecture", Value: device.Arch},
		{Name: "Layers of its target", Value: strings.Join(layers, ", ")},
		{Name: "Set by", Value: device.Target.Latest.By},
		{Name: "Set", At: device.Target.Latest.At},
		{Name: "Hash", Value: device.Target.Hash},
	}
	if signing := device.Target.Signing; signing.Evidence != nil {
		list = append(list, fact{Name: "Signed by", Value: fmt.Sprintf("%s, statement %d", signing.Signer, signing.Number)},
			fact{Name: "Signed", At: at(signing.At)})
	} else if signing.Needed {
		list = append(list, fact{Name: "Signed by", Value: fmt.Sprintf("nobody: statement %d has another target, or does not know the device", signing.Number)})
	}
	if attempt := device.Attempted; attempt.Outcome != fleet.None {
		list = append(list, fact{Name: "Last attempt", Value: fmt.Sprintf("revision %d, %s", attempt.Revision, wire.Outcome(attempt.Outcome))},
			fact{Name: "Attempted", At: at(attempt.At)})
	}
	list = append(list, fact{Name: "Key", Value: device.KeyID})
	return slices.DeleteFunc(list, func(f fact) bool { return f.Value == "" && f.At.IsZero() && f.Name != "Last seen" })
}
