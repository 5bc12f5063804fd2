package document

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// A Kind is what a node holds.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

// String names the kind as JSON does.
func (k Kind) String() string {
	return [...]string{"null", "bool", "number", "string", "list", "map"}[k]
}

// A Position is a place in a file: line and column, from 1, the column in characters. The zero value is no place.
type Position struct{ Line, Column int }

// A Node is a value in a document. Positions are of its first character.
type Node struct {
	Kind    Kind
	Text    string  // of a string; of a number its JSON literal; "true" or "false"
	Items   []*Node // of a list
	Entries []Entry // of a map, as the file has them
	Pos     Position
}

// An Entry is a key of a map and what it leads to.
type Entry struct {
	Key    string
	KeyPos Position
	Value  *Node
}

// At is where people look for the entry: its key if there is more below, else its value.
func (e Entry) At() Position {
	if e.Value == nil || e.Value.Kind >= List || e.Value.Pos == (Position{}) {
		return e.KeyPos
	}
	return e.Value.Pos
}

// Entry returns the entry of a key, nil if there is none. Of several with the same key the last counts, as for JSON.
func (n *Node) Entry(key string) *Entry {
	if n == nil {
		return nil
	}
	for i := len(n.Entries) - 1; i >= 0; i-- {
		if n.Entries[i].Key == key {
			return &n.Entries[i]
		}
	}
	return nil
}

// Get returns what a key leads to, nil if the node is no map or does not have it.
func (n *Node) Get(key string) *Node {
	if entry := n.Entry(key); entry != nil {
		return entry.Value
	}
	return nil
}

// Is tells whether there is such a node. It is no error to ask nil.
func (n *Node) Is(kind Kind) bool { return n != nil && n.Kind == kind }

// String returns the text of a string; "" for all else, nil included.
func (n *Node) String() string {
	if n.Is(String) {
		return n.Text
	}
	return ""
}

// Keys returns the keys of a map, in the file's order, each once.
func (n *Node) Keys() []string {
	if n == nil {
		return nil
	}
	var keys []string
	seen := make(map[string]bool, len(n.Entries))
	for _, entry := range n.Entries {
		if !seen[entry.Key] {
			seen[entry.Key] = true
			keys = append(keys, entry.Key)
		}
	}
	return keys
}

// Set puts a value at a key of a map, in the place of the one that is there.
func (n *Node) Set(key string, value *Node) {
	if entry := n.Entry(key); entry != nil {
		entry.Value = value
		return
	}
	n.Entries = append(n.Entries, Entry{Key: key, KeyPos: value.Pos, Value: value})
}

// Delete removes a key from a map.
func (n *Node) Delete(key string) {
	n.Entries = slices.DeleteFunc(n.Entries, func(entry Entry) bool { return entry.Key == key })
}

// Clone returns a copy that shares nothing with the node.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	clone := *n
	clone.Items = make([]*Node, len(n.Items))
	for i, item := range n.Items {
		clone.Items[i] = item.Clone()
	}
	clone.Entries = make([]Entry, len(n.Entries))
	for i, entry := range n.Entries {
		entry.Value = entry.Value.Clone()
		clone.Entries[i] = entry
	}
	return &clone
}

// Value returns the node as JSON shapes, numbers as json.Number; nil for nil.
func (n *Node) Value() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Number:
		return json.Number(n.Text)
	case String:
		return n.Text
	case List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Value()
		}
		return list
	case Map:
		object := make(map[string]any, len(n.Entries))
		for _, entry := range n.Entries {
			object[entry.Key] = entry.Value.Value()
		}
		return object
	}
	return nil
}

// JSON returns the node as JSON on one line, keys sorted.
func (n *Node) JSON() json.RawMessage {
	text, err := json.Marshal(n.Value())
	if err != nil {
		return json.RawMessage("null") // a number that is none; readers make no such node
	}
	return text
}

// FromValue returns JSON shapes as a node without positions, keys sorted. Numbers may be json.Number, float64 or int.
func FromValue(value any) *Node {
	switch value := value.(type) {
	case bool:
		return &Node{Kind: Bool, Text: strconv.FormatBool(value)}
	case json.Number:
		return &Node{Kind: Number, Text: string(value)}
	case float64:
		text, _ := json.Marshal(value)
		return &Node{Kind: Number, Text: string(text)}
	case int:
		return &Node{Kind: Number, Text: strconv.Itoa(value)}
	case string:
		return &Node{Kind: String, Text: value}
	case []any:
		list := &Node{Kind: List}
		for _, item := range value {
			list.Items = append(list.Items, FromValue(item))
		}
		return list
	case map[string]any:
		object := &Node{Kind: Map}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			object.Entries = append(object.Entries, Entry{Key: key, Value: FromValue(value[key])})
		}
		return object
	}
	return &Node{Kind: Null}
}

// Equal tells whether two nodes hold the same: maps without order, numbers as 64-bit floats, which is all that snapd
// keeps of them.
func Equal(a, b *Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Number:
		return normalNumber(a.Text) == normalNumber(b.Text)
	case List:
		return slices.EqualFunc(a.Items, b.Items, Equal)
	case Map:
		keys := a.Keys()
		if len(keys) != len(b.Keys()) {
			return false
		}
		for _, key := range keys {
			if other := b.Entry(key); other == nil || !Equal(a.Get(key), other.Value) {
				return false
			}
		}
		return true
	}
	return a.Text == b.Text
}

// normalNumber is a number as snapd writes it into a body: as encoding/json prints the 64-bit float.
func normalNumber(literal string) string {
	number, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return literal
	}
	text, err := json.Marshal(number)
	if err != nil {
		return literal
	}
	return string(text)
}

// Follow returns the node that steps lead to, keys and decimal indexes, and where people look for it. Where the way ends
// early, because a key is missing, it returns nil and the last position on the way.
func (n *Node) Follow(steps ...string) (*Node, Position) {
	at := Position{}
	if n != nil {
		at = n.Pos
	}
	for _, step := range steps {
		switch {
		case n.Is(Map):
			entry := n.Entry(step)
			if entry == nil {
				return nil, at
			}
			n, at = entry.Value, entry.At()
		case n.Is(List):
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(n.Items) {
				return nil, at
			}
			n = n.Items[index]
			at = n.Pos
		default:
			return nil, at
		}
	}
	return n, at
}

// List returns the items of a list; none for all else, nil included.
func (n *Node) List() []*Node {
	if n.Is(List) {
		return n.Items
	}
	return nil
}
