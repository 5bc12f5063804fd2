package facts

import (
	"fmt"
	"maps"
)

// An Assertion is an acknowledged assertion that is no confdb-schema. Nothing here depends on it.
type Assertion struct {
	Name     string `json:"-"` // as snapd names it: "account (ID)"
	Revision int    `json:"revision,omitempty"`
	Text     string `json:"text"`
}

// Acknowledge adds assertions and confdb-schemas, all or none. As on snapd, the present revision changes nothing, and an earlier
// revision is an *Error. A later one is in force from the next access on, even if the stored values do not fit it.
func (d *Draft) Acknowledge(schemas []Schema, others []Assertion) error {
	assertions, known := maps.Clone(d.assertions), maps.Clone(d.schemas)
	for _, other := range others {
		now, found := assertions[other.Name]
		switch {
		case found && now.Revision > other.Revision:
			return olderRevision(other.Revision, now.Revision)
		case !found || now.Revision < other.Revision:
			assertions[other.Name] = other
		}
	}
	for _, schema := range schemas {
		now := known[schema.ID()]
		switch {
		case now != nil && now.Parsed.Revision > schema.Parsed.Revision:
			return olderRevision(schema.Parsed.Revision, now.Parsed.Revision)
		case now == nil || now.Parsed.Revision < schema.Parsed.Revision:
			known[schema.ID()] = &schema
		}
	}
	d.assertions, d.schemas = assertions, known
	return nil
}

func olderRevision(given, current int) error {
	return BadRequest(fmt.Sprintf("revision %d is older than current revision %d", given, current))
}
