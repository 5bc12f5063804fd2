package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// A ground is the state against which a batch is checked: the targets, and the devices whose layers it changes. Each is
// read once before the first check. The store decides again when it makes the changes.
//
// It has many fields because it has those of the snapshot.
type ground struct {
	*snapshot
	labels  map[LayerName]Layer
	devices map[uuid.UUID]Device // the registered ones
}

// groundOf reads the state against which a batch is checked. It refreshes the targets unless the batch changes only
// layers of single devices.
func (f *Fleet) groundOf(ctx context.Context, batch Batch) (*ground, error) {
	g := &ground{snapshot: f.targets.Load(), labels: map[LayerName]Layer{}, devices: map[uuid.UUID]Device{}}
	var ids []uuid.UUID
	for _, change := range batch.Changes {
		if change.Name.IsDevice() {
			ids = append(ids, change.Name.Device())
		}
	}
	shared := func(change Change) bool { return !change.Name.IsDevice() || change.Config.has(secretMember) }
	if slices.ContainsFunc(batch.Changes, shared) {
		var err error
		if g.snapshot, err = f.targets.anew(ctx); err != nil {
			return nil, err
		}
	}
	for _, layer := range g.Labels {
		g.labels[layer.Name] = layer
	}
	if ids == nil {
		return g, nil
	}
	devices, err := f.store.DevicesByID(ctx, ids)
	for _, device := range devices {
		g.devices[device.ID] = device
	}
	return g, err
}

// layer returns the present layer; with revision 0 if there is none.
func (g *ground) layer(name LayerName) Layer {
	switch {
	case name == Everyone:
		return g.Everyone
	case name.IsLabels():
		return g.labels[name]
	}
	if own := g.devices[name.Device()].Own; own != nil {
		return *own
	}
	return Layer{}
}

// permit returns a *ScopeError for a change out of its scope. It is checked first, so that a refusal reveals nothing
// else.
func (g *ground) permit(change Change) error {
	if len(change.Within) == 0 {
		return nil
	}
	if change.Name.IsDevice() {
		device, there := g.devices[change.Name.Device()]
		if !there {
			return ErrUnknownDevice
		}
		if err := change.Within.Device(device.Labels); err != nil {
			return err
		}
	}
	return change.Within.layer(g.layer(change.Name), change)
}

// checkAll completes the changes of a batch. It returns an error if the batch is not allowed.
func (f *Fleet) checkAll(g *ground, batch *Batch) error {
	batch.Changes = slices.Clone(batch.Changes)
	errs := make([]error, len(batch.Changes))
	everyone := g.Everyone
	for i := range batch.Changes {
		change := &batch.Changes[i]
		errs[i] = g.permit(*change)
		given := change.Config
		if errs[i] == nil {
			errs[i] = f.complete(g, change)
		}
		if errs[i] == nil && batch.Reads {
			errs[i] = f.leavesSecrets(g.layer(change.Name), given, *change)
		}
		if errs[i] == nil {
			errs[i] = g.permit(*change) // complete has put the references into their stored form
		}
		if errs[i] != nil && !refusal(errs[i]) {
			return errs[i]
		}
		if change.Name == Everyone {
			everyone = change.Layer
		}
	}
	below, err := g.named.config(everyone.Config)
	if err != nil {
		return err
	}
	var faults BatchError
	for i := range batch.Changes {
		change := &batch.Changes[i]
		if errs[i] == nil && !change.Remove {
			if errs[i] = f.fits(g, change.Layer, below); errs[i] != nil && !refusal(errs[i]) {
				return errs[i]
			}
			change.Config = f.names.short(change.Config)
		}
		faults.Add(change.Name, errs[i])
	}
	return faults.Err()
}

// complete completes a change, and makes the checks that do not depend on other layers.
func (f *Fleet) complete(g *ground, change *Change) error {
	change.At = f.options.Now()
	if change.Remove {
		change.Config, change.Selector, change.Priority = Config{}, Selector{}, 0
		return nil
	}
	if field, fault := layers.CheckUse(string(change.Name), change.Selector, change.Priority); fault != "" {
		return &LayerError{field, fault}
	}
	if err := f.keepSecrets(g, change); err != nil {
		return err
	}
	return g.refer(change)
}

