// Package yamljson converts between JSON values and YAML that people read and write. Its functions are Decode and Encode. Package
// document reads confdb-schemas in YAML, with positions.
package yamljson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Encode converts JSON to YAML. Members keep their order, and numbers their notation. It returns an error if text is not JSON.
func Encode(text []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	unfold(&node)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// unfold sets the style of a node: lists and maps on lines of their own, and texts in quotes only if they need them.
func unfold(node *yaml.Node) {
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode {
		node.Style = 0
	}
	switch strings.ToLower(node.Value) {
	case "y", "n", "yes", "no", "on", "off": // to some readers of YAML they are true or false
		node.Style = yaml.DoubleQuotedStyle
	}
	for _, below := range node.Content {
		unfold(below)
	}
}

// Decode reads YAML or JSON. value has the shapes nil, bool, string, json.Number, []any and map[string]any; a number in a notation that
// JSON does not have is an int or float64. empty reports whether the text has no value. Decode returns an error for repeated names,
// aliases, tags, merge keys and a second document, since with these a person could misread the value.
func Decode(text []byte) (value any, empty bool, err error) {
	var root, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, true, nil
	} else if err != nil {
		return nil, false, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, false, fmt.Errorf("line %d: it holds more than one YAML document", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if len(root.Content) == 0 {
		return nil, true, nil
	}
	value, err = plainValue(root.Content[0])
	return value, false, err
}

// plainValue converts a YAML node to a JSON value. Numbers keep their notation.
func plainValue(node *yaml.Node) (any, error) {
	refuse := func(format string, args ...any) (any, error) {
		return nil, fmt.Errorf("line %d: "+format, append([]any{node.Line}, args...)...)
	}
	switch node.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
				return refuse("a name is no text")
			}
			if _, twice := object[key.Value]; twice {
				return nil, fmt.Errorf("line %d: %q stands here twice", key.Line, key.Value)
			}
			var err error
			if object[key.Value], err = plainValue(node.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, element := range node.Content {
			value, err := plainValue(element)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
	default:
		return refuse("aliases cannot be used here")
	}
	switch node.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		value, err := strconv.ParseBool(strings.ToLower(node.Value))
		if err != nil {
			return refuse("%q is neither true nor false", node.Value)
		}
		return value, nil
	case "!!int", "!!float":
		if json.Valid([]byte(node.Value)) {
			return json.Number(node.Value), nil
		}
		var value any
		if err := node.Decode(&value); err != nil {
			return refuse("%q is no number", node.Value)
		}
		if _, err := json.Marshal(value); err != nil {
			return refuse("%q is no number of JSON", node.Value)
		}
		return value, nil
	case "!!str", "!!timestamp":
		return node.Value, nil
	}
	return refuse("the tag %s cannot be used here", node.Tag)
}
