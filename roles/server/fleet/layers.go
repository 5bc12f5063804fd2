package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/internal/nearest"
	"aspects-poc/registry"

	"github.com/google/uuid"
)

// ErrTarget is the kind of a *TargetError.
var ErrTarget = errors.New("the confdb-schema does not take the target")

// A TargetError says why a target is refused, in the words of a device that would refuse it. It may have a proposal.
type TargetError struct {
	// Path is the path of the wrong value in the target, such as "control-telemetry.sample-rate". It is a storage path if no
	// value of the target is stored there.
	Path string
	Text string
	Err  error // a *registry.Error, or nil
}

func (e *TargetError) Error() string { return e.Text }

// Is makes it an ErrTarget.
func (e *TargetError) Is(target error) bool { return target == ErrTarget }

// Unwrap returns the engine's own error.
func (e *TargetError) Unwrap() error { return e.Err }

// A LayerError is the error for a wrong selector or priority of a layer.
type LayerError struct {
	Field string // "selector" or "priority"
	Text  string
}

func (e *LayerError) Error() string { return e.Field + " " + e.Text }

// Set is SetAll with one change. It returns the errors of the change itself, not a *BatchError.
func (f *Fleet) Set(ctx context.Context, change Change) (Layer, error) {
	layers, err := f.SetAll(ctx, Batch{Changes: []Change{change}})
	if err != nil {
		return Layer{}, only(err)
	}
	return layers[0], nil
}

// SetAll sets and removes layers, all of a batch or none, and wakes the held polls of their devices. It first checks
// each configuration against the confdb-schema: a label layer merged over the layer of everyone after the batch, a
// device's own layer over the device's last report. It returns the layers in the order of the batch, or an error of
// Store.ChangeAll. A *BatchError has a *TargetError or a *LayerError for each refused change.
func (f *Fleet) SetAll(ctx context.Context, batch Batch) ([]Layer, error) {
	recordBatch(ctx, batch)
	ground, err := f.groundOf(ctx, batch)
	if err == nil {
		err = f.checkAll(ground, &batch)
	}
	if err != nil {
		return nil, err
	}
	layers, err := f.store.ChangeAll(ctx, batch)
	if err != nil {
		return nil, err
	}
	// The notices of this batch would do the following, too, but the caller's next call may be earlier. The batch is
	// stored, so an error here is only logged.
	var devices []uuid.UUID
	shared := int64(0)
	for i, change := range batch.Changes {
		if change.Name.IsDevice() {
			devices = append(devices, change.Name.Device())
		} else {
			shared = max(shared, layers[i].Revision)
		}
	}
	if devices != nil {
		f.changed(devices...)
	}
	if f.catchUp(ctx, shared); batch.Release != nil {
		f.catchUp(ctx, begunAt(layers))
	}
	return f.secrets.layers(layers)
}

// catchUp reads the targets after a stored change of an operator. It makes the next Summary count again.
func (f *Fleet) catchUp(ctx context.Context, revision int64) {
	f.summary.stale.Store(true)
	if f.targets.Load().Revision < revision {
		if err := f.targets.refresh(context.WithoutCancel(ctx)); err != nil {
			f.options.Log.Error("cannot read the targets that have changed; the notice of it will do so", "error", err)
		}
	}
}

// checkTarget returns an error if the engine refuses to write a target to a device that shows these values.
func (f *Fleet) checkTarget(shown, target Config) error {
	below, err := shown.Tree()
	if err != nil {
		return err
	}
	wanted, err := target.Tree()
	if err != nil {
		return err
	}
	return f.tryTarget(below, wanted, nil)
}

// tryTarget is checkTarget with further rules, as of Options.Rules. It modifies neither tree.
func (f *Fleet) tryTarget(shown, target map[string]any, rules func(current, target map[string]map[string]any) error) error {
	if f.names.of == nil {
		return nil
	}
	wanted, err := f.names.check(target)
	if err != nil {
		return err
	}
	current := views(shown)
	for view, value := range wanted {
		switch value.(type) {
		case map[string]any:
		case nil:
			// null unsets all that the view shows.
			all := map[string]any{}
			for name := range current[view] {
				all[name] = nil
			}
			wanted[view] = all
		default:
			reason := fmt.Sprintf("want an object or null, not %s", jsonText(value))
			return f.secrets.refusal(&TargetError{Path: view, Text: fmt.Sprintf("cannot set view %q: %s", view, reason)}, wanted)
		}
	}
	documents := views(wanted)
	if _, err = f.names.of.Make(current, documents); err == nil && rules != nil {
		err = rules(current, documents)
	}
	return f.secrets.refusal(f.names.targetError(err, documents), wanted)
}

// targetError converts an error of the registry to a *TargetError with the path in a target.
func (n names) targetError(err error, target map[string]map[string]any) error {
	var refused *registry.Error
	if !errors.As(err, &refused) {
		return err
	}
	path := cmp.Or(n.of.Locate(target, refused.Path), refused.Path)
	if path == "" {
		path = refused.View.View
		for _, request := range refused.Requests {
			path += "." + request
			break
		}
	}
	text := refused.Error()
	if errors.Is(refused, registry.ErrNoMatch) && len(refused.Requests) > 0 {
		if near := nearest.Names(refused.Requests[0], n.of.Requests(refused.View.View)); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
	}
	return &TargetError{Path: path, Text: text, Err: err}
}

// views returns the views of a configuration that show something.
func views(tree map[string]any) map[string]map[string]any {
	documents := map[string]map[string]any{}
	for view, value := range tree {
		if document, ok := value.(map[string]any); ok {
			documents[view] = document
		}
	}
	return documents
}

func jsonText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "what is no JSON"
	}
	const limit = 80
	if len(text) > limit {
		return string(text[:limit]) + "…"
	}
	return string(text)
}

// Layer returns a layer. The layer of everyone always exists; before it is set, it is empty and has revision 0.
func (f *Fleet) Layer(ctx context.Context, name LayerName) (Layer, error) {
	return f.secrets.layer(f.layer(ctx, name))
}

func (f *Fleet) layer(ctx context.Context, name LayerName) (Layer, error) {
	layer, err := f.store.Layer(ctx, name)
	if errors.Is(err, ErrUnknownLayer) && name == Everyone {
		return Layer{Name: Everyone}, nil
	}
	return layer, err
}

// Targets returns the layers that concern more than one device, in the order of merging, and the last revision of any
// change when they were read. They are this server's snapshot, which follows the changes of other servers.
func (f *Fleet) Targets() (layers []Layer, revision int64, err error) {
	targets := f.targets.Load()
	if targets.Everyone.Revision > 0 {
		layers = append(layers, targets.Everyone)
	}
	layers, err = f.secrets.layers(append(layers, targets.Labels...))
	return layers, targets.Revision, err
}

// LastChange returns the last revision at which a layer was set or removed; 0 for none. Revisions of labels do not
// count.
func (f *Fleet) LastChange(ctx context.Context) (int64, error) { return f.store.LastChange(ctx) }

// DeviceLayers returns layers of single devices; see Store.DeviceLayers.
func (f *Fleet) DeviceLayers(ctx context.Context, after string, limit int) (list []Layer, next string, err error) {
	if list, next, err = f.store.DeviceLayers(ctx, "", after, limit); err == nil {
		list, err = f.secrets.layers(list)
	}
	return list, next, err
}
