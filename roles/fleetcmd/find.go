package fleetcmd

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// device returns the ID of the device that typed names: by its ID, a unique beginning of the ID, or its name. The
// server resolves the word.
func (s *session) device(typed string) (uuid.UUID, error) {
	if id, err := uuid.Parse(typed); err == nil && len(typed) == 36 {
		return id, nil
	}
	if typed == "." || typed == ".." { // they would change the path
		return uuid.Nil, roles.Usagef("%q is no device: want an ID, a beginning of one, or a name", typed)
	}
	found, err := s.client.Find(s, typed)
	var refused *serverapi.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity:
		return uuid.Nil, roles.Usagef("%q is no device: want an ID, a beginning of one, or a name, such as lobby or 3f2a", typed)
	case isMissing(err):
		return uuid.Nil, fmt.Errorf("%w; %s fleet devices lists them", err, roles.Program)
	}
	return found.UUID, err
}

// layer returns the full name of the layer that typed names: everyone, labels/NAME, or devices/ with a device's name or
// ID.
func (s *session) layer(typed string) (string, error) {
	kind, name, named := strings.Cut(typed, "/")
	switch {
	case typed == "everyone":
		return typed, nil
	case kind == "labels" && named && name != "":
		if err := layers.CheckLabelLayer(name); err != nil {
			return "", roles.Usagef("%q is no layer: %v", typed, err)
		}
		return typed, nil
	case kind == "devices" && named && name != "":
		id, err := s.device(name)
		return "devices/" + id.String(), err
	}
	return "", roles.Usagef("%q is no layer: want everyone, labels/NAME or devices/ID", typed)
}

// short returns the part of an ID that is unique among millions of devices.
func short(id uuid.UUID) string { return id.String()[:13] }

// called returns a device's name, or the short ID of a device without one.
func called(id uuid.UUID, name string) string { return cmp.Or(name, short(id)) }

// called is the function called. With -o wide it adds the whole ID.
func (p *printer) called(id uuid.UUID, name string) string {
	switch {
	case p.form != "wide":
		return called(id, name)
	case name == "":
		return id.String()
	}
	return name + " " + id.String()
}

// some returns the names of the first devices, and how many more there are.
func (p *printer) some(ids []uuid.UUID, names map[uuid.UUID]string, number int) string {
	var words []string
	for _, id := range ids {
		words = append(words, p.called(id, names[id]))
	}
	text := strings.Join(words, ", ")
	if more := number - len(ids); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// layerOf returns a layer's name. For the layer of a device it has the device's name or short ID.
func layerOf(layer, device string) string {
	if device != "" && strings.HasPrefix(layer, "devices/") {
		return "devices/" + device
	}
	return shortLayer(layer)
}

// shortLayer returns a layer's name with the short ID of a device.
func shortLayer(layer string) string {
	if id, is := strings.CutPrefix(layer, "devices/"); is && len(id) == 36 {
		return "devices/" + id[:13]
	}
	return layer
}
