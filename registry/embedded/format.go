package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"

	"aspects-poc/registry/confdb/databag"
)

// The file is a header line and a JSON body:
//
//	aspects-poc-confdb 1 000000000412 9ae0daaf
//	{"revision":7,"schemas":{…},"databags":{…},"changes":[…]}
//
// The header has the format, the length of the body in bytes and the body's CRC-32C. They detect a truncated or
// altered file. The header has a fixed width, so that header and body share one buffer and one write.
const (
	magic        = "aspects-poc-confdb"
	format       = 1
	headerFormat = magic + " %d %012d %08x\n"
	headerSize   = len(magic) + len(" 1 000000000000 00000000\n")
)

// ringSize is how many commits the file records. A watcher that is further behind compares what its view shows.
const ringSize = 32

// manyPaths is about how many paths are recorded for one commit. If there are more, paths above them are recorded
// instead.
const manyPaths = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A change is the effect of one commit on one confdb.
type change struct {
	Revision uint64 `json:"revision"`
	Schema   string `json:"schema"` // ACCOUNT/NAME
	// Paths are the storage paths that were changed, added or removed.
	Paths []string `json:"paths,omitempty"`
	// All means that the schema was replaced.
	All bool `json:"all,omitempty"`
}

// body is the JSON after the header.
type body struct {
	Revision uint64                     `json:"revision"`
	Schemas  map[string]json.RawMessage `json:"schemas"`
	Databags map[string]json.RawMessage `json:"databags"`
	Changes  []change                   `json:"changes"`
}

// encode returns header and body of a state. The encoder owns the buffer. It is valid until the next but one call of encode.
func encode(e *encoder, s *state) ([]byte, error) {
	text := append(e.begin(), make([]byte, headerSize)...)
	text = append(text, `{"revision":`...)
	text = strconv.AppendUint(text, s.revision, 10)
	text = append(text, `,"schemas":{`...)
	for i, key := range slices.Sorted(maps.Keys(s.schemas)) {
		text = append(appendMember(text, i, key), s.schemas[key].document...)
	}
	text = append(text, `},"databags":{`...)
	roots := make(map[string]*databag.Node, len(s.bags))
	for i, key := range slices.Sorted(maps.Keys(s.bags)) {
		roots[key] = s.bags[key].Root()
		text = e.append(appendMember(text, i, key), roots[key], e.roots[key], 0)
	}
	changes, err := json.Marshal(s.changes)
	if err != nil {
		return nil, err
	}
	text = append(text, `},"changes":`...)
	text = append(append(text, changes...), '}', '\n')
	e.finish(text, roots)
	return frame(text), nil
}

// appendMember appends a member's name, after a comma if it is not the first.
func appendMember(to []byte, index int, key string) []byte {
	if index > 0 {
		to = append(to, ',')
	}
	return appendName(to, key)
}

func appendName(to []byte, name string) []byte {
	text, _ := json.Marshal(name) // a string never fails
	return append(append(to, text...), ':')
}

// frame fills in the header. The first headerSize bytes of text are room for it.
func frame(text []byte) []byte {
	content := text[headerSize:]
	copy(text, fmt.Appendf(nil, headerFormat, format, len(content), crc32.Checksum(content, castagnoli)))
	return text
}

// decode parses a file. Its errors are bare reasons, such as "it is cut off: 20 of 412 bytes are there". It reuses the unchanged
// schemas of known, since parsing them is expensive.
func decode(text []byte, known *state) (*state, error) {
	content, err := check(text)
	if err != nil {
		return nil, err
	}
	var b body
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return nil, fmt.Errorf("its content cannot be read: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text follows its content")
	}
	s := &state{revision: b.Revision, changes: b.Changes, schemas: make(map[string]*schema, len(b.Schemas)),
		bags: make(map[string]databag.Bag, len(b.Databags))}
	for key, document := range b.Schemas {
		if old := known.schema(key); old != nil && bytes.Equal(old.document, document) {
			s.schemas[key] = old
			continue
		}
		s.schemas[key] = &schema{document: document}
	}
	for key, values := range b.Databags {
		bag, err := databag.Parse(values)
		if err != nil {
			return nil, fmt.Errorf("its databag %q cannot be read: %w", key, err)
		}
		s.bags[key] = bag
	}
	return s, nil
}

// check compares header and body, and returns the body.
func check(text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, errors.New("it is empty")
	}
	line, _, found := bytes.Cut(text[:min(len(text), 2*headerSize)], []byte("\n"))
	if !bytes.HasPrefix(line, []byte(magic+" ")) {
		if bytes.HasPrefix([]byte(magic), text) {
			return nil, fmt.Errorf("it is cut off: %d bytes are there", len(text))
		}
		return nil, fmt.Errorf("it does not begin with %q", magic)
	}
	fields := bytes.Split(line[len(magic)+1:], []byte(" "))
	if version, err := strconv.Atoi(string(fields[0])); err == nil && version != format && len(fields) > 1 {
		return nil, &formatError{version: version}
	}
	if !found {
		return nil, fmt.Errorf("it is cut off: %d bytes are there", len(text))
	}
	var size int
	var sum uint32
	if len(fields) == 3 {
		if n, err := strconv.ParseUint(string(fields[1]), 10, 62); err == nil {
			size = int(n)
		}
		if n, err := strconv.ParseUint(string(fields[2]), 16, 32); err == nil {
			sum = uint32(n)
		}
	}
	// Only the exact form that encode writes is valid.
	if header := fmt.Sprintf(headerFormat, format, size, sum); header != string(line)+"\n" {
		return nil, fmt.Errorf("its first line %q is damaged", line)
	}
	content := text[headerSize:]
	switch {
	case len(content) < size:
		return nil, fmt.Errorf("it is cut off: %d of %d bytes are there", len(text), headerSize+size)
	case len(content) > size:
		return nil, fmt.Errorf("it is too long: %d bytes instead of %d", len(text), headerSize+size)
	case crc32.Checksum(content, castagnoli) != sum:
		return nil, errors.New("its checksum does not fit its content")
	}
	return content, nil
}

// A formatError means that the file has a format of another version of the program. The file is not damaged.
type formatError struct{ version int }

func (e *formatError) Error() string {
	return fmt.Sprintf("it has format %d, and this program knows format %d", e.version, format)
}
