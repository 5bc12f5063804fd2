package fleetcmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

func label(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "label", Usage: "set or remove labels of a device, or of all devices of a selector", ArgsUsage: "[ID] KEY=VALUE|KEY! …",
		Description: "Sets labels, or removes them with KEY!; other labels stay. Layers choose devices by labels, so the " +
			"device's target can change. Each change is in the history, and restore undoes it. With --selector, and without an ID, it does so " +
			"for all devices that the selector chooses: it says what would change and asks first. Each device has its own change in the " +
			"history and its own record in the audit log. If it fails for some devices, it goes on with the others, names the " +
			"devices, and exits with 1; the same command again does what is left.",
		UsageText: "aspects-poc fleet label 3f2a site=berlin stage!\n" +
			"aspects-poc fleet label -l site=berlin stage=canary",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagSelector, Aliases: []string{"l"}, Usage: "all devices with these labels, a `SELECTOR` such as " +
				"site=berlin,stage!=test"},
			yesFlag(),
		},
	}, 1, -1, func(s *session, args []string) error {
		if s.c.IsSet(flagSelector) {
			patch, err := parseLabels(args)
			if err != nil {
				return err
			}
			return s.labelAll(s.c.String(flagSelector), patch)
		}
		if len(args) < 2 {
			return roles.Usagef("label wants ID KEY=VALUE|KEY! …, or --%s SELECTOR in the place of the ID", flagSelector)
		}
		patch, err := parseLabels(args[1:])
		if err != nil {
			return err
		}
		id, err := s.device(args[0])
		if err != nil {
			return err
		}
		changed, err := s.client.SetLabels(s, id, patch)
		if err != nil {
			return err
		}
		return s.out.printOne(changed, id.String(), func() error {
			s.out.line("%s: %s", s.out.called(id, changed.Name), labelsOf(changed.Labels))
			return nil
		})
	})
}

// A labelPatch has the labels to change. It sets a label to a value, and removes it for nil.
type labelPatch map[string]*string

// parseLabels parses KEY=VALUE, which sets a label, and KEY!, which removes it.
func parseLabels(words []string) (labelPatch, error) {
	labels := labelPatch{}
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

// changes reports whether the patch changes the value of a key in labels.
func (p labelPatch) changes(labels map[string]string, key string) bool {
	was, has := labels[key]
	wanted := p[key]
	return wanted == nil && has || wanted != nil && (!has || was != *wanted)
}

// mostValues is the number of values that a question lists.
const mostValues = 3

// describe returns which of the devices get another value for a key.
func (p labelPatch) describe(key string, devices []serverapi.Device) string {
	count, others := 0, map[string]int{}
	for _, device := range devices {
		if !p.changes(device.Labels, key) {
			continue
		}
		count++
		if was, has := device.Labels[key]; has {
			others[was]++
		}
	}
	text := "  " + key + " is removed from " + devicesOf(count)
	if wanted := p[key]; wanted != nil {
		text = fmt.Sprintf("  %s=%s: %s", key, *wanted, devicesOf(count))
	}
	var had []string
	for i, value := range slices.Sorted(maps.Keys(others)) {
		if i == mostValues {
			had = append(had, "…")
			break
		}
		had = append(had, fmt.Sprintf("%d have %s=%s", others[value], key, value))
	}
	if had != nil {
		text += " (now " + strings.Join(had, ", ") + ")"
	}
	return text
}

// errNoDevice returns the error for a selector without a device; "" selects all devices.
func errNoDevice(selector string) error {
	if selector == "" {
		return errors.New("there is no device: none has registered")
	}
	return fmt.Errorf("no device matches %q; %s fleet devices lists them with their labels", selector, roles.Program)
}

// labelAll changes labels of all devices of a selector. It asks the user first.
func (s *session) labelAll(selector string, patch labelPatch) error {
	if selector == "" { // perhaps a variable of a script that is empty
		return roles.Usagef("--%s is empty: say which devices, such as site=berlin", flagSelector)
	}
	chosen := 0
	var devices []serverapi.Device // the devices that change
	read := s.busy("reading the devices")
	defer read()
	for device, err := range s.client.Devices(s, operator.Filter{Selector: selector}) {
		if err != nil {
			return err
		}
		chosen++
		for key := range patch {
			if patch.changes(device.Labels, key) {
				devices = append(devices, device)
				break
			}
		}
	}
	read()
	if chosen == 0 {
		return errNoDevice(selector)
	}
	s.say("%s chooses %s, of which %d change.", selector, devicesOf(chosen), len(devices))
	if len(devices) == 0 {
		return s.printLabelled(nil)
	}
	for _, key := range slices.Sorted(maps.Keys(patch)) {
		s.say("%s", patch.describe(key, devices))
	}
	if err := s.confirm("Change the labels of "+devicesOf(len(devices))+"?", "no label is changed"); err != nil {
		return err
	}
	ids, names := make([]uuid.UUID, len(devices)), make([]string, len(devices))
	for i, device := range devices {
		ids[i], names[i] = device.UUID, called(device.UUID, device.Name)
	}
	changed, err := s.forAll(ids, names, func(ctx context.Context, id uuid.UUID) (serverapi.Device, error) {
		return s.client.SetLabels(ctx, id, patch)
	})
	return errors.Join(s.printLabelled(changed), err)
}

// printLabelled prints the changed devices. For people it prints only their number.
func (s *session) printLabelled(changed []serverapi.Device) error {
	if s.out.isTable() {
		s.out.line("The labels of %s are changed.", devicesOf(len(changed)))
		return s.out.w.Flush()
	}
	return printList(s.out, "devices", nil, func(d serverapi.Device) string { return d.UUID.String() }, all(changed))
}
