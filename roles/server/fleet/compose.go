package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
	layering "aspects-poc/roles/serverapi/layers"
	"aspects-poc/roles/serverapi/signed"
)

// A tier is a layer as it is merged.
type tier struct {
	Layer
	tree map[string]any // of Config; nobody changes it
}

func tierOf(layer Layer) (tier, error) {
	tree, err := layer.Config.Tree()
	if err != nil {
		return tier{}, fmt.Errorf("layer %s is damaged: %w", layer.Name, err)
	}
	return tier{layer, tree}, nil
}

// A composition is what layers come to together. But for concealed, and what is signed, it is never changed.
type composition struct {
	layers []Layer // in the order of merging
	named  namedSecrets
	merged Config   // layers, with references
	names  []string // of the secrets that merged refers to
	config Config
	hash   string
	tree   map[string]any // of config

	signing   sync.Mutex     // guards the following
	signedFor *signed.Book   // the book that the rest is for; nil: none yet
	digest    string         // that an operator signs
	places    []signed.Place // of secrets
	unsigned  error          // why it cannot be signed

	concealing sync.Mutex   // guards concealed
	concealed  *composition // as operators see it; nil until one does
}

// compose merges layers in their order. Objects are merged; whatever else a later layer has, also an array or null,
// takes the place of what an earlier one has, whole. Nulls stay: the result is a merge patch (RFC 7396) of a device's
// configuration, as each layer is. A reference to a named secret is merged as a value is that is no object, and then gives
// place to the secret.
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
		if c.tree, err = named.tree(c.merged); err != nil { // the lists of tree are those of the layers
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

// configOf makes a Config of a tree.
func configOf(tree map[string]any) (Config, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		return Config{}, err
	}
	return ParseConfig(text.Bytes())
}

// An Origin is the layer that a value comes from.
type Origin struct {
	Layer    LayerName
	Revision int64
}

// explain tells for each value of a composition, by its path, which layer it comes from. Arrays are values, and so are
// empty objects.
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

// claim puts down a layer as the origin of what it has and is still there.
func claim(origins map[string]Origin, whole, layer map[string]any, prefix string, origin Origin) {
	for name, value := range layer {
		path := serverapi.JoinPath(prefix, name)
		present, there := whole[name]
		object, isObject := layering.Object(value)
		result, isResult := layering.Object(present)
		switch {
		case !there: // a layer in between has replaced what it was in
		case isObject && isResult && len(result) > 0:
			claim(origins, result, object, path, origin)
		case isObject == isResult:
			origins[path] = origin
		}
	}
}

// A Difference is a value that two configurations do not share.
type Difference struct {
	Path          string
	Kind          string // "added", "removed" or "changed"
	Before, After any    // JSON shapes; nil where there is none, or null
}

// compare lists what differs from one configuration to another, by path. Arrays are values, and so are empty objects.
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
