package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// schema returns the confdb-schema in force for a view.
func (b *Backend) schema(st *state, view backend.ViewID) (*confdb.Schema, error) {
	stored := b.inForce(st, key(view))
	if stored == nil {
		e := &backend.Error{Kind: backend.ErrNoSchema,
			Reason: fmt.Sprintf("confdb-schema %s is not known here", key(view)),
			Remedy: "check account and name; a program brings a confdb-schema of its own in Options.Documents"}
		if known := slices.Sorted(maps.Keys(st.schemas)); len(known) > 0 {
			e.Reason += ", only " + strings.Join(known, ", ")
		}
		return nil, e
	}
	parsed, err := stored.parse()
	if err != nil {
		return nil, &backend.Error{Kind: backend.ErrNoSchema, Err: err,
			Reason: fmt.Sprintf("the stored confdb-schema %s cannot be used: %v", key(view), err),
			Remedy: "store a repaired one with a higher revision"}
	}
	return parsed, nil
}

// inForce returns the stored schema, or the one brought to a read-only directory if that is of a later revision.
func (b *Backend) inForce(st *state, id string) *schema {
	stored, brought := st.schemas[id], b.brought[id]
	if brought == nil || stored == nil {
		if stored == nil {
			return brought
		}
		return stored
	}
	old, err := stored.parse()
	if err == nil && old.Revision >= brought.parsed.Revision {
		return stored
	}
	return brought
}

// acknowledge stores documents that the store does not hold, or holds in an earlier revision. Where nothing is new,
// nothing is written.
func (b *Backend) acknowledge(ctx context.Context, documents []json.RawMessage) error {
	offered := map[string]*schema{}
	for _, document := range documents {
		s, err := offer(document)
		if err != nil {
			return err
		}
		id := s.parsed.Account + "/" + s.parsed.Name
		if twice := offered[id]; twice != nil {
			return &backend.Error{Kind: backend.ErrBadRequest, Reason: fmt.Sprintf("confdb-schema %s is given twice", id)}
		}
		offered[id] = s
	}
	st, err := b.store.load()
	if err != nil {
		return err
	}
	if fresh, err := b.fresh(st, offered); err != nil || len(fresh) == 0 {
		return err
	}
	err = b.store.change(ctx, b.patience, func(st *state) (*state, error) {
		fresh, err := b.fresh(st, offered)
		if err != nil || len(fresh) == 0 {
			return nil, err
		}
		var changes []change
		for _, id := range slices.Sorted(maps.Keys(fresh)) {
			changes = append(changes, change{Schema: id, All: true})
		}
		return st.next(nil, fresh, changes), nil
	})
	if errors.Is(err, backend.ErrStorage) && st.info != nil {
		// What is there can be read all the same; what is to be written will be refused then.
		b.brought = offered
		b.warnings = append(b.warnings, "confdb-schemas could not be stored: "+err.Error())
		return nil
	}
	return err
}

// offer parses a document that is to be stored.
func offer(document json.RawMessage) (*schema, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, &backend.Error{Kind: backend.ErrBadRequest, Err: err,
			Reason: fmt.Sprintf("a confdb-schema in Options.Documents is no JSON: %v", err)}
	}
	s := &schema{document: compact.Bytes()}
	if _, err := s.parse(); err != nil {
		return nil, &backend.Error{Kind: backend.ErrBadRequest, Err: err,
			Reason: fmt.Sprintf("a confdb-schema in Options.Documents cannot be used: %v", err)}
	}
	return s, nil
}

// fresh returns those of the offered schemas that the state lacks.
func (b *Backend) fresh(st *state, offered map[string]*schema) (map[string]*schema, error) {
	out := map[string]*schema{}
	for id, s := range offered {
		stored := st.schemas[id]
		if stored == nil {
			out[id] = s
			continue
		}
		if bytes.Equal(stored.document, s.document) {
			continue
		}
		old, err := stored.parse()
		if err != nil || old.Revision < s.parsed.Revision {
			out[id] = s
			continue
		}
		if old.Revision > s.parsed.Revision {
			continue
		}
		same, err := sameMeaning(stored.document, s.document)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, &backend.Error{Kind: backend.ErrBadRequest, Reason: fmt.Sprintf(
				"confdb-schema %s is stored with the same revision %d and other views or storage", id, old.Revision),
				Remedy: fmt.Sprintf("raise its revision to %d", old.Revision+1)}
		}
	}
	return out, nil
}

// misfits warns of stored data that the schema in force would refuse: snapd does not look when a schema is replaced,
// and then refuses every write, whatever it is about.
func (b *Backend) misfits(st *state) []string {
	var warnings []string
	for _, id := range slices.Sorted(maps.Keys(st.bags)) {
		stored := b.inForce(st, id)
		if stored == nil {
			continue
		}
		parsed, err := stored.parse()
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("confdb-schema %s cannot be used: %v", id, err))
			continue
		}
		if err := parsed.Validate(st.bags[id]); err != nil {
			warnings = append(warnings, fmt.Sprintf("stored data of %s does not fit its confdb-schema (revision %d), "+
				"so that writes will be refused until it does: %v", id, parsed.Revision, err))
		}
	}
	return warnings
}
