package document

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// A Kind is the kind of a node.
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

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"null", "bool", "number", "string", "list", "map"}[k]
}

// A Position is a place in a file: line and column from 1, the column in characters. The zero value is no place.
type Position struct{ Line, Column int }

// A Node is a value in a document. Pos is that of its first character.
type Node struct {
	Kind    Kind
	Text    string  // string: its value; number: its JSON literal; bool: "true" or "false"
	Source  string  // number or bool: what the file has, such as 0o17 or True; "" if that is Text
	Items   []*Node // list: its items
	Entries []Entry // map: its entries, in the order of the file
	Pos     Position
}

// An Entry is a key of a map with its value.
type Entry struct {
	Key    string
	KeyPos Position
	Value  *Node
}

// At returns the position to show for the entry: the key's for lists and maps, else the value's.
func (e Entry) At() Position {
	if e.Value == nil || e.Value.Kind >= List || e.Value.Pos == (Position{}) {
		return e.KeyPos
	}
	return e.Value.Pos
}

// Entry returns the entry of a key, or nil. If a key occurs twice, the last one counts, as in JSON.
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

// Get returns the value of a key, or nil if the node is no map or does not have the key.
func (n *Node) Get(key string) *Node {
	if entry := n.Entry(key); entry != nil {
		return entry.Value
	}
	return nil
}

// Is reports whether the node has this kind. A nil node has none.
func (n *Node) Is(kind Kind) bool { return n != nil && n.Kind == kind }

// String returns the text of a string, or "" for any other node, including nil.
func (n *Node) String() string {
	if n.Is(String) {
		return n.Text
	}
	return ""
}

// Written returns a scalar as the file has it, or "" for any other node, including nil.
func (n *Node) Written() string {
	switch {
	case n == nil || n.Kind >= List:
		return ""
	case n.Source != "":
		return n.Source
	}
	return n.Text
}

// Keys returns the keys of a map in the order of the file, each once.
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

// Set sets the value of a key in a map.
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

// Clone returns a deep copy.
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

// Value returns the node in JSON shapes, with numbers as json.Number. It is nil for a nil node.
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

// JSON returns the node as JSON on one line, with sorted keys.
func (n *Node) JSON() json.RawMessage {
	text, err := json.Marshal(n.Value())
	if err != nil {
		return json.RawMessage("null") // an invalid number; readers make no such node
	}
	return text
}

// FromValue returns JSON shapes as a node without positions, with sorted keys. Numbers may be json.Number, float64 or
// int.
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

// Equal reports whether two nodes have the same value. The order of keys does not count. Numbers are compared as
// 64-bit floats, as snapd stores them: jsonvalue.Equal would see a difference that signing removes.
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

// normalNumber returns a number as snapd writes it into a body: the 64-bit float in the notation of encoding/json.
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

// Follow returns the node at steps, which are keys and decimal indexes, and the position to show for it. If a step is
// missing, it returns nil and the last position on the way.
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

// List returns the items of a list, or nil for any other node, including nil.
func (n *Node) List() []*Node {
	if n.Is(List) {
		return n.Items
	}
	return nil
}