// leavesSecrets returns a *ScopeError if a change touches the secrets of its layer, or the devices that get them. given
// is the configuration before complete: it has a marker or a reference in the place of each secret.
func (f *Fleet) leavesSecrets(before Layer, given Config, change Change) error {
	guess := false
	var held [2][]string
	for i, config := range []Config{before.Config, change.Config, given} {
		tree, err := f.names.short(config).Tree()
		if err != nil {
			return err
		}
		f.secrets.each(tree, func(view, request string, value any) any {
			if i < len(held) {
				held[i] = append(held[i], placeKey(view, request)+string(plainText(value)))
			} else if !IsSecret(value) {
				guess = true
			}
			return value
		})
	}
	slices.Sort(held[0])
	slices.Sort(held[1])
	switch {
	case guess:
		return Scope{}.refuse("the change of %s has a secret", change.Name)
	case !slices.Equal(held[0], held[1]), held[0] != nil && (change.Selector.String() != before.Selector.String() || change.Priority != before.Priority):
		return Scope{}.refuse("the change of %s has to do with secrets of the layer", change.Name)
	}
	return nil
}

// fits returns an error if the confdb-schema refuses a layer, on top of its device's report or of the configuration of
// everyone.
func (f *Fleet) fits(g *ground, layer Layer, everyone Config) error {
	var below Config
	switch {
	case layer.Name.IsDevice():
		device, there := g.devices[layer.Name.Device()]
		if !there {
			return ErrUnknownDevice
		}
		below = device.Config
	case layer.Name.IsLabels():
		below = everyone
	}
	config, err := g.named.config(layer.Config)
	if err != nil {
		return err
	}
	return f.checkTarget(below, config)
}

// keepSecrets replaces the markers in a change by the layer's secrets. The change is then bound to the layer's present
// revision.
func (f *Fleet) keepSecrets(g *ground, change *Change) error {
	if !f.secrets.marked(change.Config) {
		return nil
	}
	present := g.layer(change.Name)
	revealed, kept, missing, err := f.secrets.reveal(change.Name, change.Config, present.Config)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		list := strings.Join(missing, ", ")
		text := fmt.Sprintf("cannot keep the secret at %s: the layer has none with that digest there; give the secret again", list)
		if change.Restores > 0 {
			text = fmt.Sprintf("cannot restore the secret at %s: the history keeps no secrets, and the layer has another one or none there "+
				"now; set the layer, and give the secret again", list)
		}
		return &TargetError{Path: missing[0], Text: text}
	}
	if change.Match == nil && kept {
		change.Match = &present.Revision
	}
	change.Config = revealed
	return nil
}

// refer checks the references in a change of a layer, and binds the change to the revisions of the secrets.
func (g *ground) refer(change *Change) error {
	names := change.Config.references()
	if len(names) == 0 {
		return nil
	}
	change.Secrets = map[string]int64{}
	for _, name := range names {
		secret := g.secret(name)
		if _, there := g.named[name]; !there {
			tree, err := change.Config.Tree()
			if err != nil {
				return err
			}
			path, why := referring(tree, name), "there is none of this name; set it first"
			if secret.Revision > 0 {
				why = "no key opens its value; set it again"
			}
			return &TargetError{Path: path, Text: fmt.Sprintf("cannot use the secret %s at %s: %s, with aspects-poc fleet secret set or "+
				"PUT /secrets/NAME/", jsonText(name), path, why)}
		}
		change.Secrets[name] = secret.Revision
	}
	return nil
}

// refusal reports whether an error is about a change, and not about the store.
func refusal(err error) bool {
	var layer *LayerError
	return errors.Is(err, ErrTarget) || errors.As(err, &layer) || errors.Is(err, ErrUnknownDevice) || errors.Is(err, ErrScope)
}
