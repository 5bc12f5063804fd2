package fleetcmd

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// A value is a value of a device's target, with the value that the device reports.
type value struct {
	Path     string `json:"path"`
	Target   any    `json:"target"` // null means unset
	Reported any    `json:"reported,omitempty"`
	// Agrees is false if the report contradicts the target.
	Agrees   bool   `json:"agrees"`
	Layer    string `json:"layer"`
	Revision int64  `json:"revision"` // of the layer; from why: that set the value
	SetBy    string `json:"set-by,omitempty"`
	SetAt    int64  `json:"set-at,omitempty"`
}

// values compares a device's target with its report.
func values(device serverapi.Device, target serverapi.DeviceTarget) []value {
	reported := leaves(device.Config)
	var list []value
	for path, wanted := range leaves(target.Config) {
		origin := target.Explain[path]
		list = append(list, value{Path: path, Target: wanted, Reported: reported[path], Layer: origin.Layer, Revision: origin.Revision,
			Agrees: !slices.ContainsFunc(device.Differs, func(differs string) bool { return within(path, differs) || within(differs, path) })})
	}
	slices.SortFunc(list, func(a, b value) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// within reports whether a path is above or lies below it.
func within(path, above string) bool {
	rest, is := strings.CutPrefix(path, above)
	return is && (rest == "" || above == "" || rest[0] == '.')
}

// leaves returns the values of a configuration by path. Lists, empty objects and markers of secrets count as values,
// since the server explains them, too.
func leaves(config serverapi.Config) map[string]any {
	return jsonvalue.Leaves(config, func(object any) bool { return jsonvalue.Empty(object) || layers.IsSecret(object) })
}

// literal returns a value in one line.
func literal(value any) string {
	if object, is := value.(map[string]any); is && layers.IsSecret(object) {
		if name, _ := object["$secret"].(string); len(object) == 1 && name != "set" {
			return "(secret " + name + ")"
		}
		return "(secret)"
	}
	text, err := jsonvalue.Encode(value)
	if err != nil {
		return "?"
	}
	return string(text)
}

// wanted returns the target's value in one line.
func (v value) wanted() string {
	if v.Target == nil {
		return "unset"
	}
	return literal(v.Target)
}

// says returns the reported value.
func (v value) says() word {
	w := word{"-", faint}
	if v.Reported != nil {
		w = word{literal(v.Reported), good}
	}
	if !v.Agrees {
		w.tone = bad
	}
	return w
}

// A deviceShape is the output of device.
type deviceShape struct {
	Device  serverapi.Device         `json:"device"`
	Target  serverapi.DeviceTarget   `json:"target"`
	Values  []value                  `json:"values"`
	History []serverapi.HistoryEntry `json:"history"` // of the device's own layer, labels and name, newest first
}

// shownHistory is the number of entries that device shows.
const shownHistory = 5

func device(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "device", Usage: "show a device: what it should run beside what it reports", ArgsUsage: "ID",
		Description: "Shows a device: its state and the reason, its labels, each value of its target beside the reported " +
			"one, and the last changes of its labels, its name and its own layer.",
		UsageText: "aspects-poc fleet device 3f2a",
	}, 1, 1, func(s *session, args []string) error {
		id, err := s.device(args[0])
		if err != nil {
			return err
		}
		shape := deviceShape{Values: []value{}, History: []serverapi.HistoryEntry{}}
		if shape.Device, err = s.client.Device(s, id); err != nil {
			return err
		}
		if shape.Target, err = s.client.Target(s, id); err != nil {
			return err
		}
		shape.Values = append(shape.Values, values(shape.Device, shape.Target)...)
		for entry, err := range first(s.client.History(s, "devices/"+id.String(), shownHistory), shownHistory) {
			if err != nil {
				return err
			}
			shape.History = append(shape.History, entry)
		}
		return s.out.printOne(shape, id.String(), func() error { return s.printDevice(shape) })
	})
}

func (s *session) printDevice(shape deviceShape) error {
	d, out := shape.Device, s.out
	if d.Name != "" {
		out.line("%s", d.Name)
		out.fact("ID", word{text: d.UUID.String()})
	} else {
		out.line("%s", d.UUID)
	}
	out.fact("State", stateOf(d))
	if d.State != serverapi.StateInSync && d.Attempted != nil && d.Attempted.Reason != "" {
		out.fact("Reason", word{text: reason(d.Attempted), tone: bad})
	}
	target := "revision " + revision(d.Desired.Revision)
	if set := by(d.Desired.SetBy, d.Desired.SetAt); set != "" {
		target += ", set by " + set
	}
	out.fact("Target", word{text: target})
	if text := signedBy(d.Desired); text.text != "" {
		out.fact("Signed", text)
	}
	out.fact("Runs", word{text: "revision " + runs(d)})
	s.printStanding(d.Release)
	var layers []string
	for _, layer := range shape.Target.Layers {
		layers = append(layers, layerOf(layer, d.Name))
	}
	out.fact("Layers", word{text: strings.Join(layers, ", ")})
	out.fact("Labels", word{text: labelsOf(d.Labels)})
	out.fact("Address", word{text: d.IPAddress}, word{text: d.Arch})
	out.fact("Seen", word{text: since(d.LastSeen)})
	out.fact("Registered", word{text: since(d.Registered)})
	if len(shape.Values) > 0 {
		out.line("")
		if err := printTable(out, "values", valueColumns(d.Name, false), all(shape.Values)); err != nil {
			return err
		}
	}
	if len(shape.History) > 0 {
		out.line("")
		return printTable(out, "changes", historyColumns(), all(shape.History))
	}
	return nil
}

