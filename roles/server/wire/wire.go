// Package wire converts the types of package fleet to those of package serverapi, and does nothing else. The API
// answers with the results. The page uses them for outcomes and statistics.
package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/google/uuid"
)

// Config returns a configuration whose numbers are json.Number.
func Config(config fleet.Config) (serverapi.Config, error) { return config.Tree() }

// Device returns a device in the form of lists: without Config and Differs.
func Device(view fleet.View) serverapi.Device {
	device := serverapi.Device{
		UUID:       view.ID,
		Registered: fleet.Seconds(view.Registered),
		IPAddress:  view.IPAddress,
		Arch:       view.Arch,
		KeyID:      view.KeyID,
		Name:       view.Name,
		Labels:     view.Labels,
		Status:     view.Status.String(),
		State:      view.State.String(),
		Silent:     view.Silent,
		Cloned:     view.Cloned,
		LastSeen:   fleet.Seconds(view.LastSeen),
		Sequence:   view.Sequence,
		Desired: serverapi.Desired{
			Revision: view.Target.Revision, Hash: view.Target.Hash,
			SetBy: view.Target.Latest.By, SetAt: fleet.Seconds(view.Target.Latest.At),
		},
	}
	if signing := view.Target.Signing; signing.Evidence != nil {
		device.Desired.Signed = &serverapi.SignedTarget{Number: signing.Number, By: signing.Signer, At: signing.At}
	} else {
		device.Desired.Unsigned = signing.Needed
	}
	if device.Labels == nil {
		device.Labels = map[string]string{}
	}
	if view.Running != (fleet.Running{}) {
		device.Running = &serverapi.Running{Revision: view.Running.Revision, Hash: view.Running.Hash}
	}
	if tried := view.Attempted; tried.Outcome != fleet.None {
		device.Attempted = &serverapi.Attempted{Revision: tried.Revision, Outcome: Outcome(tried.Outcome), Path: tried.Path,
			Reason: tried.Reason, At: tried.At}
	}
	if view.Release != nil {
		device.Release = &serverapi.DeviceRelease{ID: view.Release.ID, Stage: view.Stage, WaitsFor: view.WaitsFor,
			Stages: len(view.Release.Plan.Stages)}
	}
	return device
}

// WholeDevice returns a device with its reported configuration and the paths that contradict its target.
func WholeDevice(view fleet.View) (serverapi.Device, error) {
	device := Device(view)
	var err error
	if device.Config, err = Config(view.Report.Config); err != nil {
		return serverapi.Device{}, err
	}
	device.Differs, err = view.Differs()
	return device, err
}

// Outcome returns the word for an outcome; "" for none.
func Outcome(outcome fleet.Outcome) string {
	switch outcome {
	case fleet.Applied:
		return serverapi.Applied
	case fleet.Refused:
		return serverapi.Refused
	case fleet.Failed:
		return serverapi.Failed
	}
	return ""
}

// ParseOutcome is the inverse of Outcome.
func ParseOutcome(word string) (fleet.Outcome, error) {
	for _, outcome := range []fleet.Outcome{fleet.Applied, fleet.Refused, fleet.Failed} {
		if word == Outcome(outcome) {
			return outcome, nil
		}
	}
	return fleet.None, fmt.Errorf("must be %s, %s or %s, not %q", serverapi.Applied, serverapi.Refused, serverapi.Failed, word)
}

// DeviceTarget returns a device's target. With explain it has the origin of each value.
func DeviceTarget(target fleet.Target, explain bool) (serverapi.DeviceTarget, error) {
	config, err := Config(target.Config)
	if err != nil {
		return serverapi.DeviceTarget{}, err
	}
	shape := serverapi.DeviceTarget{Config: config, Revision: target.Revision, Hash: target.Hash, Layers: []string{}}
	for _, layer := range target.Layers {
		shape.Layers = append(shape.Layers, string(layer.Name))
	}
	if !explain {
		return shape, nil
	}
	origins, err := target.Explain()
	shape.Explain = map[string]serverapi.Origin{}
	for path, origin := range origins {
		shape.Explain[path] = serverapi.Origin{Layer: string(origin.Layer), Revision: origin.Revision}
	}
	return shape, err
}

