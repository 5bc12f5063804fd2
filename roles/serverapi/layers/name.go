package layers

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// The names of layers: Everyone, "labels/NAME" and "devices/UUID".
const (
	Everyone = "everyone"
	Labels   = "labels/"
	Devices  = "devices/"
)

// CheckName tells why something is no name of a layer. Nothing but the one spelling of a name is a name.
func CheckName(text string) error {
	if name, is := strings.CutPrefix(text, Labels); is {
		return CheckLabelLayer(name)
	}
	if id, is := strings.CutPrefix(text, Devices); is {
		if parsed, err := uuid.Parse(id); err == nil && parsed.String() == id {
			return nil
		}
	}
	if text != Everyone {
		return fmt.Errorf("a layer is \"everyone\", \"labels/NAME\" or \"devices/UUID\", not %q", text)
	}
	return nil
}

// CheckLabelLayer tells why something is no NAME of "labels/NAME".
func CheckLabelLayer(name string) error {
	const what = "a layer's name"
	if strings.Contains(name, "/") {
		return fmt.Errorf("%s must not have a slash: %q", what, name)
	}
	return checkWord(what, name, "._-")
}

// CheckUse tells why a layer of this name must not have this selector or this priority: layers of labels choose devices, and no
// other layers do. Field is "selector" or "priority", or "" if it may.
func CheckUse(name string, selector Selector, priority int64) (field, fault string) {
	labels := strings.HasPrefix(name, Labels)
	switch {
	case labels && selector.String() == "":
		return "selector", `must name labels, such as "site=berlin"; what is for all belongs into the layer of everyone`
	case !labels && selector.String() != "":
		return "selector", "belongs to layers of labels only"
	case !labels && priority != 0:
		return "priority", "belongs to layers of labels only"
	}
	return "", ""
}

// A Place is what says where a layer is in the order of merging.
type Place struct {
	Name     string
	Priority int64
}

// Compare compares places in the order of merging: everyone, the layers of labels by priority and then by name, and a device's own
// layer. Later layers are put above earlier ones.
func Compare(a, b Place) int {
	return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
}

func (p Place) kind() int {
	switch {
	case p.Name == Everyone:
		return 0
	case strings.HasPrefix(p.Name, Labels):
		return 1
	}
	return 2
}
