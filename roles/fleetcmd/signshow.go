package fleetcmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"
)

// mostShown is how many devices of a group are printed. It does not apply to a group that gets a new secret.
const mostShown = 20

// show prints the differences from the last statement: in the layers, and for devices in groups with the same
// differences.
func (w *signing) show(manifest *signed.Manifest) error {
	before := w.present
	if before == nil {
		before = &signed.Manifest{}
	}
	changed := w.showLayers(before, manifest)
	groups, gone, err := w.compare(before, manifest)
	if err != nil {
		return err
	}
	changed = changed || len(groups)+len(gone) > 0
	targets := 0
	for _, group := range groups {
		w.showGroup(group)
		if group.target {
			targets += len(group.devices)
		}
	}
	for i, device := range gone {
		if i == mostShown && !w.c.Bool("full") {
			w.out.line("… and %d more that are gone; --full names them", len(gone)-mostShown)
			break
		}
		w.out.printIndented("", fmt.Sprintf("- device %s, key %s", short(device.UUID), device.Key), bad)
	}
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		changed = true
		w.out.line("~ secret %s: the value that you give", name)
	}
	if w.last.Number == 0 || !w.next.Equal(w.keys) {
		changed = true
		w.out.line("~ keys that may sign from now on:")
		for _, key := range w.next {
			w.out.line("    %s %s", key.Name, key.Fingerprint())
		}
	}
	if !changed {
		w.out.line("nothing has changed since statement %d", w.base)
	}
	if w.present != nil && len(w.secrets) == 0 {
		if err := w.showMissed(before, manifest); err != nil {
			return err
		}
	}
	w.out.line("statement %d has the targets of %s; %d of them are new", w.number(), devicesOf(len(manifest.Devices)), targets)
	return nil
}

// showMissed prints the devices to which the server does not offer what is already signed.
func (w *signing) showMissed(before, manifest *signed.Manifest) error {
	old := map[string]signed.Device{}
	for _, device := range before.Devices {
		old[device.Key] = device
	}
	texts, err := notOffered(manifest, func(device signed.Device) bool {
		return w.missed[device.Key] && slices.Equal(old[device.Key].Targets, device.Targets)
	})
	for _, text := range texts {
		w.out.printIndented("", "! "+text, warn)
	}
	return err
}

// A signGroup has devices with the same differences from the last statement.
type signGroup struct {
	head    string // the devices' kind, and the differences outside of the target
	devices []signed.Device
	target  bool // the targets differ
	changes []serverapi.Change
	same    bool // the values of the targets are equal
	gains   []string
}

// compare returns groups of the devices that differ between two manifests, and the devices that after no longer has.
func (w *signing) compare(before, after *signed.Manifest) (groups []*signGroup, gone []signed.Device, err error) {
	resultBefore, err := before.Results()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot compare with what was signed before: %w", err)
	}
	resultAfter, err := after.Results()
	if err != nil {
		return nil, nil, err
	}
	old := map[string]signed.Device{}
	for _, device := range before.Devices {
		old[device.Key] = device
	}
	known := map[string]*signGroup{}
	type pair struct{ before, after *signed.Result }
	differs := map[pair][]serverapi.Change{}
	for _, device := range after.Devices {
		was, there := old[device.Key]
		delete(old, device.Key)
		if there && was.UUID == device.UUID && maps.Equal(was.Labels, device.Labels) && slices.Equal(was.Targets, device.Targets) {
			continue
		}
		now, err := resultAfter(device)
		if err != nil {
			return nil, nil, err
		}
		then := &signed.Result{}
		if there {
			if then, err = resultBefore(was); err != nil {
				return nil, nil, err
			}
		}
		group := &signGroup{head: headOf(was, device, there, then, now), target: !there || firstTarget(was.Targets) != device.Targets[0]}
		both := pair{then, now}
		if !there {
			both.before = nil
		}
		changes, done := differs[both]
		if !done {
			changes = differences(then.Config, now.Config)
			differs[both] = changes
		}
		group.changes, group.same = changes, there && len(changes) == 0
		name := fmt.Sprintf("%q %v", group.head, group.target)
		for _, change := range changes {
			name += fmt.Sprintf(" %q %q %s %s", change.Path, change.Kind, literal(change.Before), literal(change.After))
		}
		if present := known[name]; present != nil {
			present.devices = append(present.devices, device)
			continue
		}
		if group.gains, err = gains(then, now); err != nil {
			return nil, nil, err
		}
		group.devices = []signed.Device{device}
		known[name] = group
		groups = append(groups, group)
	}
	return groups, slices.SortedFunc(maps.Values(old), func(a, b signed.Device) int { return cmp.Compare(a.Key, b.Key) }), nil
}

func firstTarget(targets []string) string {
	if len(targets) == 0 {
		return ""
	}
	return targets[0]
}

