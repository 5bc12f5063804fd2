package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/roles/server/audit"

	"github.com/google/uuid"
)

// mostNamed is the largest number of names in a record of the audit log.
const mostNamed = 5

// recordDevice sets in the record of an act the device that word names.
func recordDevice(ctx context.Context, word string, id uuid.UUID) {
	audit.From(ctx).Amend(func(r *audit.Record) {
		r.Thing = strings.Replace(r.Thing, "devices/"+word, string(DeviceLayer(id)), 1)
	})
}

// recordBatch sets in the record of an act the layers that it changes, without their values.
func recordBatch(ctx context.Context, batch Batch) {
	pending := audit.From(ctx)
	if pending == nil {
		return
	}
	details := ""
	if len(batch.Changes) == 1 {
		if selector := batch.Changes[0].Selector.String(); selector != "" {
			details = "selector " + selector
		}
	} else {
		var names []string
		for _, change := range batch.Changes {
			name := string(change.Name)
			if change.Remove {
				name += " (removed)"
			}
			names = append(names, name)
		}
		details = Listed(names, mostNamed)
	}
	if batch.Release != nil {
		details = strings.TrimPrefix(fmt.Sprintf("%s, in %d stages", details, len(batch.Release.Plan.Stages)), ", ")
	}
	pending.Amend(func(r *audit.Record) {
		if r.Details == "" { // else it is what is restored
			r.Details = details
		}
		if len(batch.Changes) == 1 && strings.HasPrefix(r.Thing, "layers") {
			r.Thing = "layers/" + string(batch.Changes[0].Name)
		}
	})
}

// recordDetails sets the details in the record of an act.
func recordDetails(ctx context.Context, details string) {
	audit.From(ctx).Amend(func(r *audit.Record) { r.Details = details })
}

// recordPatch sets in the record of an act the labels that it sets and removes.
func recordPatch(ctx context.Context, patch map[string]*string) {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		if value := patch[name]; value != nil {
			words = append(words, name+"="+*value)
		} else {
			words = append(words, name+" removed")
		}
	}
	recordDetails(ctx, Listed(words, mostNamed))
}

// recordSecret sets in the record of an act the named secret that it changes.
func recordSecret(ctx context.Context, name string) {
	audit.From(ctx).Amend(func(r *audit.Record) { r.Thing = "secrets/" + name })
}

// byItself returns a context for a move of a release by the server itself.
func (f *Fleet) byItself(ctx context.Context, verb string, of Release, details string) context.Context {
	return audit.With(ctx, audit.Begin(audit.Record{At: f.options.Now(), Kind: audit.Server, Name: fmt.Sprint("release ", of.ID), Verb: cmp.Or(verb, "move"),
		Thing: fmt.Sprint("releases/", of.ID), Details: details}))
}
