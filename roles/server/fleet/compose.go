package fleet

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
	layering "aspects-poc/roles/serverapi/layers"
	"aspects-poc/roles/serverapi/signed"
)

// A tier is a layer in the form for a merge.
type tier struct {
	Layer
	tree map[string]any // the tree of Config; do not modify it
}

func tierOf(layer Layer) (tier, error) {
	tree, err := layer.Config.Tree()
	if err != nil {
		return tier{}, fmt.Errorf("layer %s is damaged: %w", layer.Name, err)
	}
	return tier{layer, tree}, nil
}

// A composition is the merge of layers. It is immutable, except for concealed and the values about signatures.
type composition struct {
	layers []Layer // in the order of merging
	named  namedSecrets
	merged Config   // the merge, with references
	names  []string // names of the secrets to which merged refers
	config Config
	hash   string
	tree   map[string]any // the tree of config

	signing   sync.Mutex     // guards the next four
	signedFor *signed.Book   // the book for which the next three are valid; nil for none
	digest    string         // of the target, for the operator's signature
	places    []signed.Place // places of secrets
	unsigned  error          // why the target cannot be signed

	concealing sync.Mutex   // guards concealed
	concealed  *composition // the merge as operators see it; nil until somebody asks
}

// compose merges layers in their order. Objects are merged; any other value of a later layer, such as an array or null,
// replaces the value of an earlier one. Nulls stay: the result is a merge patch (RFC 7396) of a device's configuration,
// as each layer is. A reference to a named secret is merged as a single value, and the secret's value then replaces it.
func compose(tiers []tier, named namedSecrets) (*composition, error) {
	c := &composition{layers: make([]Layer, len(tiers)), named: named}
	if len(tiers) == 1 {
		c.merged = tiers[0].Config
	}
	var err error
	tree := map[string]any{}
	for i, tier := range tiers {
		c.layers[i] = tier.Layer
		layering.Overlay(tree, tier.tree)
	}
	c.tree = tree
	if len(tiers) > 1 {
		if c.merged, err = configOf(tree); err != nil {
			return nil, err
		}
	}
	c.names = c.merged.references()
	if c.config = c.merged; len(c.names) > 0 {
		if c.tree, err = named.tree(c.merged); err != nil { // the tree shares the lists of the layers
			return nil, err
		}
		if c.config, err = configOf(c.tree); err != nil {
			return nil, err
		}
	}
	if c.hash, err = serverapi.HashJSON([]byte(c.config.String())); err != nil {
		return nil, err
	}
	return c, nil
}

// configOf returns a tree as a Config.
func configOf(tree map[string]any) (Config, error) {
	text, err := jsonvalue.Encode(tree)
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(text)
}

// An Origin is the layer from which a value comes.
type Origin struct {
	Layer    LayerName
	Revision int64
}

// explain returns the origin of each value of a composition, by path. Arrays and empty objects count as values.
func (c *composition) explain() (map[string]Origin, error) {
	origins := map[string]Origin{}
	for _, layer := range c.layers {
		tree, err := layer.Config.Tree()
		if err != nil {
			return nil, err
		}
		claim(origins, c.tree, tree, "", Origin{layer.Name, layer.Revision})
	}
	return origins, nil
}

// claim sets a layer as the origin of those of its values that whole still has.
func claim(origins map[string]Origin, whole, layer map[string]any, prefix string, origin Origin) {
	for name, value := range layer {
		path := serverapi.JoinPath(prefix, name)
		present, there := whole[name]
		object, isObject := layering.Object(value)
		result, isResult := layering.Object(present)
		switch {
		case !there: // a later layer has replaced the object around it
		case isObject && isResult && len(result) > 0:
			claim(origins, result, object, path, origin)
		case isObject == isResult:
			origins[path] = origin
		}
	}
}

// A Difference is a value that differs between two configurations.
type Difference struct {
	Path          string
	Kind          string // "added", "removed" or "changed"
	Before, After any    // JSON shapes; nil for null and for no value
}

// compare lists the differences between two configurations, by path. Arrays and empty objects count as values.
func compare(before, after map[string]any) []Difference {
	var list []Difference
	compareBelow(&list, before, after, "")
	return list
}

func compareBelow(list *[]Difference, before, after map[string]any, prefix string) {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		path := serverapi.JoinPath(prefix, name)
		old, was := before[name]
		new, is := after[name]
		oldObject, oldIs := layering.Object(old)
		newObject, newIs := layering.Object(new)
		switch {
		case oldIs && newIs && len(oldObject)+len(newObject) > 0:
			compareBelow(list, oldObject, newObject, path)
		case oldIs && newIs:
		case !is && oldIs && len(oldObject) > 0:
			compareBelow(list, oldObject, nil, path)
		case !was && newIs && len(newObject) > 0:
			compareBelow(list, nil, newObject, path)
		case !is:
			*list = append(*list, Difference{Path: path, Kind: "removed", Before: old})
		case !was:
			*list = append(*list, Difference{Path: path, Kind: "added", After: new})
		case !jsonvalue.Equal(old, new):
			*list = append(*list, Difference{Path: path, Kind: "changed", Before: old, After: new})
		}
	}
}
