package changes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/facts"
)

// Services starts and stops services of snaps.
type Services interface {
	// Service starts, stops or restarts ("start", "stop", "restart") a service and returns when that is done.
	Service(ctx context.Context, action string, snap facts.Snap, service string) error
}

// ServiceOptions are options for starting, stopping and restarting services.
type ServiceOptions struct {
	Enable  bool `json:"enable"`  // with start: also at each start of the machine
	Disable bool `json:"disable"` // with stop: not at the next start of the machine
	Reload  bool `json:"reload"`  // with restart: without a stop where the service can; here none can
}

// An Action is an action to perform on a service: "start", "stop" or "restart". Service is SNAP.SERVICE.
type Action struct {
	Name, Service string
	ServiceOptions
}

// Control begins to start, stop or restart services, given as SNAP.SERVICE, and returns the ID of the change.
func (m *Manager) Control(action string, services []string, options ServiceOptions) (string, error) {
	var tasks []task
	for len(services) > 0 {
		instance, _, _ := strings.Cut(services[0], ".")
		var own, names []string
		services = slices.DeleteFunc(slices.Clone(services), func(service string) bool {
			name, mine := strings.CutPrefix(service, instance+".")
			if mine {
				own, names = append(own, service), append(names, fmt.Sprintf("%q", name))
			}
			return mine
		})
		summary := fmt.Sprintf("Run service command %q for services [%s] of snap %q", action, strings.Join(names, " "), instance)
		tasks = append(tasks, task{kind: "service-control", summary: summary, do: func(ctx context.Context, _ *change) error {
			for _, service := range own {
				m.ControlService(ctx, instance, Action{action, service, options})
			}
			return nil
		}})
	}
	return m.beginID(plan{kind: "service-control", summary: "Running service command", tasks: tasks})
}

// ControlService performs an action on a service, if the snap has it. An error of Services is in the event only, as on snapd.
func (p *performer) ControlService(ctx context.Context, instance string, a Action) {
	_, name, _ := strings.Cut(a.Service, ".")
	var snap facts.Snap
	found := false
	p.facts.Amend(func(d *facts.Draft) {
		present, err := d.Snap(instance)
		if err != nil {
			return
		}
		var service facts.Service
		if service, found = present.Services[name]; !found {
			return
		}
		service.Disabled = service.Disabled && !(a.Name == "start" && a.Enable) || a.Name == "stop" && a.Disable
		service.Running = a.Name != "stop" && service.Daemon != "oneshot"
		d.SetService(instance, name, service)
		snap, _ = d.Snap(instance)
	})
	if !found {
		return
	}
	e := Event{Kind: ServiceAsked, Time: p.options.Now(), Snap: instance, Service: name, Action: a.Name}
	if p.options.Services != nil {
		if err := p.options.Services.Service(ctx, a.Name, snap, name); err != nil {
			e.Err = err.Error()
		}
	}
	p.events.report(e)
}
