package signed

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// A Manifest is the whole content to which a statement refers: the layers, the devices with their labels, and a digest
// of each secret. The operator and the servers have it; devices get only their own leaf.
type Manifest struct {
	Layers  []Layer           `json:"layers"`  // in the order of merging
	Secrets map[string]Secret `json:"secrets"` // those that layers refer to, by name
	Devices []Device          `json:"devices"` // sorted by Key
}

// A Layer is a layer of targets as the server has it. It refers to secrets by their names.
type Layer struct {
	Layer    string         `json:"layer"`
	Selector string         `json:"selector,omitempty"`
	Priority int64          `json:"priority,omitempty"`
	Config   map[string]any `json:"config"`
}

// A Secret is the digest of a value that the operator knows.
type Secret struct {
	// Digest is SecretDigest. Whoever has its salt can find a short value by trying, and all operators may read the
	// manifest. So the manifest does not have the salt.
	Digest string `json:"digest"`
	// Revision is the server's revision of the value when the operator gave it. It shows later whether the value has
	// changed.
	Revision int64 `json:"revision"`
}

// A Device is a device of the fleet.
type Device struct {
	Key    string            `json:"key"` // ID of its public key: base64url of a SHA-256
	UUID   uuid.UUID         `json:"uuid"`
	Labels map[string]string `json:"labels,omitempty"`
	// Targets are the digests of the targets that the device may have: first the merge of its layers, then earlier
	// targets to which it may go back.
	Targets []string `json:"targets"`
}

// Plan completes a manifest: it sorts layers and devices, and sets the first of each device's Targets to the merge of
// its layers. It returns an error for an invalid name, selector or priority, for duplicates, and for a secret without a
// name or a digest.
func (m *Manifest) Plan() error {
	if m.Secrets == nil {
		m.Secrets = map[string]Secret{}
	}
	sortLayers(m.Layers)
	pile, err := m.pile()
	if err != nil {
		return err
	}
	known := map[string]string{} // the layers of a device -> the target
	seen := map[uuid.UUID]bool{}
	for i := range m.Devices {
		device := &m.Devices[i]
		if seen[device.UUID] {
			return fmt.Errorf("the device %s is there twice", device.UUID)
		}
		seen[device.UUID] = true
		concerned, name := pile.of(*device)
		target, there := known[name]
		if !there {
			if target, err = m.target(concerned); err != nil {
				return err
			}
			known[name] = target
		}
		device.Targets = slices.Compact(append([]string{target}, device.Targets...))
	}
	slices.SortFunc(m.Devices, func(a, b Device) int { return cmp.Compare(a.Key, b.Key) })
	return nil
}

// sortLayers sorts layers in the order of merging.
func sortLayers(list []Layer) {
	slices.SortFunc(list, func(a, b Layer) int {
		return layers.Compare(layers.Place{Name: a.Layer, Priority: a.Priority}, layers.Place{Name: b.Layer, Priority: b.Priority})
	})
}

// A pile finds the layers of a device.
type pile struct {
	shared    []Layer
	selectors []layers.Selector // of shared
	own       map[string]Layer  // by name
}

// pile returns the layers in the order of merging. It returns an error for a layer that no fleet can have.
func (m *Manifest) pile() (*pile, error) {
	p := &pile{own: map[string]Layer{}}
	list := slices.Clone(m.Layers)
	sortLayers(list)
	seen := map[string]bool{}
	for _, layer := range list {
		if err := layers.CheckName(layer.Layer); err != nil {
			return nil, err
		}
		if seen[layer.Layer] {
			return nil, fmt.Errorf("the layer %s is there twice", layer.Layer)
		}
		seen[layer.Layer] = true
		selector, err := layers.ParseSelector(layer.Selector)
		if err != nil {
			return nil, fmt.Errorf("the selector of layer %s: %w", layer.Layer, err)
		}
		if field, fault := layers.CheckUse(layer.Layer, selector, layer.Priority); fault != "" {
			return nil, fmt.Errorf("layer %s: its %s %s", layer.Layer, field, fault)
		}
		if strings.HasPrefix(layer.Layer, layers.Devices) {
			p.own[layer.Layer] = layer
			continue
		}
		p.shared, p.selectors = append(p.shared, layer), append(p.selectors, selector)
	}
	return p, nil
}

// of returns the layers of a device in the order of merging, and a key for this combination.
func (p *pile) of(device Device) (list []Layer, name string) {
	for i, layer := range p.shared {
		if p.selectors[i].Matches(device.Labels) {
			list, name = append(list, layer), name+strconv.Itoa(i)+" "
		}
	}
	if own, there := p.own[layers.Devices+device.UUID.String()]; there {
		list, name = append(list, own), name+own.Layer
	}
	return list, name
}

// A Result is the merge of layers.
type Result struct {
	Layers []string       // names in the order of merging
	Config map[string]any // with references in the places of secrets; do not modify it
}