// Signature returns a statement, without its manifest.
func Signature(book *signed.Book, stored fleet.Signature) serverapi.Signature {
	s := book.Statement
	return serverapi.Signature{Number: s.Number, Fleet: s.Fleet, By: book.Signer.Name, At: s.At, Devices: s.Devices,
		Revision: stored.Revision, SetBy: stored.By, SetAt: fleet.Seconds(stored.At), Signed: book.Signed}
}

// Layer returns a layer.
func Layer(layer fleet.Layer) (serverapi.Layer, error) {
	config, err := Config(layer.Config)
	if err != nil {
		return serverapi.Layer{}, err
	}
	hash, err := serverapi.HashJSON([]byte(layer.Config.String()))
	return serverapi.Layer{
		Layer: string(layer.Name), Selector: layer.Selector.String(), Priority: layer.Priority, Config: config,
		Revision: layer.Revision, Hash: hash, SetBy: layer.By, SetAt: fleet.Seconds(layer.At),
	}, err
}

// mostLayers is the number of layers that the answer about a secret has.
const mostLayers = 100

// Secret returns a named secret as in a list.
func Secret(secret fleet.ShownSecret) serverapi.Secret {
	shape := serverapi.Secret{Name: secret.Name, Digest: secret.Digest, Revision: secret.Revision, SetBy: secret.By,
		SetAt: fleet.Seconds(secret.At), Layers: []string{}, MoreLayers: max(0, len(secret.Layers)-mostLayers)}
	for _, layer := range secret.Layers[:len(secret.Layers)-shape.MoreLayers] {
		shape.Layers = append(shape.Layers, string(layer))
	}
	return shape
}

// SecretSet returns a named secret after a change, and the number of devices whose targets have changed.
func SecretSet(secret fleet.ShownSecret, devices int) serverapi.SecretSet {
	return serverapi.SecretSet{Name: secret.Name, Digest: secret.Digest, Revision: secret.Revision, SetBy: secret.By,
		SetAt: fleet.Seconds(secret.At), Devices: devices}
}

// Entry returns an entry of the history.
func Entry(entry fleet.Entry) (serverapi.HistoryEntry, error) {
	shape := serverapi.HistoryEntry{
		Revision: entry.Revision, At: fleet.Seconds(entry.At), Author: entry.By, Layer: string(entry.Layer),
		Action: action(entry.Action), Restores: entry.Restores, Selector: entry.Selector.String(), Priority: entry.Priority,
		Labels: entry.Labels, Name: entry.Name, Step: entry.Step,
	}
	if entry.Action == fleet.Relabeled && shape.Labels == nil {
		shape.Labels = map[string]string{}
	}
	for _, config := range []struct {
		from *fleet.Config
		to   *serverapi.Config
	}{{entry.Before, &shape.Before}, {entry.After, &shape.After}} {
		if config.from == nil {
			continue
		}
		var err error
		if *config.to, err = Config(*config.from); err != nil {
			return serverapi.HistoryEntry{}, err
		}
	}
	return shape, nil
}

// HistoryPage returns a page of the history. limit is the largest number of entries that the caller asked for.
func HistoryPage(entries []fleet.Entry, limit int) (serverapi.HistoryPage, error) {
	page := serverapi.HistoryPage{History: []serverapi.HistoryEntry{}}
	for _, entry := range entries {
		shape, err := Entry(entry)
		if err != nil {
			return serverapi.HistoryPage{}, err
		}
		page.History = append(page.History, shape)
	}
	if len(entries) == limit && entries[limit-1].Revision > 1 {
		page.Next = entries[limit-1].Revision
	}
	return page, nil
}

func action(action fleet.Action) string {
	switch action {
	case fleet.Set:
		return "set"
	case fleet.Removed:
		return "removed"
	case fleet.Renamed:
		return "name"
	case fleet.Moved:
		return "release"
	}
	return "labels"
}

// Changes returns differences as changes. The result is never nil.
func Changes(differences []fleet.Difference) []serverapi.Change {
	changes := []serverapi.Change{}
	for _, difference := range differences {
		changes = append(changes, serverapi.Change{Path: difference.Path, Kind: difference.Kind, Before: difference.Before,
			After: difference.After})
	}
	return changes
}