// signedBy returns who has signed a device's target; "" for a fleet without signatures.
func signedBy(desired serverapi.Desired) word {
	switch {
	case desired.Signed != nil:
		return word{text: fmt.Sprintf("statement %d, by %s", desired.Signed.Number, by(desired.Signed.By, desired.Signed.At))}
	case desired.Unsigned:
		return word{"no: the server does not offer it; " + roles.Program + " fleet sign signs it", warn}
	}
	return word{}
}

// by returns who changed something, and how long ago.
func by(author string, at int64) string {
	switch {
	case at == 0:
		return author
	case author == "":
		author = "nobody known"
	}
	return author + ", " + age(at) + " ago"
}

// valueColumns returns the columns for the values of a device. device is its name; "" omits it.
func valueColumns(device string, history bool) []column[value] {
	columns := []column[value]{
		{head: "Path", cell: func(v value) word { return word{text: v.Path} }},
		{head: "Target", cell: func(v value) word { return word{text: v.wanted()} }},
		{head: "Reported", cell: value.says},
		{head: "Layer", cell: func(v value) word { return word{text: layerOf(v.Layer, device)} }},
		{head: "Revision", cell: func(v value) word { return word{text: revision(v.Revision)} }},
	}
	if history {
		columns = append(columns, column[value]{head: "Set by", cell: func(v value) word { return word{text: by(v.SetBy, v.SetAt)} }})
	}
	return columns
}

// all returns the elements of a slice as a sequence without errors.
func all[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, element := range list {
			if !yield(element, nil) {
				return
			}
		}
	}
}

func why(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "why", Usage: "say which layer set a device's values, since when, and what the device says",
		ArgsUsage: "ID [PATH]",
		Description: "Shows for each value of a device's target, or for those at a PATH and below it, the layer that set it, " +
			"the revision that did, its author, and what the device reports. With -o name it prints the layers.",
		UsageText: "aspects-poc fleet why 3f2a control-telemetry.sample-rate",
	}, 1, 2, func(s *session, args []string) error {
		id, err := s.device(args[0])
		if err != nil {
			return err
		}
		known, err := s.client.Device(s, id)
		if err != nil {
			return err
		}
		target, err := s.client.Target(s, id)
		if err != nil {
			return err
		}
		list := values(known, target)
		if len(args) > 1 {
			if list = slices.DeleteFunc(list, func(v value) bool { return !within(v.Path, args[1]) }); len(list) == 0 {
				return s.noValue(id, args[1], known)
			}
		}
		if err := s.attribute(list); err != nil {
			return err
		}
		if err := printList(s.out, "values", valueColumns(known.Name, true), func(v value) string { return v.Layer }, all(list)); err != nil {
			return err
		}
		if s.out.isTable() {
			if text := signedBy(known.Desired); text.text != "" {
				s.out.fact("Signed", text)
			}
			s.printStanding(known.Release)
		}
		if text := reason(known.Attempted); s.out.isTable() && text != "" && known.State != serverapi.StateInSync {
			s.out.fact("The device", word{text: "says of revision " + revision(known.Attempted.Revision) + ":"}, word{text, bad})
		}
		return s.out.w.Flush()
	})
}

// noValue returns the error for a value that no layer sets. The error has the value that the device reports, if there
// is one.
func (s *session) noValue(id uuid.UUID, path string, known serverapi.Device) error {
	list := leaves(known.Config)
	for _, reported := range slices.Sorted(maps.Keys(list)) {
		if within(reported, path) {
			return fmt.Errorf("no layer of device %s sets %s; the device reports %s = %s by itself", called(id, known.Name), path, reported,
				literal(list[reported]))
		}
	}
	return fmt.Errorf("no layer of device %s sets %s, and the device does not report it; %s fleet why %[1]s lists what is set", called(id, known.Name),
		path, roles.Program)
}

// mostSearched is the number of a layer's changes among which attribute searches for the one that set a value.
const mostSearched = 100

// attribute finds the revision that set each value: the last change of it in its layer that the device has. An active
// release may have changed the layer later and withhold that change from the device.
func (s *session) attribute(list []value) error {
	layers := map[string][]*value{}
	for i := range list {
		layers[list[i].Layer] = append(layers[list[i].Layer], &list[i])
	}
	for _, layer := range slices.Sorted(maps.Keys(layers)) {
		open := layers[layer]
		present := open[0].Revision // of the layer as a whole
		for entry, err := range first(s.client.History(s, layer, mostSearched), mostSearched) {
			if err != nil {
				return err
			}
			if entry.Action == "labels" || entry.Action == "name" || entry.Revision > present {
				continue
			}
			diff, err := s.client.Diff(s, entry.Revision, nil)
			if err != nil {
				return err
			}
			open = slices.DeleteFunc(open, func(v *value) bool {
				if !slices.ContainsFunc(diff.Changes, func(c serverapi.Change) bool { return within(v.Path, c.Path) || within(c.Path, v.Path) }) {
					return false
				}
				v.Revision, v.SetBy, v.SetAt = entry.Revision, entry.Author, entry.At
				return true
			})
			if len(open) == 0 {
				break
			}
		}
	}
	return nil
}