// Results returns a function that returns the result for a device. Devices with the same layers share a result.
func (m *Manifest) Results() (of func(Device) (*Result, error), err error) {
	pile, err := m.pile()
	if err != nil {
		return nil, err
	}
	known := map[string]*Result{}
	return func(device Device) (*Result, error) {
		list, name := pile.of(device)
		if result, there := known[name]; there {
			return result, nil
		}
		config, err := merge(list)
		if err != nil {
			return nil, err
		}
		result := &Result{Config: config}
		for _, layer := range list {
			result.Layers = append(result.Layers, layer.Layer)
		}
		known[name] = result
		return result, nil
	}, nil
}

// Secrets returns the places of named secrets in the result: path -> name of the secret.
func (r *Result) Secrets() (map[string]string, error) {
	refers, err := references(r.Config)
	if err != nil {
		return nil, err
	}
	places := map[string]string{}
	for _, reference := range refers {
		places[strings.Join(reference.path, ".")] = reference.name
	}
	return places, nil
}

// Config returns the merge of a device's layers, with references in the places of secrets.
func (m *Manifest) Config(device Device) (map[string]any, error) {
	of, err := m.Results()
	if err != nil {
		return nil, err
	}
	result, err := of(device)
	if err != nil {
		return nil, err
	}
	return result.Config, nil
}

// merge returns the merge of layers. The result shares no objects with them.
func merge(list []Layer) (map[string]any, error) {
	merged := map[string]any{}
	for _, layer := range list {
		text, err := encode(layer.Config)
		if err != nil {
			return nil, err
		}
		above := map[string]any{}
		if err := strict(text, jsonvalue.Limits{Depth: 200, Values: mostValues}, &above); err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer.Layer, err)
		}
		layers.Overlay(merged, above)
	}
	return merged, nil
}

// target returns the digest of the merge of layers.
func (m *Manifest) target(list []Layer) (string, error) {
	merged, err := merge(list)
	if err != nil {
		return "", err
	}
	refers, err := references(merged)
	if err != nil {
		return "", err
	}
	var places []sealedPlace
	for _, reference := range refers {
		secret, there := m.Secrets[reference.name]
		if !there {
			return "", &MissingSecret{reference.name}
		}
		if _, merged, err = cut(merged, reference.path); err != nil {
			return "", err
		}
		places = append(places, sealedPlace{reference.path, secret.Digest})
	}
	return hash(merged, places)
}

// A MissingSecret is the error for a named secret without a digest in the manifest.
type MissingSecret struct{ Name string }

func (e *MissingSecret) Error() string {
	return fmt.Sprintf("the value of the secret %s is not known", e.Name)
}

// Names returns the sorted names of the secrets to which layers refer.
func (m *Manifest) Names() ([]string, error) {
	var names []string
	for _, layer := range m.Layers {
		refers, err := references(layer.Config)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer.Layer, err)
		}
		for _, reference := range refers {
			names = append(names, reference.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Text returns the manifest as JSON. The statement has the digest of this text.
func (m *Manifest) Text() (string, error) { return encode(m) }

// The limits of a manifest. 60,000 devices are some 12 MB; the API's client accepts answers of up to 16 MiB.
const (
	MaxManifest = 12 << 20 // bytes
	mostValues  = 4_000_000
)

// ParseManifest parses a text of Manifest.Text.
func ParseManifest(text string) (*Manifest, error) {
	if len(text) > MaxManifest {
		return nil, fmt.Errorf("the manifest is larger than %d bytes", MaxManifest)
	}
	m := &Manifest{}
	if err := strict(text, jsonvalue.Limits{Depth: 200, Values: mostValues}, m); err != nil {
		return nil, fmt.Errorf("cannot read the manifest: %w", err)
	}
	return m, nil
}

// tree returns the tree of the devices.
func (m *Manifest) tree() (*tree, error) {
	var leaves []leaf
	for i, device := range m.Devices {
		switch {
		case i > 0 && m.Devices[i-1].Key >= device.Key:
			return nil, fmt.Errorf("the devices of the manifest are not in order, or the key %s stands twice", device.Key)
		case len(device.Key) != 43, len(device.Targets) == 0, len(device.Targets) > 10:
			return nil, fmt.Errorf("the device %s of the manifest has no key or no target", device.UUID)
		}
		leaves = append(leaves, leaf{device.Key, device.Targets})
	}
	return newTree(leaves)
}

// Complete returns the text to sign: the statement with the digest of the manifest, and with devices and root of the
// tree.
func (m *Manifest) Complete(statement Statement) (text string, err error) {
	manifest, err := m.Text()
	if err == nil && len(manifest) > MaxManifest {
		err = fmt.Errorf("there are too many devices and layers to sign: the manifest has %d bytes, and may have %d", len(manifest), MaxManifest)
	}
	if err != nil {
		return "", err
	}
	tree, err := m.tree()
	if err != nil {
		return "", err
	}
	statement.Type, statement.Version = Kind, Version
	statement.Manifest, statement.Devices, statement.Root = Digest(manifest), int64(len(tree.leaves)), tree.root
	if text, err = encode(statement); err != nil {
		return "", err
	}
	_, err = Parse(Signed{Statement: text})
	return text, err
}

// ErrManifest means that a manifest is not that of the statement.
var ErrManifest = errors.New("the manifest is not that of the statement")
