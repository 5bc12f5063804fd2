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

// A state is all that one commit left: immutable, shared by readers without a lock.
type state struct {
	revision uint64 // number of commits; 0: nothing was ever stored
	schemas  map[string]*schema
	bags     map[string]databag.Bag // by ACCOUNT/NAME
	changes  []change               // the last commits, oldest first

	// info and file are the file that holds this state. It is kept open so that its inode number is not given to
	// another file: then the same inode under the same name, of the same size and time, is this very state.
	info os.FileInfo
	file handle
	// durable says that this process has seen the file and its name reach the disk.
	durable bool
}

// A schema is a stored confdb-schema, parsed when it is first used: a file may hold many.
type schema struct {
	document []byte // compact JSON

	once     sync.Once
	parsed   *confdb.Schema
	readable *confdb.Schema // without the write-only rules; nil if nothing can be read
	err      error
}

func (s *schema) parse() (*confdb.Schema, error) {
	s.once.Do(func() {
		if s.parsed, s.err = confdb.ParseDocument(s.document); s.err == nil {
			s.readable = readable(s.document)
		}
	})
	return s.parsed, s.err
}

// schema returns a stored confdb-schema or nil; a nil state holds none.
func (s *state) schema(key string) *schema {
	if s == nil {
		return nil
	}
	return s.schemas[key]
}

// is tells whether a file is the one that holds the state.
func (s *state) is(info os.FileInfo) bool {
	return s != nil && s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() &&
		s.info.ModTime().Equal(info.ModTime())
}

// next returns the state after a commit: bags and schemas replace those of the same name.
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

// since returns what happened after a revision, and whether that is all that happened.
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

func empty() *state {
	return &state{schemas: map[string]*schema{}, bags: map[string]databag.Bag{}, changes: []change{}}
}

// readable returns a document's confdb-schema without its write-only rules, so that what they store does not count
// as something that a view shows. Nil if no rule is left, or the document is not what it was when it was parsed.
func readable(document []byte) *confdb.Schema {
	var headers struct {
		Account string                    `json:"account-id"`
		Name    string                    `json:"name"`
		Views   map[string]map[string]any `json:"views"`
		Body    string                    `json:"body"`
	}
	var content struct {
		Storage json.RawMessage `json:"storage"`
	}
	if json.Unmarshal(document, &headers) != nil || json.Unmarshal([]byte(headers.Body), &content) != nil {
		return nil
	}
	views := map[string]any{}
	for name, view := range headers.Views {
		rules, _ := view["rules"].([]any)
		rules = slices.DeleteFunc(rules, func(rule any) bool {
			fields, _ := rule.(map[string]any)
			return fields["access"] == "write"
		})
		if len(rules) > 0 {
			view["rules"] = rules
			views[name] = view
		}
	}
	if len(views) == 0 {
		return nil
	}
	s, err := confdb.New(headers.Account, headers.Name, content.Storage, views)
	if err != nil {
		return nil
	}
	return s
}

// sameMeaning tells whether two documents define the same views and the same storage; other headers, such as the
// timestamp, and the layout of the body make no difference.
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
