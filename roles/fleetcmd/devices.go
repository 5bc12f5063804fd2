package fleetcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

const (
	flagSelector = "selector"
	flagState    = "state"
)

func selectorFlag() cli.Flag {
	return &cli.StringFlag{Name: flagSelector, Aliases: []string{"l"}, Usage: "only devices with these labels, a `SELECTOR` " +
		"such as site=berlin,stage!=test"}
}

func devices(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "devices", Usage: "list devices",
		Description: "Lists devices in the order of their registration: the name, the state, when the device was last seen, the " +
			"revision that it runs and the one that it should run, its labels. With -o wide also the whole ID, the " +
			"address, and the reason of the last attempt. The list is printed while it comes.",
		UsageText: "aspects-poc fleet devices -l site=berlin --state refused\n" +
			"aspects-poc fleet devices --state pending -o name | xargs -r aspects-poc fleet approve",
		Flags: []cli.Flag{
			selectorFlag(),
			&cli.StringFlag{Name: flagState, Usage: "only devices in this `STATE`: " +
				strings.Join(states, ", ")},
			&cli.BoolFlag{Name: "silent", Usage: "only devices that have not polled for three poll intervals; =false: only the others"},
			&cli.BoolFlag{Name: "cloned", Usage: "only devices as which two machines report; =false: only the others"},
			&cli.StringFlag{Name: "match", Aliases: []string{"q"}, Usage: "only devices with this `TEXT` in ID, name, address, architecture or a label"},
			&cli.IntFlag{Name: "limit", Usage: "list this `NUMBER` of devices at most; 0: all"},
		},
	}, 0, 0, func(s *session, _ []string) error {
		limit, err := s.limit()
		if err != nil {
			return err
		}
		switch state := s.c.String(flagState); {
		case state == "silent", state == "cloned":
			return roles.Usagef("%q is no state: --%s chooses such devices, whatever their state", state, state)
		case state != "" && !slices.Contains(states, state):
			return roles.Usagef("invalid value %q for --%s: want one of %s", state, flagState, strings.Join(states, ", "))
		}
		filter := operator.Filter{Selector: s.c.String(flagSelector), State: s.c.String(flagState), Silent: optional(s.c, "silent"),
			Cloned: optional(s.c, "cloned"), Text: s.c.String("match"), Page: limit}
		return printList(s.out, "devices", deviceColumns(s.out.form == "wide"), func(d serverapi.Device) string { return d.UUID.String() },
			first(s.client.Devices(s, filter), limit))
	})
}

// optional returns the value of a switch; nil if it is not set.
func optional(c *cli.Context, name string) *bool {
	if !c.IsSet(name) {
		return nil
	}
	return new(c.Bool(name))
}

// limit returns the number of --limit; 0 means all.
func (s *session) limit() (int, error) {
	limit := s.c.Int("limit")
	if limit < 0 {
		return 0, roles.Usagef("invalid value \"%d\" for --limit: must not be negative", limit)
	}
	return limit, nil
}

