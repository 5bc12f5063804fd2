package fleetcmd

import (
	"errors"
	"strconv"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

func targets(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "targets", Usage: "list the layers of targets, or show one", ArgsUsage: "[LAYER]",
		Description: "Lists the layers in the order in which they are merged: everyone, labels/NAME by priority, devices/ID. " +
			"With a LAYER it shows the layer's values.",
		UsageText: "aspects-poc fleet targets\naspects-poc fleet targets everyone -o yaml",
	}, 0, 1, func(s *session, args []string) error {
		if len(args) == 0 {
			return printList(s.out, "layers", layerColumns(), func(l serverapi.Layer) string { return l.Layer }, s.client.Layers(s))
		}
		name, err := s.layer(args[0])
		if err != nil {
			return err
		}
		layer, err := s.client.Layer(s, name)
		if err != nil {
			return err
		}
		return s.out.printOne(layer, layer.Layer, func() error {
			if err := printTable(s.out, "layers", layerColumns(), all([]serverapi.Layer{layer})); err != nil {
				return err
			}
			s.out.line("")
			return printTable(s.out, "values", valueColumns(layer.Device, false)[:2], all(values(serverapi.Device{}, serverapi.DeviceTarget{Config: layer.Config})))
		})
	})
}

func layerColumns() []column[serverapi.Layer] {
	return []column[serverapi.Layer]{
		{head: "Layer", cell: func(l serverapi.Layer) word { return word{text: layerOf(l.Layer, l.Device)} }},
		{head: "Selector", cell: func(l serverapi.Layer) word { return word{text: l.Selector} }},
		{head: "Priority", cell: func(l serverapi.Layer) word { return word{text: strconv.FormatInt(l.Priority, 10)} }},
		{head: "Values", cell: func(l serverapi.Layer) word { return word{text: strconv.Itoa(len(leaves(l.Config)))} }},
		{head: "Revision", cell: func(l serverapi.Layer) word { return word{text: revision(l.Revision)} }},
		{head: "Set by", cell: func(l serverapi.Layer) word { return word{text: by(l.SetBy, l.SetAt)} }},
	}
}

// isMissing reports whether the server's answer is that the thing does not exist.
func isMissing(err error) bool {
	var refused *serverapi.Error
	return errors.As(err, &refused) && refused.Status == 404
}
