// Package plan finds the smallest writes that bring what views show to a target, and asks the engine whether the
// confdb-schema takes them, before anything is written.
package plan

import (
	"encoding/json"

	"aspects-poc/registry"
)

// Make plans how to bring current (view name -> the document that its readers see) to target: a partial document for
// each view, in which null unsets, a list replaces the whole list, and what is not named stays (RFC 7396). The schema
// is a confdb-schema's JSON as for registry.Options.Documents. The plan is empty when nothing is to do.
//
// A target that the schema's rules or types refuse is a *registry.Error of kind ErrNoView, ErrNoMatch, ErrBadRequest or
// ErrInvalid, with the storage path and the reason in the engine's words; then nothing should be written.
func Make(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error) {
	panic("not yet")
}
