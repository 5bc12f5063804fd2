package recipe

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// schema is the confdb-schema of the views.
const schema = "network"

// expand replaces the lists that only our recipe has (custodian, uses and hooks) by the maps that snapcraft expects.
func expand(role *yaml.Node, account string) error {
	plugs := get(role, "plugs")
	if plugs == nil {
		plugs = mapping()
	}
	for _, list := range []struct {
		key       string
		custodian bool
	}{{"custodian", true}, {"uses", false}} {
		views, err := items(get(role, list.key), list.key)
		if err != nil {
			return err
		}
		remove(role, list.key)
		for _, view := range views {
			if get(plugs, view) != nil {
				return fmt.Errorf("there is more than one plug %q", view)
			}
			plug := mapping()
			set(plug, "interface", scalar("confdb"))
			set(plug, "account", scalar(account))
			set(plug, "view", scalar(schema+"/"+view))
			if list.custodian {
				set(plug, "role", scalar("custodian"))
			}
			set(plugs, view, plug)
		}
	}
	if len(plugs.Content) > 0 {
		// At the top level, not in an app or hook: snapd binds such a plug to all of them.
		set(role, "plugs", plugs)
	}
	if hooks := get(role, "hooks"); hooks != nil {
		names, err := items(hooks, "hooks")
		if err != nil {
			return err
		}
		declared := mapping()
		for _, name := range names {
			set(declared, name, mapping())
		}
		set(role, "hooks", declared)
	}
	return nil
}

// takeBinary removes the key binary, which only our recipe has, from a role's section. It reports whether the key asks
// for the device binary.
func takeBinary(role *yaml.Node) (device bool, err error) {
	node := get(role, "binary")
	remove(role, "binary")
	switch {
	case node == nil:
		return false, nil
	case node.Kind == yaml.ScalarNode && node.Value == "device":
		return true, nil
	}
	return false, fmt.Errorf("line %d: invalid binary: want device, or nothing for the whole one", node.Line)
}
