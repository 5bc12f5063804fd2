// Package databag holds what a confdb stores, as an immutable tree of JSON values: setting or unsetting along a storage
// path yields another tree that shares all that did not change.
package databag

// A Bag is one confdb's stored data: a JSON object. The zero Bag is empty. Bags are immutable and safe to share.
type Bag struct{}

// Parse reads a bag from JSON text: an object, numbers kept as they are written.
func Parse(text []byte) (Bag, error) { panic("not yet") }

// AppendJSON appends the bag as compact JSON with sorted keys.
func (b Bag) AppendJSON(to []byte) []byte { panic("not yet") }

// Same tells whether two bags are the same tree, which is cheap; equal trees that were built apart are not the same.
func (b Bag) Same(other Bag) bool { panic("not yet") }

// Equal tells whether two bags hold the same values at a storage path ("" for all), numbers compared as float64.
func (b Bag) Equal(other Bag, path string) bool { panic("not yet") }

// Value returns all of the bag as JSON shapes, numbers as json.Number.
func (b Bag) Value() map[string]any { panic("not yet") }
