package fleetcmd

import (
	"context"
	"fmt"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

func remove(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "remove", Usage: "remove a layer", ArgsUsage: "LAYER",
		Description: "Removes a layer: no device gets its values any more. It says how the targets of devices change, asks, and removes the layer " +
			"if nobody has changed it meanwhile. It removes nothing if devices would refuse their target, unless --allow-refusals is given. The " +
			"history keeps the layer, and restore brings it back. A device stays when its layer is removed: fleet delete deletes devices.",
		UsageText: "aspects-poc fleet remove labels/berlin",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "say what would change, and change nothing"},
			allowRefusalsFlag(), yesFlag()},
	}, 1, 1, func(s *session, args []string) error {
		name, err := s.layer(args[0])
		if err != nil {
			return err
		}
		layer, err := s.client.Layer(s, name)
		switch {
		case isMissing(err), err == nil && layer.Revision == 0:
			return fmt.Errorf("there is no layer %s; %s fleet targets lists them", name, roles.Program)
		case err != nil:
			return err
		}
		change := serverapi.BatchChange{Layer: name, Revision: &layer.Revision, Remove: true}
		trial, err := s.client.Plan(s, operator.Batch{Batch: serverapi.Batch{Changes: []serverapi.BatchChange{change}}})
		if err != nil {
			return err
		}
		shown := layerOf(layer.Layer, layer.Device)
		err = s.out.printOne(trial, name, func() error {
			s.out.line("the removal of %s changes the targets of %s", shown, devicesOf(trial.Devices))
			s.out.printTrial(trial)
			return nil
		})
		switch {
		case err != nil:
			return err
		case trial.Conflict != "" && !s.c.Bool("dry-run"):
			return fmt.Errorf("nothing is removed: %s", trial.Conflict)
		case trial.Refusing > 0 && !s.c.Bool("allow-refusals"):
			return fmt.Errorf("nothing is removed: %s would refuse their target; change it, or remove the layer with --allow-refusals",
				devicesOf(trial.Refusing))
		case s.c.Bool("dry-run"):
			return nil
		}
		if err := s.confirm("Remove the layer "+shown+"?", "nothing is removed"); err != nil {
			return err
		}
		if err = s.client.RemoveLayer(s, name, layer.Revision); isStale(err) {
			return fmt.Errorf("somebody else has changed the layer meanwhile: %w; compare, and remove it again", err)
		}
		if err == nil {
			s.say("The layer %s is removed. To bring it back: %s fleet restore %d", shown, roles.Program, layer.Revision)
		}
		return err
	})
}

func deleteDevice(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "delete", Usage: "delete devices from the server", ArgsUsage: "ID …",
		Description: "Deletes devices with their names, reports, statistics and layers, after a question. A device that still runs registers again " +
			"at its next poll, as a new device, if the server lets it register. To keep it out, revoke it first: the server then refuses its key even after " +
			"the device is deleted. The command needs an admin's token. If it fails for some devices, it continues with the others, names the " +
			"devices, and exits with 1.",
		UsageText: "aspects-poc fleet delete 3f2a",
		Flags:     []cli.Flag{yesFlag()},
	}, 1, -1, func(s *session, args []string) error {
		known := map[uuid.UUID]serverapi.Device{}
		var ids []uuid.UUID
		var names, returning []string
		for _, word := range args {
			id, err := s.device(word)
			if err == nil && known[id].UUID == id {
				continue // named twice
			}
			if err == nil {
				known[id], err = s.client.Device(s, id)
			}
			if err != nil {
				return err
			}
			ids = append(ids, id)
			names = append(names, called(id, known[id].Name))
			if known[id].State != serverapi.StateRevoked {
				returning = append(returning, names[len(names)-1])
			}
		}
		if returning != nil {
			s.say("Not revoked: %s. If it still runs, it registers again as a new device, where the server lets it register. To keep it out, revoke it first: "+
				"%s fleet revoke ID", strings.Join(returning, ", "), roles.Program)
		}
		if err := s.confirm(fmt.Sprintf("Delete %s: %s?", devicesOf(len(ids)), strings.Join(names, ", ")), "no device is deleted"); err != nil {
			return err
		}
		return s.changeDevices(ids, names, func(ctx context.Context, id uuid.UUID) (serverapi.Device, error) {
			return known[id], s.client.DeleteDevice(ctx, id)
		})
	})
}
