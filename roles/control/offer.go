package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// documents returns a target in the shape of plan.Make, with short names of views. A view that is null becomes an
// object whose values are all null. It returns an error for an unknown shape, and for a target with the device's
// identity, which comes from the registration.
func documents(
	schema registry.ViewID, target serverapi.Config, current map[string]map[string]any,
) (map[string]map[string]any, error) {
	named, err := plan.ByView(schema, target)
	if err != nil {
		return nil, err
	}
	wanted := map[string]map[string]any{}
	for view, value := range named {
		switch value := value.(type) {
		case map[string]any:
			wanted[view] = value
		case nil:
			wanted[view] = map[string]any{}
			for key := range current[view] {
				wanted[view][key] = nil
			}
		default:
			return nil, &registry.Error{Op: "set", Kind: registry.ErrBadRequest, Path: view,
				Message: fmt.Sprintf("cannot set view %q: want an object or null, not %s", view, text(value)),
				Reason:  "want an object or null, not " + text(value)}
		}
	}
	for _, identity := range []string{"id", "registered"} {
		if _, set := wanted[network.ControlDeviceView][identity]; set {
			return nil, &registry.Error{Op: "set", Kind: registry.ErrUnauthorized,
				Path: network.ControlDeviceView + "." + identity,
				Message: fmt.Sprintf("cannot set %q through %s: who the device is comes from its registration",
					identity, network.ControlDeviceView),
				Reason: "who the device is comes from its registration"}
		}
	}
	return wanted, nil
}

// describe lists changes in the notation of snap set, without secrets.
func describe(values map[string]any) string {
	var list []string
	for _, request := range slices.Sorted(maps.Keys(values)) {
		switch {
		case values[request] == nil:
			list = append(list, request+"!")
		case request == "secret-key":
			list = append(list, request+"=(secret)")
		default:
			list = append(list, request+"="+text(values[request]))
		}
	}
	return plain.Line(strings.Join(list, ", "))
}

// text returns a value as JSON.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
