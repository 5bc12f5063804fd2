package world

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/backend"
)

// A Snap is an installed snap.
type Snap struct {
	Name        string `json:"name"`
	Key         string `json:"key,omitempty"` // of a parallel instance
	Version     string `json:"version,omitempty"`
	Revision    string `json:"revision,omitempty"` // FirstRevision if empty
	Summary     string `json:"summary,omitempty"`
	Description string `json:"description,omitempty"`
	Confinement string `json:"confinement,omitempty"` // "strict" if empty
	Try         bool   `json:"try,omitempty"`         // it came by snap try
	DevMode     bool   `json:"devmode,omitempty"`     // it was installed without confinement, which is noted only
	// Publisher is the account ID of the publisher, "" for a local snap, of which snapd knows none. Plugs for confdb of
	// the publisher's own account are connected by themselves.
	Publisher string             `json:"publisher,omitempty"`
	Plugs     map[string]Plug    `json:"plugs,omitempty"`
	Hooks     []string           `json:"hooks,omitempty"` // names
	Services  map[string]Service `json:"services,omitempty"`
	Apps      map[string]App     `json:"apps,omitempty"` // those that are no services
	// HookSettings say how hooks are run, those that need more than the snap's own environment.
	HookSettings map[string]Setting `json:"hook-settings,omitempty"`
	// Dir is where its files are; for the Runner. $SNAP points there.
	Dir string `json:"dir,omitempty"`
	// Environment is what the snap declares for all of its hooks and apps.
	Environment []Variable `json:"environ,omitempty"`
}

// A Variable is one of an environment. Its value may name others, of snapd and of those before it, as $NAME.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Setting is how a hook or an app is run.
type Setting struct {
	Environment []Variable `json:"environ,omitempty"`       // beside the snap's
	Chain       []string   `json:"command-chain,omitempty"` // programs of the snap, the first of which is told to run the rest
}

// An App is a command of a snap.
type App struct {
	Command string `json:"command"` // with $NAME for variables, split at spaces
	Setting
}

// A Plug is a plug of a snap.
type Plug struct {
	Interface string `json:"interface"`         // "confdb", or another one
	Account   string `json:"account,omitempty"` // of the confdb-schema
	View      string `json:"view,omitempty"`    // SCHEMA/VIEW
	Role      string `json:"role,omitempty"`    // "custodian" or ""
}

// FirstRevision is the revision of a local snap.
const FirstRevision = "x1"

// Custodian is the role of a plug whose snap answers for the view.
const Custodian = "custodian"

