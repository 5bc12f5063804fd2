package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"aspects-poc/internal/kit/world/facts"
)

// system is the snap that has the system's slots.
const system = "snapd"

type plugRef struct {
	Snap string `json:"snap"`
	Plug string `json:"plug"`
}

type slotRef struct {
	Snap string `json:"snap"`
	Slot string `json:"slot"`
}

type connectionInfo struct {
	Slot      slotRef        `json:"slot"`
	Plug      plugRef        `json:"plug"`
	Interface string         `json:"interface"`
	Manual    bool           `json:"manual,omitempty"`
	Gadget    bool           `json:"gadget,omitempty"`
	SlotAttrs map[string]any `json:"slot-attrs,omitempty"`
	PlugAttrs map[string]any `json:"plug-attrs,omitempty"`
}

type plugInfo struct {
	Snap        string         `json:"snap"`
	Plug        string         `json:"plug"`
	Interface   string         `json:"interface,omitempty"`
	Attrs       map[string]any `json:"attrs,omitempty"`
	Apps        []string       `json:"apps,omitempty"`
	Label       string         `json:"label,omitempty"`
	Connections []slotRef      `json:"connections,omitempty"`
}

type slotInfo struct {
	Snap        string    `json:"snap"`
	Slot        string    `json:"slot"`
	Interface   string    `json:"interface,omitempty"`
	Label       string    `json:"label,omitempty"`
	Connections []plugRef `json:"connections,omitempty"`
}

func attributes(p facts.Plug) map[string]any {
	attrs := map[string]any{}
	for name, value := range map[string]string{"account": p.Account, "view": p.View, "role": p.Role} {
		if value != "" {
			attrs[name] = value
		}
	}
	return attrs
}

