package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// schema returns the confdb-schema in force for a view.
func (b *Backend) schema(st *state, view backend.ViewID) (*confdb.Schema, error) {
	stored := b.inForce(st, key(view))
	if stored == nil {
		return nil, b.unknown(st, view)
	}
	parsed, err := stored.parse()
	if err != nil {
		return nil, &backend.Error{Kind: backend.ErrNoSchema, Err: err,
			Reason: fmt.Sprintf("the stored confdb-schema %s cannot be used: %v", key(view), err),
			Remedy: "repair it, give it a higher revision, and open the registry with it: Options.Schemas in a program, " +
				"--schema-file on the command line"}
	}
	return parsed, nil
}

// unknown returns the error for a confdb-schema that is neither stored nor in Options.Documents.
func (b *Backend) unknown(st *state, view backend.ViewID) error {
	e := &backend.Error{Kind: backend.ErrNoSchema, Reason: fmt.Sprintf("confdb-schema %s is not known here", key(view)),
		Remedy: "check account and name, or bring the confdb-schema along: Options.Schemas in a program, --schema-file " +
			"on the command line"}
	if known := b.known(st); len(known) > 0 {
		e.Reason += ", only " + strings.Join(known, ", ")
	}
	if b.store.absent(st) {
		e.Reason += ": " + b.store.file.path + " is not there"
		e.Err = b.store.file.notExist()
	}
	return e
}

// known returns the names of all stored and given schemas, sorted.
func (b *Backend) known(st *state) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(st.schemas)), maps.Keys(b.given))
	slices.Sort(names)
	return slices.Compact(names)
}

// inForce returns the schema for a confdb-schema, or nil: the given one if its revision is later than that of the stored one;
// otherwise the stored one.
func (b *Backend) inForce(st *state, id string) *schema {
	stored, given := st.schemas[id], b.given[id]
	if given == nil || stored == nil {
		if stored == nil {
			return given
		}
		return stored
	}
	old, err := stored.parse()
	if err == nil && old.Revision >= given.parsed.Revision {
		return stored
	}
	return given
}

// schemasToStore returns the given schemas that must be stored together with the written data: they are in force and not stored
// yet. If such a schema replaces a stored one, schemasToStore sets All in its change.
func (b *Backend) schemasToStore(st *state, written []change) map[string]*schema {
	list := map[string]*schema{}
	for i, c := range written {
		given := b.given[c.Schema]
		if given == nil || st.schemas[c.Schema] == given || b.inForce(st, c.Schema) != given {
			continue
		}
		list[c.Schema] = given
		if st.schemas[c.Schema] != nil {
			written[i] = change{Schema: c.Schema, All: true}
		}
	}
	return list
}

// addDocuments adds Options.Documents to the given schemas. It stores nothing.
func (b *Backend) addDocuments(st *state, documents []json.RawMessage) error {
	for _, document := range documents {
		s, err := parseDocument(document)
		if err != nil {
			return err
		}
		id := s.parsed.Account + "/" + s.parsed.Name
		if b.given[id] != nil {
			return &backend.Error{Kind: backend.ErrBadRequest, Reason: fmt.Sprintf("confdb-schema %s is given twice", id)}
		}
		if err := conflict(st.schemas[id], s, id); err != nil {
			return err
		}
		b.given[id] = s
	}
	return nil
}

// parseDocument parses one of Options.Documents.
func parseDocument(document json.RawMessage) (*schema, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, &backend.Error{Kind: backend.ErrBadRequest, Err: err,
			Reason: fmt.Sprintf("a confdb-schema that was given is no JSON: %v", err)}
	}
	s := &schema{document: compact.Bytes()}
	if _, err := s.parse(); err != nil {
		return nil, &backend.Error{Kind: backend.ErrBadRequest, Err: err,
			Reason: fmt.Sprintf("confdb-schema %s cannot be used: %v", nameOf(document), err)}
	}
	return s, nil
}

// nameOf returns the name in a document, quoted, for error texts. The document may be anything.
func nameOf(document []byte) string {
	var headers struct {
		Account string `json:"account-id"`
		Name    string `json:"name"`
	}
	_ = json.Unmarshal(document, &headers) // unreadable text has no name
	return strconv.Quote(headers.Account + "/" + headers.Name)
}

// conflict returns an error if the given schema has the stored one's revision but another content.
func conflict(stored, given *schema, id string) error {
	if stored == nil || bytes.Equal(stored.document, given.document) {
		return nil
	}
	old, err := stored.parse()
	if err != nil || old.Revision != given.parsed.Revision {
		return nil
	}
	same, err := sameMeaning(stored.document, given.document)
	if err != nil || same {
		return err
	}
	return &backend.Error{Kind: backend.ErrBadRequest, Reason: fmt.Sprintf(
		"confdb-schema %s is stored with the same revision %d and other views or storage", id, old.Revision),
		Remedy: fmt.Sprintf("raise its revision to %d", old.Revision+1)}
}

// misfits returns warnings about stored data that the schema in force refuses. Replacing a schema does not check the
// data, as in snapd, and every later write is then refused.
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