// Plan returns a plan.
func Plan(plan fleet.Plan) serverapi.Plan {
	shape := serverapi.Plan{Revision: plan.Revision, Devices: plan.Devices, Refusing: plan.Refusing, Next: plan.Next, Layers: []serverapi.LayerPlan{},
		Groups: []serverapi.PlanGroup{}}
	for _, layer := range plan.Layers {
		line := serverapi.LayerPlan{Layer: string(layer.Before.Name), Device: layer.Device, Action: "unchanged", Revision: layer.Before.Revision,
			Changes: Changes(layer.Changes)}
		switch {
		case !layer.Changed:
		case layer.Before.Revision == 0:
			line.Action = "created"
		case layer.After.Revision == 0:
			line.Action = "removed"
		default:
			line.Action = "changed"
		}
		if layer.Before.Revision > 0 {
			line.Before = placeOf(layer.Before)
		}
		if layer.After.Revision > 0 {
			line.After = placeOf(layer.After)
		}
		shape.Layers = append(shape.Layers, line)
	}
	for _, group := range plan.Groups {
		line := serverapi.PlanGroup{Devices: group.Devices, Changes: Changes(group.Changes), Writes: Changes(group.Writes), Mute: group.Mute,
			UUIDs: make([]uuid.UUID, len(group.Members)), Names: map[uuid.UUID]string{}}
		for i, member := range group.Members {
			if line.UUIDs[i] = member.ID; member.Name != "" {
				line.Names[member.ID] = member.Name
			}
		}
		if group.Refusal != nil {
			line.Refusal = &serverapi.Refusal{Path: group.Refusal.Path, Reason: group.Refusal.Text, Known: group.Known}
		}
		shape.Groups = append(shape.Groups, line)
	}
	if plan.Conflict != nil {
		shape.Conflict = plan.Conflict.Text
	}
	return shape
}

func placeOf(layer fleet.Layer) *serverapi.LayerPlace {
	if !layer.Name.IsLabels() {
		return nil
	}
	return &serverapi.LayerPlace{Selector: layer.Selector.String(), Priority: layer.Priority}
}

// Summary returns the counts of devices.
func Summary(summary fleet.Summary) serverapi.Summary {
	shape := serverapi.Summary{Devices: summary.Devices, States: map[string]int{}, Silent: summary.Silent, Cloned: summary.Cloned,
		Waiting: summary.Waiting, Revision: summary.Revision, Age: int64(summary.Age / time.Second)}
	for state, count := range summary.States {
		shape.States[state.String()] = count
	}
	return shape
}

// Stats returns a device's statistics, with times by the server's clock.
func Stats(points []fleet.Stats, step time.Duration) (serverapi.DeviceStats, error) {
	shape := serverapi.DeviceStats{Step: int64(step / time.Second), Points: []serverapi.Stats{}}
	for _, point := range points {
		var stats serverapi.Stats
		if err := json.Unmarshal([]byte(point.Text), &stats); err != nil {
			return serverapi.DeviceStats{}, fmt.Errorf("statistics of %s are damaged: %w", point.At, err)
		}
		stats.At = point.At.Unix()
		shape.Points = append(shape.Points, stats)
	}
	return shape, nil
}

// Events returns the events of a notice. Kind "lost" means that anything may have changed.
func Events(notice fleet.Notice) []serverapi.Event {
	switch notice.Kind {
	case fleet.TargetChanged:
		if id := notice.Layer.Release(); id > 0 {
			return []serverapi.Event{{Kind: "release", Revision: notice.Revision, Release: id}}
		}
		return []serverapi.Event{{Kind: "target", Revision: notice.Revision, Layer: string(notice.Layer)}}
	case fleet.DevicesChanged, fleet.DevicesReported:
		events := make([]serverapi.Event, len(notice.Devices))
		for i, id := range notice.Devices {
			events[i] = serverapi.Event{Kind: "device", UUID: id.String()}
		}
		return events
	}
	return []serverapi.Event{{Kind: "lost"}}
}
