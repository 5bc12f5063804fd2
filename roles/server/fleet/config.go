package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// A Config is a configuration: a JSON object, view name -> the document of that view. It is kept as canonical text
// (names sorted, no white space) in which numbers keep the digits that they came with, so that 64-bit integers survive.
// It is immutable; the zero value is the empty configuration.
type Config struct {
	text string // "" stands for {}
}

// MaxDepth is how deep objects and arrays of a configuration may nest. No view needs a tenth of it; to sort the names of
// something absurdly deep would take seconds.
const MaxDepth = 128

var (
	errNoObject = errors.New("a configuration is a JSON object")
	errTooDeep  = fmt.Errorf("a configuration nests no deeper than %d levels", MaxDepth)
)

// ParseConfig reads a JSON object. It refuses what is not well-formed, not UTF-8 or names a member twice
// (*jsontext.SyntacticError), what is no object, and what nests deeper than MaxDepth.
func ParseConfig(text []byte) (Config, error) {
	if tooDeep(text) {
		return Config{}, errTooDeep
	}
	value := jsontext.Value(bytes.Clone(text))
	err := value.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	if err != nil {
		return Config{}, err
	}
	return LoadConfig(value)
}

// tooDeep looks at brackets outside of strings; whether the text is well-formed is for others to say.
func tooDeep(text []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, char := range text {
		switch {
		case escaped:
			escaped = false
		case inString && char == '\\':
			escaped = true
		case char == '"':
			inString = !inString
		case inString:
		case char == '{' || char == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case char == '}' || char == ']':
			depth--
		}
	}
	return false
}

// LoadConfig takes canonical text that a Config gave out before, for stores. It refuses what is no JSON object.
func LoadConfig(text []byte) (Config, error) {
	value := jsontext.Value(text)
	switch {
	case !value.IsValid() || value.Kind() != '{':
		return Config{}, errNoObject
	case len(value) == len("{}"):
		return Config{}, nil
	}
	return Config{text: string(value)}, nil
}

// String returns the canonical text.
func (c Config) String() string {
	if c.text == "" {
		return "{}"
	}
	return c.text
}

// Equal tells whether two configurations have the same text. Numbers written differently make a difference.
func (c Config) Equal(other Config) bool { return c.text == other.text }

// MarshalJSON returns the canonical text.
func (c Config) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// Tree returns the configuration as nil, bool, string, json.Number, []any and map[string]any, the caller's own. The error
// is for text that LoadConfig took and ParseConfig would not have.
func (c Config) Tree() (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(c.String())))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return tree, nil
}
