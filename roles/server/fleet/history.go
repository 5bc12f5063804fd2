package fleet

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoTarget means that an entry of the history is about labels, a name or a release, and has no target to compare.
var ErrNoTarget = errors.New("that revision changed a device's labels or name, or moved a release, and no target")

// History returns entries of the history; see Store.History.
func (f *Fleet) History(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error) {
	return f.store.History(ctx, layer, below, limit)
}

// Entries returns whole entries of the history; see Store.Entries.
func (f *Fleet) Entries(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error) {
	list, err := f.store.Entries(ctx, layer, below, limit)
	for i := 0; err == nil && i < len(list); i++ {
		list[i], err = f.secrets.entry(list[i])
	}
	return list, err
}

// Entry returns a whole entry, or ErrUnknownEntry.
func (f *Fleet) Entry(ctx context.Context, revision int64) (Entry, error) {
	entry, err := f.store.Entry(ctx, revision)
	if err != nil {
		return Entry{}, err
	}
	return f.secrets.entry(entry)
}

// Diff returns what a revision changed in its layer. With against it returns how the layer differs between the two
// revisions. since is the revision that was really compared: the layer's last one up to against; 0 for none.
func (f *Fleet) Diff(ctx context.Context, revision int64, against *int64) (layer LayerName, since int64, _ []Difference, err error) {
	entry, err := f.store.Entry(ctx, revision)
	if err != nil {
		return "", 0, nil, err
	}
	if entry.Action == Relabeled || entry.Action == Renamed || entry.Action == Moved {
		return "", 0, nil, ErrNoTarget
	}
	bound := revision - 1
	if against != nil {
		bound = *against
	}
	other, err := f.store.LayerAt(ctx, entry.Layer, bound)
	if err != nil && !errors.Is(err, ErrUnknownEntry) {
		return "", 0, nil, err
	}
	if entry, err = f.secrets.entry(entry); err != nil {
		return "", 0, nil, err
	}
	if other, err = f.secrets.entry(other); err != nil {
		return "", 0, nil, err
	}
	before, err := treeOf(other.After)
	if err != nil {
		return "", 0, nil, err
	}
	after, err := treeOf(entry.After)
	if err != nil {
		return "", 0, nil, err
	}
	return entry.Layer, other.Revision, compare(before, after), nil
}

func treeOf(config *Config) (map[string]any, error) {
	if config == nil {
		return nil, nil
	}
	return config.Tree()
}

// Restore restores a layer, or a device's labels or name, to the state of a revision. It returns the new revision, or
// the present one if nothing differs. Errors: those of Set and SetName, ErrUnknownEntry.
func (f *Fleet) Restore(ctx context.Context, revision int64, by string, within Scope) (int64, error) {
	entry, err := f.store.Entry(ctx, revision)
	if err != nil {
		return 0, err
	}
	recordDetails(ctx, string(entry.Layer))
	switch entry.Action {
	case Relabeled:
		return f.restoreLabels(ctx, entry, by, within)
	case Renamed:
		if len(within) > 0 {
			return 0, within.refuse("the names of devices are those of the whole fleet")
		}
		return f.restoreName(ctx, entry, by)
	}
	if entry.Layer.IsRelease() {
		return 0, &TargetError{Path: string(entry.Layer), Text: fmt.Sprintf("cannot restore %s: it is a release, and no layer; restore a "+
			"revision of a layer that it changed", entry.Layer)}
	}
	if entry.Layer.IsSecret() {
		return 0, &TargetError{Path: string(entry.Layer), Text: fmt.Sprintf("cannot restore %s: the history keeps no secrets; set the secret again",
			entry.Layer)}
	}
	if entry.Layer == SignatureName {
		return 0, &TargetError{Path: string(entry.Layer), Text: "cannot restore a statement: an operator has to sign what is to be from now on"}
	}
	if entry, err = f.secrets.entry(entry); err != nil { // Set expects markers in the form for operators
		return 0, err
	}
	change := entry.again(by, within)
	layer, err := f.Set(ctx, change)
	for errors.Is(err, ErrStale) { // another change of the layer, whose secrets this change preserves, was first
		layer, err = f.Set(ctx, change)
	}
	if change.Remove && errors.Is(err, ErrUnknownLayer) {
		return revision, nil // it did not exist then, and does not exist now
	}
	return layer.Revision, err
}

// again returns the change that restores the state of a layer after an entry.
func (e Entry) again(by string, within Scope) Change {
	change := Change{Layer: Layer{Name: e.Layer, Authorship: Authorship{By: by}}, Restores: e.Revision, Within: within}
	if e.After == nil {
		change.Remove = true
	} else {
		change.Config, change.Selector, change.Priority = *e.After, e.Selector, e.Priority
	}
	return change
}

// PlanRestore returns what Restore would do to targets, as Plan does. The entry must be of a layer.
func (f *Fleet) PlanRestore(ctx context.Context, revision int64, few int, within Scope) (Plan, error) {
	entry, err := f.Entry(ctx, revision)
	if err != nil {
		return Plan{}, err
	}
	if entry.Action == Relabeled || entry.Action == Renamed || entry.Action == Moved || entry.Layer.IsSecret() {
		return Plan{}, ErrNoTarget
	}
	plan, err := f.Plan(ctx, Batch{Changes: []Change{entry.again("", within)}}, nil, few)
	if entry.After == nil && errors.Is(err, ErrUnknownLayer) {
		return Plan{}, nil // it did not exist then, and does not exist now
	}
	return plan, err
}

func (f *Fleet) restoreLabels(ctx context.Context, entry Entry, by string, within Scope) (int64, error) {
	id := entry.Layer.Device()
	for {
		device, err := f.store.Device(ctx, id)
		if err != nil {
			return 0, err
		}
		if err := within.Labels(device.Labels, entry.Labels); err != nil {
			return 0, err
		}
		drawn, err := f.store.SetLabels(ctx, id, device.Labels, entry.Labels, Authorship{By: by, At: f.options.Now()})
		switch {
		case errors.Is(err, ErrStale):
			continue
		case err != nil:
			return 0, err
		}
		f.changed(id)
		return max(drawn, device.OwnRevision), nil
	}
}
