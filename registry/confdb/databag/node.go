package databag

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync/atomic"

	"aspects-poc/internal/jsonvalue"
)

// A Kind is the JSON type of a node.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Number
	String
	Object
	List
)

// String returns the type's name in messages.
func (k Kind) String() string {
	return [...]string{"null", "bool", "number", "string", "object", "array"}[k]
}

// A Node is a JSON value in a bag. It is immutable and shared between bags.
type Node struct {
	kind Kind
	text string  // string: its value; other scalar: its JSON
	keys *Keys   // object: its keys
	kids []*Node // object: values in the order of keys; list: elements
	json []byte  // encoding of a small container
	mark atomic.Pointer[Mark]
}

// Keys are the sorted keys of an object. Versions of an object that differ only in values share them.
type Keys struct {
	names []string
	mark  atomic.Pointer[Mark]

	// near is the mark of another object's keys, from which these differ by one key.
	near  *Mark
	added string // the additional key; "" if a key was removed
}

// A Mark on a node records that a type has accepted it, so that nodes shared with an accepted bag need not be checked
// again. Each type has its own Mark.
type Mark struct{ _ byte }

// Marked reports whether mark is the last mark that the node got.
func (n *Node) Marked(mark *Mark) bool { return n.mark.Load() == mark }

// Mark marks the node, in the place of an earlier mark.
func (n *Node) Mark(mark *Mark) { n.mark.Store(mark) }

// Marked reports whether mark is the last mark that the keys got.
func (k *Keys) Marked(mark *Mark) bool { return k.mark.Load() == mark }

// Mark marks the keys, in the place of an earlier mark.
func (k *Keys) Mark(mark *Mark) { k.mark.Store(mark) }

// Near reports whether the mark is on keys from which these differ by one. added is the additional key, or "" if one
// was removed.
func (k *Keys) Near(mark *Mark) (added string, near bool) { return k.added, k.near == mark }

// Kind returns the JSON type.
func (n *Node) Kind() Kind { return n.kind }

// Text returns a string's value, or a number or bool in JSON.
func (n *Node) Text() string { return n.text }

// Keys returns an object's sorted keys.
func (n *Node) Keys() *Keys { return n.keys }

// Names returns the sorted keys.
func (k *Keys) Names() []string { return k.names }

// Kids returns the values of an object in the order of its keys, or the elements of a list. Do not change the slice.
func (n *Node) Kids() []*Node { return n.kids }

// Kid returns the value of an object's key, or nil.
func (n *Node) Kid(key string) *Node {
	if n.kind != Object {
		return nil
	}
	if i, ok := slices.BinarySearch(n.keys.names, key); ok {
		return n.kids[i]
	}
	return nil
}

// Empty reports whether the node is a container without kids.
func (n *Node) Empty() bool { return n.kind >= Object && len(n.kids) == 0 }

// small is the largest size, in bytes, of an encoding that a node stores. So most of a large tree is written by copying,
// and no level is in memory twice.
const small = 2048

var (
	null  = &Node{kind: Null, text: "null"}
	empty = &Keys{}
)

func newObject(keys *Keys, kids []*Node) *Node {
	n := &Node{kind: Object, keys: keys, kids: kids}
	n.cacheJSON()
	return n
}

func newList(kids []*Node) *Node {
	n := &Node{kind: List, kids: kids}
	n.cacheJSON()
	return n
}

// cacheJSON stores the encoding of a container if it is small.
func (n *Node) cacheJSON() {
	size := 2
	for i, kid := range n.kids {
		if kid.kind >= Object && kid.json == nil {
			return
		}
		size += len(kid.json) + len(kid.text) + 3
		if n.kind == Object {
			size += len(n.keys.names[i]) + 3
		}
		if size > small {
			return
		}
	}
	n.json = n.encode(make([]byte, 0, size))
}

// AppendJSON appends the node as compact JSON.
func (n *Node) AppendJSON(to []byte) []byte {
	switch {
	case n.json != nil:
		return append(to, n.json...)
	case n.kind == String:
		return appendString(to, n.text)
	case n.kind < Object:
		return append(to, n.text...)
	}
	return n.encode(to)
}

func (n *Node) encode(to []byte) []byte {
	if n.kind == List {
		to = append(to, '[')
		for i, kid := range n.kids {
			if i > 0 {
				to = append(to, ',')
			}
			to = kid.AppendJSON(to)
		}
		return append(to, ']')
	}
	to = append(to, '{')
	for i, kid := range n.kids {
		if i > 0 {
			to = append(to, ',')
		}
		to = appendString(to, n.keys.names[i])
		to = append(to, ':')
		to = kid.AppendJSON(to)
	}
	return append(to, '}')
}

func appendString(to []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			encoded, _ := json.Marshal(text) // a string never fails
			return append(to, encoded...)
		}
	}
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"')
}

// Value returns the node in JSON shapes, with numbers as json.Number.
func (n *Node) Value() any {
	switch n.kind {
	case Null:
		return nil
	case Bool:
		return n.text == "true"
	case Number:
		return json.Number(n.text)
	case String:
		return n.text
	case List:
		list := make([]any, len(n.kids))
		for i, kid := range n.kids {
			list[i] = kid.Value()
		}
		return list
	}
	object := make(map[string]any, len(n.kids))
	for i, kid := range n.kids {
		object[n.keys.names[i]] = kid.Value()
	}
	return object
}

// FromValue returns a node for JSON shapes. It encodes other Go values with encoding/json.
func FromValue(value any) (*Node, error) {
	switch value := value.(type) {
	case nil:
		return null, nil
	case bool:
		return &Node{kind: Bool, text: strconv.FormatBool(value)}, nil
	case string:
		return &Node{kind: String, text: value}, nil
	case json.Number:
		return &Node{kind: Number, text: value.String()}, nil
	case float64:
		text, err := json.Marshal(value)
		return &Node{kind: Number, text: string(text)}, err
	case []any:
		kids := make([]*Node, len(value))
		for i, element := range value {
			kid, err := FromValue(element)
			if err != nil {
				return nil, err
			}
			kids[i] = kid
		}
		return newList(kids), nil
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		slices.Sort(names)
		kids := make([]*Node, len(names))
		for i, name := range names {
			kid, err := FromValue(value[name])
			if err != nil {
				return nil, err
			}
			kids[i] = kid
		}
		return newObject(&Keys{names: names}, kids), nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var decoded any
	if err := jsonvalue.Decode(text, &decoded); err != nil {
		return nil, err
	}
	return FromValue(decoded)
}

// equal reports whether two nodes have the same values. Numbers are compared as float64. It is no jsonvalue.Equal: nodes that are
// shared are equal without a look inside.
func equal(a, b *Node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.kind != b.kind || len(a.kids) != len(b.kids) {
		return false
	}
	if a.kind == Number && a.text != b.text {
		x, errX := strconv.ParseFloat(a.text, 64)
		y, errY := strconv.ParseFloat(b.text, 64)
		return errX == nil && errY == nil && x == y
	}
	if a.text != b.text || a.kind == Object && a.keys != b.keys && !slices.Equal(a.keys.names, b.keys.names) {
		return false
	}
	for i := range a.kids {
		if !equal(a.kids[i], b.kids[i]) {
			return false
		}
	}
	return true
}
