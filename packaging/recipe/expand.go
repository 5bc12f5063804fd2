package recipe

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// schema is the confdb-schema that the views are of.
const schema = "network"

// expand turns the lists that only our recipe has, custodian, uses and hooks, into what snapcraft knows.
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
		// At the top level and in no app or hook: snapd binds such a plug to all of them.
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

// takeBinary takes the word binary out of a role's section, which only our recipe has, and tells whether it asks for the
// binary of devices.
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
