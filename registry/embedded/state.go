package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A state is the result of one commit. It is immutable, and readers share it without a lock.
type state struct {
	revision uint64 // number of commits; 0 if nothing was ever stored
	schemas  map[string]*schema
	bags     map[string]databag.Bag // by ACCOUNT/NAME
	changes  []change               // the last commits, oldest first

	// info and file are the file of this state. It stays open so that its inode number is not reused: then the same
	// inode, size and time mean the same state.
	info os.FileInfo
	file handle
	// durable means that this process has synced the file and its name.
	durable bool
}

// A schema is a stored confdb-schema. It is parsed at its first use, as a file may hold many.
type schema struct {
	document []byte // compact JSON

	once   sync.Once
	parsed *confdb.Schema
	err    error
}

// parse returns the parsed document. The first call parses it.
func (s *schema) parse() (*confdb.Schema, error) {
	s.once.Do(func() { s.parsed, s.err = confdb.Parsed(s.document) })
	return s.parsed, s.err
}

// schema returns a stored confdb-schema, or nil. The receiver may be nil.
func (s *state) schema(key string) *schema {
	if s == nil {
		return nil
	}
	return s.schemas[key]
}

// is reports whether a file holds this state.
func (s *state) is(info os.FileInfo) bool {
	return s != nil && s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() &&
		s.info.ModTime().Equal(info.ModTime())
}

// next returns the state after a commit with new bags and schemas.
func (s *state) next(bags map[string]databag.Bag, schemas map[string]*schema, changes []change) *state {
	n := &state{revision: s.revision + 1, schemas: s.schemas, bags: s.bags}
	if len(bags) > 0 {
		n.bags = maps.Clone(s.bags)
		maps.Copy(n.bags, bags)
	}
	if len(schemas) > 0 {
		n.schemas = maps.Clone(s.schemas)
		maps.Copy(n.schemas, schemas)
	}
	first := slices.IndexFunc(s.changes, func(c change) bool { return c.Revision+ringSize > n.revision })
	if first >= 0 {
		n.changes = append(n.changes, s.changes[first:]...)
	}
	for _, c := range changes {
		c.Revision = n.revision
		n.changes = append(n.changes, c)
	}
	return n
}

// since returns the changes after a revision, and whether they are complete.
func (s *state) since(revision uint64) ([]change, bool) {
	if revision >= s.revision || revision+ringSize < s.revision {
		return nil, false
	}
	first := slices.IndexFunc(s.changes, func(c change) bool { return c.Revision > revision })
	if first < 0 || s.changes[first].Revision != revision+1 {
		return nil, false
	}
	return s.changes[first:], true
}

// empty returns the state of a store without data.
func empty() *state {
	return &state{schemas: map[string]*schema{}, bags: map[string]databag.Bag{}, changes: []change{}}
}

// sameMeaning reports whether two documents have the same views and the same storage. Other headers, such as the
// timestamp, and the layout of the body do not count.
func sameMeaning(a, b []byte) (bool, error) {
	first, err := meaning(a)
	if err != nil {
		return false, err
	}
	second, err := meaning(b)
	return bytes.Equal(first, second), err
}

func meaning(document []byte) ([]byte, error) {
	var headers struct {
		Views any    `json:"views"`
		Body  string `json:"body"`
	}
	if err := json.Unmarshal(document, &headers); err != nil {
		return nil, fmt.Errorf("cannot read confdb-schema: %w", err)
	}
	var content any
	if err := json.Unmarshal([]byte(headers.Body), &content); err != nil {
		return nil, fmt.Errorf("cannot read body of confdb-schema: %w", err)
	}
	return json.Marshal([]any{headers.Views, content})
}
