package fleet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Batch has changes of layers that are made all or not at all.
type Batch struct {
	Changes []Change // at most one for each layer
	// Last is the revision that the fleet must have: the last one of any layer, label or named secret. Nil means any.
	Last *int64
	// Release makes the batch a release in stages; nil changes all devices at once.
	Release *NewRelease
	// Reads marks a batch, for a plan, of somebody who may only read. It must not touch secrets, so that the plan tells
	// nothing about them.
	Reads bool
}

// Secrets returns the names of the named secrets to which the changes refer.
func (b Batch) Secrets() []string {
	names := map[string]bool{}
	for _, change := range b.Changes {
		for name := range change.Secrets {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Present has everything in a store on which a batch depends.
type Present struct {
	Last    int64                // the last revision of the fleet
	Layers  []Layer              // of each change; revision 0 means that there is no such layer
	Unknown map[LayerName]bool   // layers of devices that are not registered
	Labels  map[LayerName]Labels // labels of the devices of the layers
	Secrets map[string]int64     // revisions of Batch.Secrets
	Release *Release             // the active one; nil for none
}

// A Result is the result of a batch.
type Result struct {
	Layers  []Layer  // after the batch
	Entries []*Entry // entries of the history; nil for a layer that the batch does not change
	Last    int64    // the last revision after the batch; unchanged if the batch changes nothing
	Waiting Waiting
	// Release is the release that begins, and Begun its entry; nil for none.
	Release *Release
	Begun   *Entry
}

// Apply returns the result of a batch. The changes draw the revisions after the last one in order, and then the release
// that the batch begins draws one. During a release each change leaves out one revision before its own. Errors: those
// of Store.ChangeAll.
func (b Batch) Apply(present Present) (Result, error) {
	last := present.Last
	if b.Last != nil && *b.Last != last {
		return Result{}, &MovedError{Revision: last}
	}
	if present.Release != nil {
		last++
	}
	layers, entries := make([]Layer, len(b.Changes)), make([]*Entry, len(b.Changes))
	var faults BatchError
	seen := make(map[LayerName]bool, len(b.Changes))
	for i, change := range b.Changes {
		var err error
		switch layers[i], entries[i], err = change.Apply(present.Layers[i], last+1); {
		case seen[change.Name]:
			err = errTwice
		case present.Unknown[change.Name]:
			err = ErrUnknownDevice
		case change.Name.IsDevice() && change.Within.Device(present.Labels[change.Name]) != nil:
			err = change.Within.Device(present.Labels[change.Name])
		case err == nil && entries[i] != nil:
			last++
			for name, revision := range change.Secrets {
				if present.Secrets[name] != revision {
					err = ErrStale
				}
			}
		}
		seen[change.Name] = true
		faults.Add(change.Name, err)
	}
	if err := faults.Err(); err != nil {
		return Result{}, err
	}
	result := Result{Layers: layers, Entries: entries, Last: present.Last}
	result.Waiting.Amid = present.Release != nil
	var changed []LayerName
	for i, entry := range entries {
		if entry != nil {
			changed = append(changed, layers[i].Name)
		}
	}
	if changed == nil {
		return result, nil
	}
	if present.Release != nil {
		if err := present.Release.refuses(changed, b.Release != nil); err != nil {
			return Result{}, err
		}
	}
	if b.Release != nil {
		last++
		result.Waiting.Begins = true
		result.Release = b.Release.begin(last, changed)
		result.Begun = new(result.Release.entry(result.Release.Authorship, last))
	}
	result.Last = last
	return result, nil
}

var errTwice = &LayerError{"layer", "is in the batch twice; a batch has at most one change of each layer"}

// A BatchError says why changes of a batch are impossible. No change of the batch was made.
type BatchError struct{ Faults []*ChangeError }

// Add adds the fault of a change. It ignores a nil err.
func (e *BatchError) Add(layer LayerName, err error) {
	if err != nil {
		e.Faults = append(e.Faults, &ChangeError{layer, err})
	}
}

// Err returns e, or nil if it has no faults.
func (e *BatchError) Err() error {
	if len(e.Faults) == 0 {
		return nil
	}
	return e
}

func (e *BatchError) Error() string {
	texts := make([]string, len(e.Faults))
	for i, fault := range e.Faults {
		texts[i] = fault.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the faults.
func (e *BatchError) Unwrap() []error {
	list := make([]error, len(e.Faults))
	for i, fault := range e.Faults {
		list[i] = fault
	}
	return list
}

// A ChangeError says why one change of a batch is impossible.
type ChangeError struct {
	Layer LayerName
	Err   error // an error of Change.Apply, ErrUnknownDevice, ErrStale for a named secret, a *TargetError or a *LayerError
}

func (e *ChangeError) Error() string { return fmt.Sprintf("layer %s: %v", e.Layer, e.Err) }

// Unwrap returns the reason.
func (e *ChangeError) Unwrap() error { return e.Err }

// only returns the fault of a batch with one change.
func only(err error) error {
	var faults *BatchError
	if errors.As(err, &faults) && len(faults.Faults) == 1 {
		return faults.Faults[0].Err
	}
	return err
}

// A MovedError is an ErrStale of a batch: the fleet has a later revision.
type MovedError struct{ Revision int64 }

func (e *MovedError) Error() string {
	return fmt.Sprintf("the fleet has revision %d by now", e.Revision)
}

// Unwrap makes it an ErrStale.
func (e *MovedError) Unwrap() error { return ErrStale }

// A Change is the wanted state of a layer.
type Change struct {
	Layer  // its Revision is ignored
	Remove bool
	// Match is the revision that the layer must have; 0 means that the layer must not exist. Nil means any.
	Match *int64
	// Within is the scope of the author.
	Within Scope
	// Secrets are the named secrets to which Config refers, with the revisions that were checked.
	Secrets map[string]int64
	// Restores is the revision that the change restores, for the history; 0 for none.
	Restores int64
}

// Apply returns the layer after the change with a revision, and the entry of the history. before is the present layer,
// with revision 0 if there is none. A change without effect returns before and no entry, and uses no revision. Apply
// returns a *StaleError if before does not have the revision of Match, a *ScopeError if the change is out of its scope,
// and ErrUnknownLayer if there is no layer to remove.
func (c Change) Apply(before Layer, revision int64) (Layer, *Entry, error) {
	there := before.Revision > 0
	switch {
	case c.Match != nil && *c.Match != before.Revision:
		return Layer{}, nil, &StaleError{Revision: before.Revision}
	case c.Within.layer(before, c) != nil:
		return Layer{}, nil, c.Within.layer(before, c)
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

// same reports whether a layer already has the change's content.
func (c Change) same(layer Layer) bool {
	return layer.Selector.String() == c.Selector.String() && layer.Priority == c.Priority && layer.Config.Equal(c.Config)
}

// toSecond returns a time with the precision of stores.
func toSecond(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }
