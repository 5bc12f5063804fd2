package world

import (
	"fmt"
	"maps"
	"slices"
)

// An Assertion is one that is kept as it came, besides the confdb-schemas: nothing here depends on it.
type Assertion struct {
	Name     string `json:"-"` // as snapd names it: "account (ID)"
	Revision int    `json:"revision,omitempty"`
	Text     string `json:"text"`
}

// Acknowledge makes confdb-schemas known, all or none. As on snapd the same revision again changes nothing, an earlier
// one is refused, a later one counts from the next access on, and what is stored is not looked at.
func (w *World) Acknowledge(schemas ...Schema) error { return w.AcknowledgeAll(nil, schemas) }

// AcknowledgeAll is Acknowledge for a stream in which there are other assertions, too.
func (w *World) AcknowledgeAll(others []Assertion, schemas []Schema) error {
	return w.change(func() error {
		assertions, known := maps.Clone(w.state.Assertions), maps.Clone(w.parsed)
		for _, other := range others {
			now, found := assertions[other.Name]
			switch {
			case found && now.Revision > other.Revision:
				return olderRevision(other.Revision, now.Revision)
			case !found || now.Revision < other.Revision:
				assertions[other.Name] = other
			}
		}
		var later []Schema
		for _, schema := range schemas {
			now := known[schema.ID()]
			switch {
			case now != nil && now.Parsed.Revision > schema.Parsed.Revision:
				return olderRevision(schema.Parsed.Revision, now.Parsed.Revision)
			case now == nil || now.Parsed.Revision < schema.Parsed.Revision:
				known[schema.ID()] = &schema
				later = append(later, schema)
			}
		}
		w.state.Assertions = assertions
		for _, schema := range later {
			w.replace(schema)
		}
		return nil
	})
}

func olderRevision(given, current int) error {
	return badRequest(fmt.Sprintf("revision %d is older than current revision %d", given, current))
}

// Assertions returns those that are kept besides confdb-schemas, sorted by name.
func (w *World) Assertions() []Assertion {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Assertion
	for _, name := range slices.Sorted(maps.Keys(w.state.Assertions)) {
		a := w.state.Assertions[name]
		a.Name = name
		list = append(list, a)
	}
	return list
}