// slots returns the names of the system's slots: one for each interface that a plug has.
func (s *Server) slots() []string {
	names := map[string]bool{"confdb": true}
	for _, snap := range s.world.Snaps() {
		for _, plug := range snap.Plugs {
			names[plug.Interface] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (s *Server) listConnections(r *http.Request) (reply, error) {
	query := r.URL.Query()
	instance, kind := query.Get("snap"), query.Get("interface")
	all := false
	switch query.Get("select") {
	case "":
	case "all":
		all = true
	default:
		return reply{}, badRequest("unsupported select qualifier")
	}
	if instance == "system" || instance == core {
		instance = system
	}
	if instance != "" && instance != system {
		if _, err := s.world.Snap(instance); err != nil {
			return reply{}, noSnap(instance)
		}
	}
	established := []connectionInfo{}
	plugged, slotted := map[plugRef][]slotRef{}, map[string][]plugRef{}
	for _, c := range s.world.Facts.Now().Connections() {
		plug, slot := plugRef{c.Snap, c.Plug}, slotRef{system, c.Plugged.Interface}
		plugged[plug] = append(plugged[plug], slot)
		slotted[slot.Slot] = append(slotted[slot.Slot], plug)
		if instance != "" && instance != plug.Snap && instance != system || kind != "" && kind != c.Plugged.Interface {
			continue
		}
		established = append(established, connectionInfo{Slot: slot, Plug: plug, Interface: c.Plugged.Interface,
			Manual: !facts.AutoConnected(c.Plugged), PlugAttrs: attributes(c.Plugged)})
	}
	plugs, slots := []plugInfo{}, []slotInfo{}
	for _, snap := range s.world.Snaps() {
		if instance != "" && instance != snap.Instance() && instance != system {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(snap.Plugs)) {
			plug := snap.Plugs[name]
			ref := plugRef{snap.Instance(), name}
			if kind != "" && kind != plug.Interface || !all && plugged[ref] == nil {
				continue
			}
			if instance == system && plugged[ref] == nil {
				continue
			}
			plugs = append(plugs, plugInfo{Snap: ref.Snap, Plug: name, Interface: plug.Interface, Attrs: attributes(plug),
				Connections: plugged[ref]})
		}
	}
	for _, name := range s.slots() {
		mine := slices.ContainsFunc(slotted[name], func(p plugRef) bool { return p.Snap == instance })
		if kind != "" && kind != name || instance != "" && instance != system && !mine || !all && slotted[name] == nil {
			continue
		}
		slots = append(slots, slotInfo{Snap: system, Slot: name, Interface: name, Connections: slotted[name]})
	}
	return reply{result: map[string]any{"established": established, "plugs": plugs, "slots": slots}}, nil
}

// listInterfaces returns the interfaces if the query has select, else plugs and slots.
func (s *Server) listInterfaces(r *http.Request) (reply, error) {
	query := r.URL.Query()
	switch query.Get("select") {
	case "":
		plugs, slots := []plugInfo{}, []slotInfo{}
		for _, snap := range s.world.Snaps() {
			for _, name := range slices.Sorted(maps.Keys(snap.Plugs)) {
				plugs = append(plugs, plugInfo{Snap: snap.Instance(), Plug: name, Interface: snap.Plugs[name].Interface,
					Attrs: attributes(snap.Plugs[name])})
			}
		}
		for _, name := range s.slots() {
			slots = append(slots, slotInfo{Snap: system, Slot: name, Interface: name})
		}
		return reply{result: map[string]any{"plugs": plugs, "slots": slots}}, nil
	case "all", "connected":
		return reply{result: s.describeInterfaces(query)}, nil
	default:
		return reply{}, badRequest("unsupported select qualifier")
	}
}

// An interfaceInfo is an interface in snapd's API.
type interfaceInfo struct {
	Name    string     `json:"name"`
	Summary string     `json:"summary,omitempty"`
	Doc     string     `json:"doc-url,omitempty"`
	Plugs   []plugInfo `json:"plugs,omitempty"`
	Slots   []slotInfo `json:"slots,omitempty"`
}

// summaries are snapd's descriptions of some interfaces, by name.
var summaries = map[string]string{
	"confdb": "allows accessing a confdb through a view", "network": "allows access to the network",
	"network-bind": "allows operating as a network service",
}

// describeInterfaces returns the interfaces that a query selects. select=connected selects those with a connected plug.
func (s *Server) describeInterfaces(query url.Values) []interfaceInfo {
	list := []interfaceInfo{}
	names := commaSeparated(query.Get("names"))
	for _, name := range s.slots() {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		connected := slices.ContainsFunc(s.world.Facts.Now().Connections(), func(c facts.Connection) bool { return c.Plugged.Interface == name })
		if query.Get("select") == "connected" && !connected {
			continue
		}
		info := interfaceInfo{Name: name, Summary: summaries[name]}
		if query.Get("doc") == "true" {
			info.Doc = "https://snapcraft.io/docs/" + name + "-interface"
		}
		if query.Get("plugs") == "true" {
			for _, snap := range s.world.Snaps() {
				for _, plug := range slices.Sorted(maps.Keys(snap.Plugs)) {
					if snap.Plugs[plug].Interface == name {
						info.Plugs = append(info.Plugs, plugInfo{Snap: snap.Instance(), Plug: plug, Attrs: attributes(snap.Plugs[plug])})
					}
				}
			}
		}
		if query.Get("slots") == "true" {
			info.Slots = []slotInfo{{Snap: system, Slot: name}}
		}
		list = append(list, info)
	}
	return list
}

func (s *Server) changeInterfaces(r *http.Request) (reply, error) {
	var body struct {
		Action string    `json:"action"`
		Forget bool      `json:"forget"`
		Plugs  []plugRef `json:"plugs"`
		Slots  []slotRef `json:"slots"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into an interface action: %v", err))
	}
	switch {
	case body.Action == "":
		return reply{}, badRequest("interface action not specified")
	case len(body.Plugs) > 1 || len(body.Slots) > 1:
		return reply{}, refuse(http.StatusNotImplemented, "many-to-many operations are not implemented")
	case body.Action != "connect" && body.Action != "disconnect":
		return reply{}, badRequest(fmt.Sprintf("unsupported interface action: %q", body.Action))
	case len(body.Plugs) == 0 || len(body.Slots) == 0:
		return reply{}, badRequest("at least one plug and slot is required")
	}
	plug, slot := body.Plugs[0], body.Slots[0]
	summary := ""
	if body.Action == "disconnect" && plug == (plugRef{}) {
		summary = fmt.Sprintf("Disconnect : from %s:%s", slot.Snap, slot.Slot) // as snapd words it
		// `snap disconnect SNAP:NAME` does not say whether NAME is a plug or a slot. Snaps here have only plugs.
		plug, slot = plugRef{slot.Snap, slot.Slot}, slotRef{}
	}
	snap, err := s.world.Snap(plug.Snap)
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("snap %q is not installed", plug.Snap))
	}
	declared, found := snap.Plugs[plug.Plug]
	if !found {
		what := map[bool]string{true: "plug", false: "plug or slot"}[body.Action == "connect"]
		return reply{}, badRequest(fmt.Sprintf("snap %q has no %s named %q", plug.Snap, what, plug.Plug))
	}
	if err := s.fits(plug, slot, declared.Interface); err != nil {
		return reply{}, err
	}
	if body.Action == "connect" {
		change, err := s.world.Changes.Connect(plug.Snap, plug.Plug)
		return reply{change: change}, err
	}
	if !slices.ContainsFunc(s.world.Facts.Now().Connections(), func(c facts.Connection) bool {
		return c.Snap == plug.Snap && c.Plug == plug.Plug
	}) {
		if slot == (slotRef{}) {
			return reply{}, &facts.Error{Status: http.StatusBadRequest, Kind: "interfaces-unchanged", Message: "nothing to do"}
		}
		return reply{}, badRequest(fmt.Sprintf("cannot disconnect %s:%s from %s:%s, it is not connected", plug.Snap, plug.Plug,
			system, declared.Interface))
	}
	change, err := s.world.Changes.Disconnect(plug.Snap, plug.Plug, summary)
	return reply{change: change}, err
}

// fits returns an error if a plug of an interface cannot be connected to a slot. Only the system's slot of that interface
// fits, under any of the system's names.
func (s *Server) fits(plug plugRef, slot slotRef, kind string) error {
	if !slices.Contains([]string{"", "system", core, system}, slot.Snap) {
		if _, err := s.world.Snap(slot.Snap); err != nil {
			return badRequest(fmt.Sprintf("snap %q is not installed", slot.Snap))
		}
		return badRequest(fmt.Sprintf("snap %q has no %q interface slots", slot.Snap, kind))
	}
	switch {
	case slot.Slot == "" || slot.Slot == kind:
		return nil
	case slices.Contains(s.slots(), slot.Slot):
		return badRequest(fmt.Sprintf("cannot connect %s:%s (%q interface) to %s:%s (%q interface)", plug.Snap, plug.Plug, kind,
			system, slot.Slot, slot.Slot))
	default:
		return badRequest(fmt.Sprintf("snap %q has no slot named %q", system, slot.Slot))
	}
}
