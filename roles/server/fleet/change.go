package fleet

import "time"

// A Change is what is to become of a layer.
type Change struct {
	Layer  // Revision has no meaning
	Remove bool
	// Match is the revision that the layer has to have; 0: there must be none. Nil: whatever it is.
	Match *int64
	// Secrets are the named secrets that Config refers to, with the revisions at which they were checked.
	Secrets map[string]int64
	// Restores is the revision that is gone back to, for the history; 0 for none.
	Restores int64
}

// Apply returns the layer after the change under a revision, and the change's entry in the history. Before is the layer
// as it is, of revision 0 where there is none. A change that changes nothing returns before, and no entry: it uses no
// revision. Apply returns a *StaleError if before is not at the revision that the change wants, and ErrUnknownLayer if
// there is no layer to remove.
func (c Change) Apply(before Layer, revision int64) (Layer, *Entry, error) {
	there := before.Revision > 0
	switch {
	case c.Match != nil && *c.Match != before.Revision:
		return Layer{}, nil, &StaleError{Revision: before.Revision}
	case c.Remove && !there:
		return Layer{}, nil, ErrUnknownLayer
	case !c.Remove && there && c.same(before):
		return before, nil, nil
	}
	after := c.Layer
	after.Revision, after.At = revision, toSecond(after.At)
	if c.Remove {
		after.Selector, after.Priority = before.Selector, before.Priority
	}
	entry := &Entry{Revision: revision, Authorship: after.Authorship, Layer: after.Name, Action: Set, Restores: c.Restores,
		Selector: after.Selector, Priority: after.Priority, After: &after.Config}
	if there {
		entry.Before = &before.Config
	}
	if c.Remove {
		entry.Action, entry.After = Removed, nil
	}
	return after, entry, nil
}

// same tells whether a layer has the change's content already.
func (c Change) same(layer Layer) bool {
	return layer.Selector.String() == c.Selector.String() && layer.Priority == c.Priority && layer.Config.Equal(c.Config)
}

// toSecond returns a time as stores have it.
func toSecond(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }
