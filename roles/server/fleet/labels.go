package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// Labels say what a device is, such as {"site": "berlin"}. They are immutable. Nil means none.
type Labels map[string]string

// SaidPrefix begins the names of labels that a device says of itself, such as "device.model". All other labels come
// from operators and enrolment tokens. A device cannot set them, so a layer with secrets can rely on them.
const SaidPrefix = "device."

// MaxLabels is how many labels a device may have.
const MaxLabels = 64

// Check returns the first invalid name and its error; a nil error if all labels are valid.
func (l Labels) Check() (name string, err error) {
	if len(l) > MaxLabels {
		return "", fmt.Errorf("a device has at most %d labels, not %d", MaxLabels, len(l))
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if err := layers.CheckWord("a label's name", strings.TrimPrefix(name, SaidPrefix)); err != nil {
			return name, err
		}
		if value := l[name]; value != "" {
			if err := layers.CheckWord("a label's value", value); err != nil {
				return name, err
			}
		}
	}
	return "", nil
}

// CheckGiven is Check for labels that an operator gives. It also refuses names that begin with SaidPrefix.
func (l Labels) CheckGiven() (name string, err error) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if strings.HasPrefix(name, SaidPrefix) {
			return name, fmt.Errorf("a label's name must not begin with %q: only the device sets such labels, when it registers", SaidPrefix)
		}
	}
	return l.Check()
}

// Said returns the labels that a device says of itself with the names that they have on the server, with SaidPrefix.
func (l Labels) Said() Labels {
	said := make(Labels, len(l))
	for name, value := range l {
		said[SaidPrefix+name] = value
	}
	return said
}

// Equal reports whether two sets of labels are equal.
func (l Labels) Equal(other Labels) bool { return maps.Equal(l, other) }

// String returns the labels as a JSON object with sorted names. Equal labels have equal texts.
func (l Labels) String() string {
	if len(l) == 0 {
		return "{}"
	}
	text, err := json.Marshal(map[string]string(l))
	if err != nil {
		return "{}" // strings do not fail
	}
	return string(text)
}

// LoadLabels parses a text of Labels.String, for stores. Equal labels of several devices share their memory.
func LoadLabels(text string) (Labels, error) {
	if text == "{}" {
		return nil, nil
	}
	loaded.Lock()
	defer loaded.Unlock()
	if labels, there := loaded.of[text]; there {
		return labels, nil
	}
	var labels Labels
	if err := json.Unmarshal([]byte(text), &labels); err != nil {
		return nil, fmt.Errorf("labels %q: %w", text, err)
	}
	if len(loaded.of) >= mostLoaded || loaded.of == nil {
		loaded.of = map[string]Labels{} // the labels in use are added again
	}
	loaded.of[strings.Clone(text)] = labels
	return labels, nil
}

// loaded has labels by text. A fleet has many devices and few sets of labels.
var loaded struct {
	sync.Mutex // guards the fields below
	of         map[string]Labels
}

const mostLoaded = 1 << 14

// Merge returns the labels after a merge patch: a nil value removes its label.
func (l Labels) Merge(patch map[string]*string) Labels {
	merged := maps.Clone(l)
	for name, value := range patch {
		if value == nil {
			delete(merged, name)
			continue
		}
		if merged == nil {
			merged = Labels{}
		}
		merged[name] = *value
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// A Selector chooses devices by their labels. The zero value chooses all.
type Selector = layers.Selector

// ParseSelector parses the terms of a selector, separated by commas.
func ParseSelector(text string) (Selector, error) { return layers.ParseSelector(text) }

// A LayerName names a layer: "everyone", "labels/NAME" or "devices/UUID".
type LayerName string

// Everyone is the layer of all devices.
const Everyone LayerName = layers.Everyone

const (
	labelLayers  = layers.Labels
	deviceLayers = layers.Devices
)

// LabelLayer returns the name of a label layer. It returns an error for an invalid name.
func LabelLayer(name string) (LayerName, error) {
	if err := layers.CheckLabelLayer(name); err != nil {
		return "", err
	}
	return LayerName(labelLayers + name), nil
}

// DeviceLayer returns the name of a device's layer.
func DeviceLayer(id uuid.UUID) LayerName { return LayerName(deviceLayers + id.String()) }

// Device returns the device of a device's layer; uuid.Nil for another layer.
func (n LayerName) Device() uuid.UUID {
	text, found := strings.CutPrefix(string(n), deviceLayers)
	id, err := uuid.Parse(text)
	if !found || err != nil {
		return uuid.Nil
	}
	return id
}

// ParseLayerName parses the name of a layer, or the HistoryName of a secret or a release.
func ParseLayerName(text string) (LayerName, error) {
	if name, found := strings.CutPrefix(text, labelLayers); found {
		return LabelLayer(name)
	}
	if id, found := strings.CutPrefix(text, deviceLayers); found {
		if parsed, err := uuid.Parse(id); err == nil && len(id) == 36 {
			return DeviceLayer(parsed), nil
		}
	}
	if name, found := strings.CutPrefix(text, secretNames); found {
		return HistoryName(name), CheckSecretName(name)
	}
	if text == string(SignatureName) {
		return SignatureName, nil
	}
	if id, found := strings.CutPrefix(text, releaseNames); found {
		if number, err := strconv.ParseInt(id, 10, 64); err == nil && number > 0 {
			return Release{ID: number}.HistoryName(), nil
		}
	}
	if text != string(Everyone) {
		return "", fmt.Errorf("a layer is \"everyone\", \"labels/NAME\" or \"devices/UUID\", a secret \"secrets/NAME\" and a release \"releases/ID\", not %q", text)
	}
	return Everyone, nil
}

// IsLabels reports whether the name is of a label layer.
func (n LayerName) IsLabels() bool { return strings.HasPrefix(string(n), labelLayers) }

// IsDevice reports whether the name is of a device's layer.
func (n LayerName) IsDevice() bool { return strings.HasPrefix(string(n), deviceLayers) }