// headOf returns the differences of a device outside of its target's values.
func headOf(was, is signed.Device, there bool, then, now *signed.Result) string {
	from := cmp.Or(shortLayers(now.Layers), "none")
	if !there {
		return fmt.Sprintf("+ new, labels %s, layers %s", cmp.Or(labelsOf(is.Labels), "-"), from)
	}
	head := "~"
	if was.UUID != is.UUID {
		head += fmt.Sprintf(" the key of device %s is now that of %s,", short(was.UUID), short(is.UUID))
	}
	if !maps.Equal(was.Labels, is.Labels) {
		head += fmt.Sprintf(" labels %s -> %s,", cmp.Or(labelsOf(was.Labels), "-"), cmp.Or(labelsOf(is.Labels), "-"))
	}
	if !slices.Equal(then.Layers, now.Layers) {
		return head + fmt.Sprintf(" layers %s -> %s", cmp.Or(shortLayers(then.Layers), "none"), from)
	}
	return head + " layers " + from
}

func shortLayers(list []string) string {
	var names []string
	for _, layer := range list {
		names = append(names, shortLayer(layer))
	}
	return strings.Join(names, ", ")
}

// gains returns the named secrets that after has and before has not.
func gains(before, after *signed.Result) ([]string, error) {
	had, err := before.Secrets()
	if err != nil {
		return nil, err
	}
	has, err := after.Secrets()
	if err != nil {
		return nil, err
	}
	var names []string
	for path, name := range has {
		if had[path] != name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// showGroup prints a group. It prints all devices that get a secret: an attacker who sets labels could otherwise hide
// one device among many.
func (w *signing) showGroup(group *signGroup) {
	look := note
	sign, head, _ := strings.Cut(group.head, " ")
	if sign == "+" {
		look = good
	}
	w.out.printIndented("", fmt.Sprintf("%s %s: %s", sign, devicesOf(len(group.devices)), head), look)
	if len(group.gains) > 0 {
		w.out.printIndented("    ", "! gets the secret "+strings.Join(group.gains, ", "), warn)
	}
	switch {
	case len(group.changes) > 0:
		for _, change := range group.changes {
			w.out.printIndented("    ", changeLine(change), look)
		}
	case group.target && group.same:
		w.out.printIndented("    ", "~ another digest of the same values: a secret of it has another value, or was signed otherwise before", look)
	case !group.target && group.same:
		w.out.line("    the same values")
	}
	for i, device := range group.devices {
		if i == mostShown && len(group.gains) == 0 && !w.c.Bool("full") {
			w.out.line("    … and %d more of this group; --full names them", len(group.devices)-mostShown)
			break
		}
		w.out.line("    device %s, key %s", short(device.UUID), device.Key)
	}
}

func changeLine(change serverapi.Change) string {
	switch change.Kind {
	case "added":
		return "+ " + change.Path + ": " + literal(change.After)
	case "removed":
		return "- " + change.Path + ": " + literal(change.Before)
	}
	return "~ " + change.Path + ": " + literal(change.Before) + " -> " + literal(change.After)
}

// showLayers prints the differences between layers, and reports whether there are any.
func (w *signing) showLayers(before, after *signed.Manifest) (changed bool) {
	old := map[string]signed.Layer{}
	for _, layer := range before.Layers {
		old[layer.Layer] = layer
	}
	for _, layer := range after.Layers {
		was, there := old[layer.Layer]
		delete(old, layer.Layer)
		list := differences(was.Config, layer.Config)
		moved := was.Selector != layer.Selector || was.Priority != layer.Priority
		if there && !moved && len(list) == 0 {
			continue
		}
		changed = true
		head := shortLayer(layer.Layer)
		if layer.Selector != "" {
			head = fmt.Sprintf("%s for %s, priority %d", head, layer.Selector, layer.Priority)
		}
		if there && moved {
			head += fmt.Sprintf(" (before: for %s, priority %d)", cmp.Or(was.Selector, "all"), was.Priority)
		}
		w.out.line("%s:", head)
		w.out.printChanges(list)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		changed = true
		was := old[name]
		head := shortLayer(name)
		if was.Selector != "" {
			head = fmt.Sprintf("%s for %s, priority %d", head, was.Selector, was.Priority)
		}
		w.out.line("%s is removed:", head)
		w.out.printChanges(differences(was.Config, nil))
	}
	return changed
}

// differences returns the values that differ, by path.
func differences(before, after map[string]any) []serverapi.Change {
	old, now := leaves(before), leaves(after)
	var list []serverapi.Change
	for path, value := range now {
		was, there := old[path]
		switch {
		case !there:
			list = append(list, serverapi.Change{Path: path, Kind: "added", After: value})
		case literal(was) != literal(value):
			list = append(list, serverapi.Change{Path: path, Kind: "changed", Before: was, After: value})
		}
	}
	for path, value := range old {
		if _, there := now[path]; !there {
			list = append(list, serverapi.Change{Path: path, Kind: "removed", Before: value})
		}
	}
	slices.SortFunc(list, func(a, b serverapi.Change) int { return strings.Compare(a.Path, b.Path) })
	return list
}
