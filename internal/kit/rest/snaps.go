package rest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// snapInfo describes a snap to clients.
//
// It has many fields because snapd's answer has.
type snapInfo struct {
	ID          string    `json:"id"`
	Summary     string    `json:"summary"`
	Description string    `json:"description"`
	Name        string    `json:"name"`
	Status      string    `json:"status"`
	Type        string    `json:"type"`
	Version     string    `json:"version"`
	Channel     string    `json:"channel"`
	Revision    string    `json:"revision"`
	Confinement string    `json:"confinement"`
	Private     bool      `json:"private"`
	DevMode     bool      `json:"devmode"`
	TryMode     bool      `json:"trymode,omitempty"`
	JailMode    bool      `json:"jailmode"`
	Apps        []appInfo `json:"apps,omitempty"`
	MountedFrom string    `json:"mounted-from,omitempty"`
	Publisher   *account  `json:"publisher,omitempty"`
}

type account struct {
	ID         string `json:"id"`
	Username   string `json:"username"`
	Display    string `json:"display-name"`
	Validation string `json:"validation"`
}

type appInfo struct {
	Snap        string      `json:"snap,omitempty"`
	Name        string      `json:"name"`
	Daemon      string      `json:"daemon,omitempty"`
	DaemonScope string      `json:"daemon-scope,omitempty"`
	Enabled     bool        `json:"enabled,omitempty"`
	Active      bool        `json:"active,omitempty"`
	Activators  []activator `json:"activators,omitempty"`
}

type activator struct {
	Name    string
	Type    string
	Active  bool
	Enabled bool
}

func snapOf(snap facts.Snap) snapInfo {
	info := snapInfo{Name: snap.Instance(), Status: "active", Type: "app", Version: snap.Version, Revision: snap.Revision,
		Summary: snap.Summary, Description: snap.Description, Confinement: cmp.Or(snap.Confinement, "strict"), TryMode: snap.Try,
		DevMode: snap.DevMode || snap.Confinement == "devmode", Apps: appsOf(snap), MountedFrom: snap.Dir}
	if snap.Publisher != "" {
		info.Publisher = &account{ID: snap.Publisher, Username: snap.Publisher, Display: snap.Publisher, Validation: "unproven"}
	}
	return info
}

// appsOf lists all apps of a snap, its services among them.
func appsOf(snap facts.Snap) []appInfo {
	list := servicesOf(snap)
	for name := range snap.Apps {
		list = append(list, appInfo{Snap: snap.Instance(), Name: name})
	}
	slices.SortFunc(list, func(a, b appInfo) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func servicesOf(snap facts.Snap) []appInfo {
	var list []appInfo
	for _, full := range snap.ServiceNames() {
		_, name, _ := strings.Cut(full, ".")
		service := snap.Services[name]
		app := appInfo{Snap: snap.Instance(), Name: name, Daemon: service.Daemon, DaemonScope: "system",
			Enabled: !service.Disabled, Active: service.Running}
		if service.Timer {
			app.Activators = []activator{{Name: name, Type: "timer", Active: !service.Disabled, Enabled: !service.Disabled}}
		}
		list = append(list, app)
	}
	return list
}

func (s *Server) listSnaps(r *http.Request) (reply, error) {
	query := r.URL.Query()
	switch query.Get("select") {
	case "", "all", "enabled", "refresh-inhibited":
	default:
		return reply{}, badRequest(fmt.Sprintf("invalid select parameter: %q", query.Get("select")))
	}
	names := commaSeparated(query.Get("snaps"))
	list := []snapInfo{}
	for _, snap := range s.world.Snaps() {
		if query.Get("select") == "refresh-inhibited" || len(names) > 0 && !slices.Contains(names, snap.Instance()) {
			continue
		}
		list = append(list, snapOf(snap))
	}
	return reply{result: list}, nil
}

func noSnap(name string) error {
	return &facts.Error{Status: http.StatusNotFound, Kind: facts.KindSnapNotFound, Message: "snap not installed", Value: name}
}

func (s *Server) showSnap(r *http.Request) (reply, error) {
	snap, err := s.world.Snap(r.PathValue("name"))
	if err != nil {
		return reply{}, noSnap(r.PathValue("name"))
	}
	return reply{result: snapOf(snap)}, nil
}

// An appQuery selects services only, or all apps.
type appQuery struct {
	of   func(facts.Snap) []appInfo
	kind string // the word for an app in errors
}

var (
	servicesOnly = appQuery{servicesOf, "service"}
	allApps      = appQuery{appsOf, "app"}
)

// namedApps finds apps by SNAP or SNAP.APP. Without names it returns all apps.
func (s *Server) namedApps(names []string, query appQuery) ([]appInfo, error) {
	var list []appInfo
	if len(names) == 0 {
		for _, snap := range s.world.Snaps() {
			list = append(list, query.of(snap)...)
		}
		return list, nil
	}
	for _, name := range names {
		instance, app, one := strings.Cut(name, ".")
		snap, err := s.world.Snap(instance)
		if err != nil {
			return nil, &facts.Error{Status: http.StatusNotFound, Kind: facts.KindSnapNotFound,
				Message: fmt.Sprintf("snap %q not found", instance), Value: instance}
		}
		apps := query.of(snap)
		if len(apps) == 0 && !one {
			return nil, &facts.Error{Status: http.StatusNotFound, Kind: "app-not-found",
				Message: fmt.Sprintf("snap %q has no %ss", instance, query.kind), Value: name}
		}
		if one {
			apps = slices.DeleteFunc(apps, func(a appInfo) bool { return a.Name != app })
			if len(apps) == 0 {
				return nil, &facts.Error{Status: http.StatusNotFound, Kind: "app-not-found",
					Message: fmt.Sprintf("snap %q has no %s %q", instance, query.kind, app), Value: name}
			}
		}
		list = append(list, apps...)
	}
	return list, nil
}

func (s *Server) listApps(r *http.Request) (reply, error) {
	query, wanted := r.URL.Query(), allApps
	switch selected := query.Get("select"); selected {
	case "":
	case "service":
		wanted = servicesOnly
	default:
		return reply{}, badRequest(fmt.Sprintf("invalid select parameter: %q", selected))
	}
	list, err := s.namedApps(commaSeparated(query.Get("names")), wanted)
	if err != nil {
		return reply{}, err
	}
	if list == nil {
		list = []appInfo{}
	}
	return reply{result: list}, nil
}

func (s *Server) controlApps(r *http.Request) (reply, error) {
	var body struct {
		Action string   `json:"action"`
		Names  []string `json:"names"`
		changes.ServiceOptions
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into service operation: %v", err))
	}
	if len(body.Names) == 0 {
		return reply{}, badRequest("cannot perform operation on services without a list of services to operate on")
	}
	if !slices.Contains([]string{"start", "stop", "restart"}, body.Action) {
		return reply{}, badRequest(fmt.Sprintf("unknown action %q", body.Action))
	}
	apps, err := s.namedApps(body.Names, servicesOnly)
	if err != nil {
		return reply{}, err
	}
	if len(apps) == 0 {
		return reply{}, badRequest("no services found") // the named snaps have none
	}
	names := make([]string, len(apps))
	for i, app := range apps {
		names[i] = app.Snap + "." + app.Name
	}
	change, err := s.world.Changes.Control(body.Action, names, body.ServiceOptions)
	return reply{change: change}, err
}
