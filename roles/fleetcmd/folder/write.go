package folder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/yamljson"

	"go.yaml.in/yaml/v3"
)

// A Content is the wanted content of a file.
type Content struct {
	Path     string // below the folder
	Device   string // for the file of a device
	Selector string // for the file of a layer of labels
	Priority int64
	Config   map[string]any // JSON shapes
}

// shape returns the members of the file, and the order of their keys.
func (c Content) shape() (keys []string, values map[string]any) {
	values = map[string]any{"config": c.Config}
	switch kind, _, _ := strings.Cut(c.Path, "/"); kind {
	case "labels":
		return []string{"selector", "priority", "config"}, maps.Collect(maps.All(map[string]any{"selector": c.Selector,
			"priority": json.Number(fmt.Sprint(c.Priority)), "config": c.Config}))
	case "devices":
		values["device"] = c.Device
		return []string{"device", "config"}, values
	}
	return []string{"config"}, values
}

// Write changes a file to the wanted content, and reports whether it changed something. present is the layer that the
// file has now, or nil for a new file. Equal values stay as they are written, with comments, order and variables.
func (f *Folder) Write(content Content, present *Layer) (bool, error) {
	file := filepath.Join(f.Dir, filepath.FromSlash(content.Path))
	keys, wanted := content.shape()
	if present == nil {
		root := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range keys {
			if key == "priority" && content.Priority == 0 {
				continue
			}
			value, err := nodeOf(wanted[key])
			if err != nil {
				return false, err
			}
			root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
		}
		return true, writeYAML(file, root)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return false, fmt.Errorf("cannot change %s: %w", content.Path, err)
	}
	has := map[string]any{"config": present.Config, "selector": present.Selector, "priority": json.Number(fmt.Sprint(present.Priority)),
		"device": present.File.Device}
	maps.DeleteFunc(has, func(key string, _ any) bool { return !slices.Contains(keys, key) })
	if content.Priority == 0 && present.File.top.Entry("priority") == nil {
		delete(has, "priority")
		delete(wanted, "priority")
	}
	change := &changer{}
	if err := change.object(root.Content[0], has, wanted); err != nil {
		return false, err
	}
	switch {
	case !change.shape && len(change.scalars) == 0:
		return false, nil
	case !change.shape:
		if spliced, ok := change.splice(text); ok {
			return true, durable.Write(file, spliced, 0o644)
		}
	}
	return true, writeYAML(file, &root)
}

// A changer changes nodes, and records what it has changed.
type changer struct {
	shape   bool // something else than scalars has changed
	scalars []scalarChange
}

type scalarChange struct {
	line, column int
	before       string // the text in the file
	node         *yaml.Node
}

// object changes a map to have the members of wanted. has is the map's content with its variables filled in.
func (c *changer) object(node *yaml.Node, has, wanted map[string]any) error {
	kept := node.Content[:0:0]
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		want, there := wanted[key]
		seen[key] = true
		if !there {
			c.shape = true
			continue
		}
		value, err := c.value(node.Content[i+1], has[key], want)
		if err != nil {
			return err
		}
		kept = append(kept, node.Content[i], value)
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if seen[key] {
			continue
		}
		value, err := nodeOf(wanted[key])
		if err != nil {
			return err
		}
		c.shape = true
		if len(kept) == 0 {
			node.Style = 0 // {} becomes a map with a line for each member
		}
		kept = append(kept, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	}
	node.Content = kept
	return nil
}

func (c *changer) value(node *yaml.Node, has, wanted any) (*yaml.Node, error) {
	if jsonvalue.Equal(has, wanted) {
		return node, nil
	}
	before, was := has.(map[string]any)
	after, is := wanted.(map[string]any)
	if was && is && node.Kind == yaml.MappingNode {
		return node, c.object(node, before, after)
	}
	value, err := nodeOf(wanted)
	if err != nil {
		return nil, err
	}
	value.HeadComment, value.LineComment, value.FootComment = node.HeadComment, node.LineComment, node.FootComment
	if node.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && node.Anchor == "" {
		c.scalars = append(c.scalars, scalarChange{node.Line, node.Column, node.Value, value})
	} else {
		c.shape = true
	}
	return value, nil
}

// splice replaces scalars in a text and changes nothing else. ok is false if the text of a scalar is not in the plain
// form.
func (c *changer) splice(text []byte) (_ []byte, ok bool) {
	lines := strings.SplitAfter(string(text), "\n")
	slices.SortFunc(c.scalars, func(a, b scalarChange) int { return b.column - a.column }) // later ones in a line first
	for _, change := range c.scalars {
		if change.line < 1 || change.line > len(lines) {
			return nil, false
		}
		line := []rune(lines[change.line-1])
		at := change.column - 1
		if at < 0 || at > len(line) {
			return nil, false
		}
		written := ""
		for _, form := range []string{`"` + change.before + `"`, `'` + change.before + `'`, change.before} {
			if form != "" && strings.HasPrefix(string(line[at:]), form) {
				written = form
				break
			}
		}
		encoded, err := yaml.Marshal(change.node)
		next := strings.TrimSuffix(string(encoded), "\n")
		if comment := change.node.LineComment; comment != "" {
			next = strings.TrimSuffix(strings.TrimRight(strings.TrimSuffix(next, comment), " "), " ")
		}
		if written == "" || err != nil || strings.Contains(next, "\n") {
			return nil, false
		}
		lines[change.line-1] = string(line[:at]) + next + strings.TrimPrefix(string(line[at:]), written)
	}
	return []byte(strings.Join(lines, "")), true
}

// nodeOf returns a value as YAML. It escapes {{ in texts.
func nodeOf(value any) (*yaml.Node, error) {
	encoded, err := json.Marshal(escape(value))
	if err != nil {
		return nil, err
	}
	text, err := yamljson.Encode(encoded)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	return root.Content[0], nil
}

func escape(value any) any {
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, open, escaped)
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = escape(element)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for name, element := range value {
			object[name] = escape(element)
		}
		return object
	}
	return value
}

func writeYAML(file string, root *yaml.Node) error {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return durable.Write(file, out.Bytes(), 0o644)
}
