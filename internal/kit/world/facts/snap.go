package facts

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/backend"
)

// A Snap is an installed snap, in the form in which the Store stores it. Package snapfile has the contents of a snap's files.
//
// It has many fields because it is a record of state.json: one field for each member.
type Snap struct {
	Name        string `json:"name"`
	Key         string `json:"key,omitempty"` // of a parallel instance
	Version     string `json:"version,omitempty"`
	Revision    string `json:"revision,omitempty"` // "" means FirstRevision
	Summary     string `json:"summary,omitempty"`
	Description string `json:"description,omitempty"`
	Confinement string `json:"confinement,omitempty"` // "" means "strict"
	Try         bool   `json:"try,omitempty"`         // installed by snap try
	DevMode     bool   `json:"devmode,omitempty"`     // installed without confinement; has no effect
	// Publisher is the account ID of the publisher, "" for a local snap. Plugs for confdb-schemas of this account connect by
	// themselves.
	Publisher string             `json:"publisher,omitempty"`
	Plugs     map[string]Plug    `json:"plugs,omitempty"`
	Hooks     []string           `json:"hooks,omitempty"` // names
	Services  map[string]Service `json:"services,omitempty"`
	Apps      map[string]App     `json:"apps,omitempty"` // apps that are no services
	// HookSettings say how a hook runs if it needs more than the snap's environment.
	HookSettings map[string]Setting `json:"hook-settings,omitempty"`
	// Dir has its files; $SNAP is its path.
	Dir string `json:"dir,omitempty"`
	// Environment is for all hooks and apps.
	Environment []Variable `json:"environ,omitempty"`
}

// A Variable is a variable of an environment. As $NAME, its value may use snapd's variables and the ones before it.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Setting has the settings with which a hook or an app runs.
type Setting struct {
	Environment []Variable `json:"environ,omitempty"`       // besides the snap's
	Chain       []string   `json:"command-chain,omitempty"` // programs of the snap; each runs the next, the last runs the app
}

// An App is a command of a snap.
type App struct {
	Command string `json:"command"` // split at spaces; $NAME is a variable
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

// Custodian is the role of a plug whose snap's hooks check and change what is written through the view.
const Custodian = "custodian"

// A Service is an app of a snap that runs as a daemon.
type Service struct {
	Command  string `json:"command"`
	Daemon   string `json:"daemon,omitempty"` // "simple", "oneshot", …
	Timer    bool   `json:"timer,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Running  bool   `json:"running,omitempty"`
	// Restart says when a service that has ended is started again; "" means "on-failure". RestartDelay is the time between;
	// 0 means systemd's default.
	Restart      string        `json:"restart,omitempty"`
	RestartDelay time.Duration `json:"restart-delay,omitempty"`
	Setting
}

// Instance returns the snap's name, with the key of a parallel instance.
func (s *Snap) Instance() string {
	if s.Key == "" {
		return s.Name
	}
	return s.Name + "_" + s.Key
}

// Has reports whether the snap has a hook.
func (s *Snap) Has(hook string) bool { return slices.Contains(s.Hooks, hook) }

// ID returns the view that a plug is for. ok is false if the interface is not confdb, or View is not in the form SCHEMA/VIEW.
func (p Plug) ID() (id backend.ViewID, ok bool) {
	schema, view, found := strings.Cut(p.View, "/")
	if p.Interface != "confdb" || !found || strings.Contains(view, "/") {
		return backend.ViewID{}, false
	}
	return backend.ViewID{Account: p.Account, Schema: schema, View: view}, true
}

func (s *Snap) copied() Snap {
	c := *s
	c.Plugs, c.Services = maps.Clone(s.Plugs), maps.Clone(s.Services)
	c.Apps, c.HookSettings = maps.Clone(s.Apps), maps.Clone(s.HookSettings)
	c.Hooks, c.Environment = slices.Clone(s.Hooks), slices.Clone(s.Environment)
	return c
}

// Complete returns a copy of the snap with the defaults filled in. It returns an error if the snap has no name.
func (s *Snap) Complete() (Snap, error) {
	if s.Name == "" {
		return Snap{}, errors.New("cannot install a snap without a name")
	}
	snap := s.copied()
	snap.Revision = cmp.Or(snap.Revision, FirstRevision)
	if snap.Services == nil {
		snap.Services = map[string]Service{}
	}
	return snap, nil
}

func connection(instance, plug string) string { return instance + ":" + plug }

// plugOf returns the plug of a connection if it is the snap's, else "".
func plugOf(instance, id string) string {
	plug, found := strings.CutPrefix(id, instance+":")
	if !found {
		return ""
	}
	return plug
}

// ServiceNames returns the names of the snap's services, sorted, as SNAP.SERVICE.
func (s *Snap) ServiceNames() []string {
	var names []string
	for _, name := range sortedKeys(s.Services) {
		names = append(names, s.Instance()+"."+name)
	}
	return names
}

// States reports which services run.
type States interface {
	// Active reports whether a service runs. known is false if States does not run services.
	Active(instance, service string) (active, known bool)
}

// With returns a copy of the snap with Running of each service set from states, which may be nil.
func (s Snap) With(states States) Snap {
	if states == nil {
		return s
	}
	current := s.copied()
	for name, service := range current.Services {
		if active, known := states.Active(current.Instance(), name); known {
			service.Running = active
			current.Services[name] = service
		}
	}
	return current
}

// AutoConnected reports whether snapd connects such a plug of a local snap by itself.
func AutoConnected(p Plug) bool { return p.Interface == "network" || p.Interface == "network-bind" }

// ConnectsItself reports whether snapd connects a plug of the snap by itself when it installs the snap, or refreshes old to
// it. A plug that old has stays as it is, because somebody may have disconnected it.
func (s *Snap) ConnectsItself(plug string, old *Snap) bool {
	p := s.Plugs[plug]
	if old != nil && old.Plugs[plug] != (Plug{}) {
		return false
	}
	return AutoConnected(p) || p.Interface == "confdb" && s.Publisher != "" && s.Publisher == p.Account
}
