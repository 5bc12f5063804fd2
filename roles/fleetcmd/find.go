package fleetcmd

import (
	"fmt"
	"regexp"
	"strings"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/google/uuid"
)

// beginning matches the beginning of a device's ID.
var beginning = regexp.MustCompile(`^[0-9a-f]{1,8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?$`)

// mostNamed is the number of devices that a message about an ambiguous ID names.
const mostNamed = 4

// device returns the ID of the device that a word names: its ID, or a unique beginning of it.
func (s *session) device(typed string) (uuid.UUID, error) {
	given := strings.ToLower(typed)
	if len(given) == 36 {
		id, err := uuid.Parse(given)
		if err != nil {
			return uuid.Nil, roles.Usagef("%q is no ID of a device", typed)
		}
		return id, nil
	}
	if !beginning.MatchString(given) {
		return uuid.Nil, roles.Usagef("%q is no ID of a device, nor the beginning of one: IDs are like "+
			"ca155b32-2472-4650-afb0-c6f967328afe", typed)
	}
	var found []serverapi.Device
	for device, err := range s.client.Devices(s, operator.Filter{Text: given}) {
		if err != nil {
			return uuid.Nil, err
		}
		if strings.HasPrefix(device.UUID.String(), given) {
			if found = append(found, device); len(found) > mostNamed {
				break
			}
		}
	}
	switch len(found) {
	case 0:
		return uuid.Nil, fmt.Errorf("no device has an ID that begins with %q; %s fleet devices lists them", typed, roles.Program)
	case 1:
		return found[0].UUID, nil
	}
	var names []string
	for _, device := range found[:min(len(found), mostNamed)] {
		names = append(names, device.UUID.String())
	}
	more := ""
	if len(found) > mostNamed {
		more = " and others"
	}
	return uuid.Nil, fmt.Errorf("several devices have an ID that begins with %q: %s%s; give more of the ID", typed,
		strings.Join(names, ", "), more)
}

// layer returns the full name of the layer that a word names: everyone, labels/NAME, or devices/ID with a beginning of an ID.
func (s *session) layer(typed string) (string, error) {
	kind, name, named := strings.Cut(typed, "/")
	switch {
	case typed == "everyone", kind == "labels" && named && name != "":
		return typed, nil
	case kind == "devices" && named && name != "":
		id, err := s.device(name)
		return "devices/" + id.String(), err
	}
	return "", roles.Usagef("%q is no layer: want everyone, labels/NAME or devices/ID", typed)
}

// short returns as much of an ID as names the device among millions.
func short(id uuid.UUID) string { return id.String()[:13] }

// shortLayer returns a layer's name with a short ID.
func shortLayer(layer string) string {
	if id, is := strings.CutPrefix(layer, "devices/"); is && len(id) == 36 {
		return "devices/" + id[:13]
	}
	return layer
}

// parseLabels reads KEY=VALUE, which sets a label, and KEY!, which removes it.
func parseLabels(words []string) (map[string]*string, error) {
	labels := map[string]*string{}
	for _, typed := range words {
		name, value, sets := strings.Cut(typed, "=")
		if !sets {
			var removes bool
			if name, removes = strings.CutSuffix(typed, "!"); !removes {
				return nil, roles.Usagef("invalid label %q: want KEY=VALUE, or KEY! to remove it", plain.Line(typed))
			}
		}
		if _, twice := labels[name]; twice || name == "" {
			return nil, roles.Usagef("invalid label %q: each label has a name, and is named once", plain.Line(typed))
		}
		labels[name] = nil
		if sets {
			labels[name] = &value
		}
	}
	return labels, nil
}
