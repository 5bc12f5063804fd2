package snapctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/snapctlcmd"
)

func (e *Endpoint) services(from *caller, c *snapctlcmd.Command) (string, error) {
	snap := from.snap.With(e.states)
	wanted, err := from.servicesNamed(c.Positional)
	if err != nil {
		return "", err
	}
	var list []snapctlcmd.Service
	for _, name := range snap.ServiceNames() {
		if len(wanted) > 0 && !slices.Contains(wanted, name) {
			continue
		}
		_, app, _ := strings.Cut(name, ".")
		s := snap.Services[app]
		list = append(list, snapctlcmd.Service{Name: name, Disabled: s.Disabled, Active: s.Running, Timer: s.Timer})
	}
	return snapctlcmd.Services(list), nil
}

// servicesNamed returns services by their names. The name of the snap stands for all of its services.
func (from *caller) servicesNamed(names []string) ([]string, error) {
	known := from.snap.ServiceNames()
	var wanted []string
	for _, name := range names {
		switch {
		case name == from.snap.Instance():
			wanted = append(wanted, known...)
		case slices.Contains(known, name):
			wanted = append(wanted, name)
		default:
			return nil, fmt.Errorf("unknown service: %q", name)
		}
	}
	return wanted, nil
}

// control starts, stops or restarts services. A call from a hook takes effect at the end of the hook, one from an app at once.
func (e *Endpoint) control(ctx context.Context, from *caller, c *snapctlcmd.Command) error {
	if len(c.Positional) == 0 {
		return errors.New("the required argument `<service> (at least 1 argument)` was not provided")
	}
	wanted, err := from.servicesNamed(c.Positional)
	if err != nil {
		return err
	}
	options := changes.ServiceOptions{Enable: c.Has("enable"), Disable: c.Has("disable"), Reload: c.Has("reload")}
	for _, service := range wanted {
		action := changes.Action{Name: c.Name, Service: service, ServiceOptions: options}
		if from.hook != nil {
			from.hook.Defer(action)
		} else {
			e.changes.ControlService(ctx, from.snap.Instance(), action)
		}
	}
	return nil
}
