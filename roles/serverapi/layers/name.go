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

// CheckName returns an error unless text is the name of a layer. A name has exactly one spelling.
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

// CheckLabelLayer returns an error unless name can be the NAME of "labels/NAME".
func CheckLabelLayer(name string) error {
	const what = "a layer's name"
	if strings.Contains(name, "/") {
		return fmt.Errorf("%s must not have a slash: %q", what, name)
	}
	return checkWord(what, name, "._-")
}

// CheckUse checks the selector and the priority of a layer with this name. Layers of labels choose devices, and no
// other layers do. field is "selector" or "priority" for a fault, and "" without one.
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

// A Place is what decides a layer's place in the order of merging.
type Place struct {
	Name     string
	Priority int64
}

// Compare compares places in the order of merging: everyone, the layers of labels by priority and then by name, and a
// device's own layer. A later layer is merged over an earlier one.
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
