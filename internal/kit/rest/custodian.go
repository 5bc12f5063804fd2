package rest

import (
	"fmt"

	"aspects-poc/internal/kit/world/facts"
)

// A standIn is a snap without hooks that is connected custodian of every view there is: for machines whose own snaps are
// not loaded, as snapd answers for no view without a custodian.
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
			// Plugs are named after views, as people do; where two confdb-schemas have one of the same name, by both.
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
	var fresh []string // a plug that somebody has disconnected stays so
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
