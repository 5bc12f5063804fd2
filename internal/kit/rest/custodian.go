package rest

import (
	"fmt"

	"aspects-poc/internal/kit/world/facts"
)

// standIn adds the snap of Options.Custodian, or connects it to new views. A machine without snaps needs it, because snapd
// refuses every access to a view without a custodian.
func (s *Server) standIn() error {
	name := s.options.Custodian
	if name == "" {
		return nil
	}
	snap, err := s.world.Snap(name)
	if err != nil {
		snap = facts.Snap{Name: name, Version: "1"}
	}
	plugs := map[string]facts.Plug{}
	for _, schema := range s.world.Facts.Now().Schemas() {
		for _, view := range schema.Parsed.Views() {
			plug := facts.Plug{Interface: "confdb", Account: schema.Parsed.Account, View: schema.Parsed.Name + "/" + view,
				Role: facts.Custodian}
			// A plug has the name of its view. If two confdb-schemas have a view of that name, it has both names.
			id := view
			if taken, found := plugs[id]; found && taken != plug {
				id = schema.Parsed.Name + "-" + view
			}
			for n := 2; plugs[id] != (facts.Plug{}); n++ {
				id = fmt.Sprintf("%s-%s-%d", schema.Parsed.Name, view, n)
			}
			plugs[id] = plug
		}
	}
	var fresh []string // only new plugs: one that somebody has disconnected stays disconnected
	for id, plug := range plugs {
		if old, found := snap.Plugs[id]; !found || old != plug {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 && len(plugs) == len(snap.Plugs) {
		return nil
	}
	snap.Plugs = plugs
	if err := s.world.Facts.Install(snap, fresh...); err != nil {
		return fmt.Errorf("cannot add the custodian %q: %w", name, err)
	}
	return nil
}