// first returns the first elements of a list. It returns all elements for 0.
func first[T any](list iter.Seq2[T, error], number int) iter.Seq2[T, error] {
	if number == 0 {
		return list
	}
	return func(yield func(T, error) bool) {
		left := number
		for element, err := range list {
			if !yield(element, err) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

func deviceColumns(wide bool) []column[serverapi.Device] {
	return []column[serverapi.Device]{
		{head: "ID", cell: func(d serverapi.Device) word {
			if wide {
				return word{text: d.UUID.String()}
			}
			return word{text: short(d.UUID)}
		}},
		{head: "Name", cell: func(d serverapi.Device) word { return word{text: cmp.Or(d.Name, "-")} }},
		{head: "State", cell: stateOf},
		{head: "Seen", cell: func(d serverapi.Device) word { return word{text: age(d.LastSeen)} }},
		{head: "Runs", cell: func(d serverapi.Device) word { return word{text: runs(d)} }},
		{head: "Target", cell: func(d serverapi.Device) word { return word{text: revision(d.Desired.Revision)} }},
		{head: "Address", wide: true, cell: func(d serverapi.Device) word { return word{text: d.IPAddress} }},
		{head: "Arch", wide: true, cell: func(d serverapi.Device) word { return word{text: d.Arch} }},
		{head: "Labels", cell: func(d serverapi.Device) word { return word{text: labelsOf(d.Labels)} }},
		{head: "Reason", wide: true, cell: func(d serverapi.Device) word { return word{text: reason(d.Attempted)} }},
	}
}

// stateOf returns a device's state in one or two words.
func stateOf(d serverapi.Device) word {
	w := word{d.State, map[string]tone{serverapi.StateInSync: good, serverapi.StateBehind: note, serverapi.StateNew: note,
		serverapi.StateRefused: bad, serverapi.StateFailed: bad, serverapi.StateDrifted: warn, serverapi.StatePending: warn,
		serverapi.StateRevoked: faint}[d.State]}
	if isUnsigned(d) {
		w = word{w.text + ", not signed", warn}
	}
	if d.Silent {
		w = word{w.text + ", silent", warn}
	}
	if d.Cloned {
		w = word{w.text + ", cloned", bad}
	}
	return w
}

func runs(d serverapi.Device) string {
	if d.Running == nil {
		return "-"
	}
	return revision(d.Running.Revision)
}

func revision(number int64) string {
	if number == 0 {
		return "-"
	}
	return strconv.FormatInt(number, 10)
}

// reason returns why an attempt failed; "" if it did not fail.
func reason(a *serverapi.Attempted) string {
	if a == nil || a.Reason == "" {
		return ""
	}
	if a.Path == "" || strings.Contains(a.Reason, a.Path) {
		return a.Reason
	}
	return a.Path + ": " + a.Reason
}

// devicesOf returns a number of devices as text, such as "2 devices".
func devicesOf(number int) string {
	if number == 1 {
		return "1 device"
	}
	return strconv.Itoa(number) + " devices"
}

func stagesOf(number int) string {
	if number == 1 {
		return "1 stage"
	}
	return strconv.Itoa(number) + " stages"
}

func labelsOf(labels map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, name+"="+labels[name])
	}
	return strings.Join(list, ",")
}

// age returns the time since at in its largest unit.
func age(at int64) string {
	if at == 0 {
		return "never"
	}
	passed := max(0, now().Sub(time.Unix(at, 0)))
	switch {
	case passed < time.Minute:
		return fmt.Sprintf("%ds", int(passed.Seconds()))
	case passed < time.Hour:
		return fmt.Sprintf("%dm", int(passed.Minutes()))
	case passed < 48*time.Hour:
		return fmt.Sprintf("%dh", int(passed.Hours()))
	}
	return fmt.Sprintf("%dd", int(passed.Hours()/24))
}

// since returns a time and its age.
func since(at int64) string {
	if at == 0 {
		return "never"
	}
	return time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05") + " UTC, " + age(at) + " ago"
}

func rename(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "rename", Usage: "give a device a name, or take it away", ArgsUsage: "ID NAME",
		Description: "Gives a device a name, which no other device has. The name then stands for the device wherever a command takes " +
			"an ID. It has lower-case letters, digits, and ._- between them, and does not look like the beginning of an ID: one " +
			"of its characters is a letter from g to z, a dot or an underscore. Each change is in the history, and restore " +
			"undoes it. A device may suggest a name, which is only its label device.name.",
		UsageText: "aspects-poc fleet rename 3f2a lobby\naspects-poc fleet rename lobby --remove",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "remove", Usage: "take the name away"}},
	}, 1, 2, func(s *session, args []string) error {
		name := ""
		switch remove := s.c.Bool("remove"); {
		case remove && len(args) > 1:
			return roles.Usagef("unexpected argument %q: --remove takes the name away", args[1])
		case !remove && len(args) < 2:
			return roles.Usagef("rename wants ID NAME, or ID --remove")
		case !remove:
			name = args[1]
		}
		id, err := s.device(args[0])
		if err != nil {
			return err
		}
		changed, err := s.client.SetName(s, id, name)
		if err != nil {
			return err
		}
		return s.out.printOne(changed, id.String(), func() error {
			s.out.line("%s: %s", short(id), cmp.Or(changed.Name, "no name")) // the ID stays the same
			return nil
		})
	})
}

func approve(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "approve", Usage: "let devices poll", ArgsUsage: "ID …",
		Description: "Lets devices poll that wait for approval, and devices that were revoked.",
		UsageText:   "aspects-poc fleet approve 3f2a",
	}, 1, -1, func(s *session, args []string) error { return s.setStatus(args, s.client.Approve) })
}

func revoke(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "revoke", Usage: "refuse devices from now on", ArgsUsage: "ID …",
		Description: "The server refuses the polls of these devices until they are approved again. Devices keep the " +
			"configuration that they run.",
		UsageText: "aspects-poc fleet revoke 3f2a",
	}, 1, -1, func(s *session, args []string) error { return s.setStatus(args, s.client.Revoke) })
}

// setStatus finds the devices of all words before it changes the first one. It prints the changed devices.
func (s *session) setStatus(words []string, set func(context.Context, uuid.UUID) (serverapi.Device, error)) error {
	ids := make([]uuid.UUID, len(words))
	for i, word := range words {
		var err error
		if ids[i], err = s.device(word); err != nil {
			return err
		}
	}
	return s.changeDevices(ids, words, set)
}

// changeDevices changes devices and prints the changed ones. names are the names of the devices for messages.
func (s *session) changeDevices(ids []uuid.UUID, names []string, change func(context.Context, uuid.UUID) (serverapi.Device, error)) error {
	changed, err := s.forAll(ids, names, change)
	if len(changed) == 0 {
		return err
	}
	return errors.Join(printList(s.out, "devices", deviceColumns(s.out.form == "wide"), func(d serverapi.Device) string { return d.UUID.String() },
		all(changed)), err)
}

// isUnsigned reports whether a device does not run its target because nobody has signed the target.
func isUnsigned(d serverapi.Device) bool {
	return d.Desired.Unsigned && (d.State == serverapi.StateBehind || d.State == serverapi.StateRefused || d.State == serverapi.StateFailed)
}
