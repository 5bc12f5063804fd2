package recipe

import (
	"fmt"
	"iter"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// The functions of this file work on trees of YAML nodes, because a Go map would lose the order of the keys.

// safe matches values that may be filled in: they have no meaning for YAML, a shell or a path.
var safe = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:.+~-]*$`)

// variable matches a ${NAME} of the recipe. A variable for the shell of a build step is written without braces.
var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// plain returns an error unless the tree has only maps, lists and scalars.
func plain(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases are not known here", node.Line)
	}
	if node.Kind == yaml.MappingNode {
		seen := map[string]bool{}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: a key that is no plain value", key.Line)
			}
			if seen[key.Value] {
				return fmt.Errorf("line %d: %q stands twice", key.Line, key.Value)
			}
			seen[key.Value] = true
		}
	}
	for _, child := range node.Content {
		if err := plain(child); err != nil {
			return err
		}
	}
	return nil
}

// fill returns a copy of a tree with the variables in its keys and strings filled in.
func fill(node *yaml.Node, values map[string]string) (*yaml.Node, error) {
	filled := &yaml.Node{Kind: node.Kind, Tag: node.Tag, Value: node.Value, Line: node.Line}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		var unknown string
		filled.Value = variable.ReplaceAllStringFunc(node.Value, func(found string) string {
			value, ok := values[found[2:len(found)-1]]
			if !ok {
				unknown = found
			}
			return value
		})
		if unknown != "" {
			return nil, fmt.Errorf("line %d of the recipe: unknown variable %s", node.Line, unknown)
		}
	}
	for _, child := range node.Content {
		child, err := fill(child, values)
		if err != nil {
			return nil, err
		}
		filled.Content = append(filled.Content, child)
	}
	return filled, nil
}

// merge copies the values of over into base. It merges maps and replaces everything else.
func merge(base, over *yaml.Node) {
	for key, value := range pairs(over) {
		old := get(base, key)
		if old != nil && old.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode {
			merge(old, value)
			continue
		}
		set(base, key, value)
	}
}

// sortLike sorts the keys of a map in the order of a list. Keys that are not in the list come last.
func sortLike(node *yaml.Node, order []string) {
	type pair struct{ key, value *yaml.Node }
	var list []pair
	for i := 0; i < len(node.Content); i += 2 {
		list = append(list, pair{node.Content[i], node.Content[i+1]})
	}
	rank := func(p pair) int {
		if i := slices.Index(order, p.key.Value); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(list, func(a, b pair) int { return rank(a) - rank(b) })
	node.Content = nil
	for _, p := range list {
		node.Content = append(node.Content, p.key, p.value)
	}
}

// pairs yields the keys and values of a map. It yields nothing for another node.
func pairs(node *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if node == nil || node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

func keys(node *yaml.Node) []string {
	var list []string
	for key := range pairs(node) {
		list = append(list, key)
	}
	return list
}

func get(node *yaml.Node, key string) *yaml.Node {
	for name, value := range pairs(node) {
		if name == key {
			return value
		}
	}
	return nil
}

// text returns a string of a map, or "" without the key.
func text(node *yaml.Node, key string) string {
	if value := get(node, key); value != nil && value.Kind == yaml.ScalarNode && value.Tag != "!!null" {
		return value.Value
	}
	return ""
}

func set(node *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content[i+1] = value
			return
		}
	}
	node.Content = append(node.Content, scalar(key), value)
}

func remove(node *yaml.Node, key string) {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content = slices.Delete(node.Content, i, i+2)
			return
		}
	}
}

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

// items returns the strings of a list.
func items(node *yaml.Node, what string) ([]string, error) {
	if node == nil {
		return nil, nil
	}
	if node.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d of the recipe: %s is no list", node.Line, what)
	}
	var list []string
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			return nil, fmt.Errorf("line %d of the recipe: %s has an item that is no string", item.Line, what)
		}
		if slices.Contains(list, item.Value) {
			return nil, fmt.Errorf("line %d of the recipe: %s has %q twice", item.Line, what, item.Value)
		}
		list = append(list, item.Value)
	}
	return list, nil
}
