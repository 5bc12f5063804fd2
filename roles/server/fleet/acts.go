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

// mostNamed is the number of things that a record of the audit log names.
const mostNamed = 5

// tellDevice says in the record of an act which device its word stands for.
func tellDevice(ctx context.Context, word string, id uuid.UUID) {
	audit.From(ctx).Amend(func(r *audit.Record) {
		r.Thing = strings.Replace(r.Thing, "devices/"+word, string(DeviceLayer(id)), 1)
	})
}

// tellBatch says in the record of an act which layers it changes, without their values.
func tellBatch(ctx context.Context, batch Batch) {
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

// tellDetails says more of an act in its record.
func tellDetails(ctx context.Context, details string) {
	audit.From(ctx).Amend(func(r *audit.Record) { r.Details = details })
}

// tellPatch says in the record of an act which labels it sets and removes.
func tellPatch(ctx context.Context, patch map[string]*string) {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		if value := patch[name]; value != nil {
			words = append(words, name+"="+*value)
		} else {
			words = append(words, name+" removed")
		}
	}
	tellDetails(ctx, Listed(words, mostNamed))
}

// tellSecret says in the record of an act which named secret it changes.
func tellSecret(ctx context.Context, name string) {
	audit.From(ctx).Amend(func(r *audit.Record) { r.Thing = "secrets/" + name })
}

// byItself returns a context in which the server itself moves a release.
func (f *Fleet) byItself(ctx context.Context, verb string, of Release, details string) context.Context {
	return audit.With(ctx, audit.Begin(audit.Record{At: f.options.Now(), Kind: audit.Server, Name: fmt.Sprint("release ", of.ID), Verb: cmp.Or(verb, "move"),
		Thing: fmt.Sprint("releases/", of.ID), Details: details}))
}