// A Service is an app of a snap that runs as a daemon.
type Service struct {
	Command  string `json:"command"`
	Daemon   string `json:"daemon,omitempty"` // "simple", "oneshot", …
	Timer    bool   `json:"timer,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Running  bool   `json:"running,omitempty"`
	// Restart says when it is started again that has ended: "on-failure" if empty; RestartDelay how long after that, as
	// systemd has it if zero.
	Restart      string        `json:"restart,omitempty"`
	RestartDelay time.Duration `json:"restart-delay,omitempty"`
	Setting
}

// Instance is the snap's name with the key of a parallel instance.
func (s *Snap) Instance() string {
	if s.Key == "" {
		return s.Name
	}
	return s.Name + "_" + s.Key
}

// Has tells whether the snap has a hook.
func (s *Snap) Has(hook string) bool { return slices.Contains(s.Hooks, hook) }

// ID is the view that a confdb plug is for; ok is false for plugs of another kind and such that name no view.
func (p Plug) ID() (id backend.ViewID, ok bool) {
	schema, view, found := strings.Cut(p.View, "/")
	if p.Interface != "confdb" || !found || strings.Contains(view, "/") {
		return backend.ViewID{}, false
	}
	return backend.ViewID{Account: p.Account, Schema: schema, View: view}, true
}

// Snaps returns the installed snaps, sorted by instance name.
func (w *World) Snaps() []Snap {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Snap
	for _, name := range slices.Sorted(maps.Keys(w.state.Snaps)) {
		list = append(list, w.asIs(w.state.Snaps[name]))
	}
	return list
}

// asIs returns a copy of a snap that says which of its services run now. The caller has the lock.
func (w *World) asIs(snap *Snap) Snap {
	copied := snap.copied()
	runner, ok := w.options.Services.(interface {
		Active(instance, service string) (active, known bool)
	})
	if !ok {
		return copied
	}
	for name, service := range copied.Services {
		if active, known := runner.Active(copied.Instance(), name); known {
			service.Running = active
			copied.Services[name] = service
		}
	}
	return copied
}

// Snap returns an installed snap.
func (w *World) Snap(instance string) (Snap, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	snap, err := w.snap(instance)
	if err != nil {
		return Snap{}, err
	}
	return w.asIs(snap), nil
}

func (w *World) snap(instance string) (*Snap, error) {
	snap := w.state.Snaps[instance]
	if snap == nil {
		return nil, &Error{Status: http.StatusNotFound, Kind: KindSnapNotFound, Value: instance,
			Message: fmt.Sprintf("snap %q is not installed", instance)}
	}
	return snap, nil
}

func (s *Snap) copied() Snap {
	c := *s
	c.Plugs, c.Services = maps.Clone(s.Plugs), maps.Clone(s.Services)
	c.Apps, c.HookSettings = maps.Clone(s.Apps), maps.Clone(s.HookSettings)
	c.Hooks, c.Environment = slices.Clone(s.Hooks), slices.Clone(s.Environment)
	return c
}

// Put adds a snap, or replaces it as a refresh does: connections of plugs that are still there stay. No hooks are run;
// Install does that.
// Plugs that are named are connected, too.
func (w *World) Put(snap Snap, plugs ...string) error {
	snap, err := installable(snap)
	if err != nil {
		return err
	}
	return w.change(func() error {
		old := w.state.Snaps[snap.Instance()]
		w.put(snap)
		for plug := range snap.Plugs {
			if snap.connectsItself(plug, old) {
				w.state.Connections[connection(snap.Instance(), plug)] = true
			}
		}
		for _, plug := range plugs {
			w.state.Connections[connection(snap.Instance(), plug)] = true
		}
		return nil
	})
}

// installable returns a copy of a snap with all that a snap has.
func installable(snap Snap) (Snap, error) {
	if snap.Name == "" {
		return Snap{}, errors.New("cannot install a snap without a name")
	}
	snap = snap.copied()
	snap.Revision = cmp.Or(snap.Revision, FirstRevision)
	if snap.Services == nil {
		snap.Services = map[string]Service{}
	}
	return snap, nil
}

// Drop removes a snap and its connections; what is stored stays. No hooks are run; Remove does that.
func (w *World) Drop(instance string) error {
	return w.change(func() error {
		if _, err := w.snap(instance); err != nil {
			return err
		}
		w.drop(instance)
		return nil
	})
}

func connection(instance, plug string) string { return instance + ":" + plug }

// plugOf is the plug of a connection of this snap, "" for one of another.
func plugOf(instance, id string) string {
	plug, found := strings.CutPrefix(id, instance+":")
	if !found {
		return ""
	}
	return plug
}

// Link connects a plug without running hooks; Connect runs them.
func (w *World) Link(instance, plug string) error { return w.link(instance, plug, true) }

// Unlink disconnects a plug without running hooks; Disconnect runs them.
func (w *World) Unlink(instance, plug string) error { return w.link(instance, plug, false) }

func (w *World) link(instance, plug string, connected bool) error {
	return w.change(func() error {
		_, err := w.linked(instance, plug, connected)
		return err
	})
}

func (w *World) hasPlug(instance, plug string) error {
	snap, err := w.snap(instance)
	if err != nil {
		return err
	}
	if _, found := snap.Plugs[plug]; !found {
		return badRequest(fmt.Sprintf("snap %q has no plug named %q", instance, plug))
	}
	return nil
}

// A Connection is a connected plug.
type Connection struct {
	Snap, Plug string
	Plugged    Plug
}

// Connections returns the connected plugs, sorted by snap and plug.
func (w *World) Connections() []Connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections(func(Plug) bool { return true })
}

// connections returns the connected plugs that are wanted, by snap and plug.
func (w *World) connections(want func(Plug) bool) []Connection {
	var list []Connection
	for _, instance := range slices.Sorted(maps.Keys(w.state.Snaps)) {
		plugs := w.state.Snaps[instance].Plugs
		for _, name := range slices.Sorted(maps.Keys(plugs)) {
			if w.state.Connections[connection(instance, name)] && want(plugs[name]) {
				list = append(list, Connection{Snap: instance, Plug: name, Plugged: plugs[name]})
			}
		}
	}
	return list
}

// custodians returns the connected plugs of a view whose snaps answer for it: one per snap.
func (w *World) custodians(id backend.ViewID) []Connection {
	list := w.connections(func(p Plug) bool {
		of, ok := p.ID()
		return ok && of == id && p.Role == Custodian
	})
	return slices.CompactFunc(list, func(a, b Connection) bool { return a.Snap == b.Snap })
}

// SnapctlCookie returns the cookie of a snap's apps and services.
func (w *World) SnapctlCookie(instance string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.snap(instance); err != nil {
		return "", err
	}
	return w.state.Cookies[instance], nil
}
