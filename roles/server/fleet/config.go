package fleet

import (
	"bytes"
	"errors"
	"fmt"

	"aspects-poc/internal/jsonvalue"

	"github.com/go-json-experiment/json/jsontext"
)

// A Config is a configuration: a JSON object, view name -> the document of that view. It has the canonical text (names
// sorted, no white space), in which numbers have their original digits, so that 64-bit integers survive. It is
// immutable. The zero value is the empty configuration.
type Config struct {
	text string // "" stands for {}
}

// MaxDepth is how deep objects and arrays of a configuration may nest. No view needs a tenth of it. A much deeper text
// would take seconds to sort.
const MaxDepth = 128

var (
	errNoObject = errors.New("a configuration is a JSON object")
	errTooDeep  = fmt.Errorf("a configuration nests no deeper than %d levels", MaxDepth)
)

// ParseConfig parses a JSON object. It returns a *jsontext.SyntacticError for a text that is not well-formed, not UTF-8
// or has a member twice. It returns another error for a text that is no object or nests deeper than MaxDepth.
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

// tooDeep reports whether a text nests too deep. It counts brackets outside of strings, and does not check the text
// otherwise.
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

// LoadConfig parses the canonical text of a Config, for stores. It returns an error for a text that is no JSON object.
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

// Equal reports whether two configurations have the same text. Numbers in different notations differ.
func (c Config) Equal(other Config) bool { return c.text == other.text }

// MarshalJSON returns the canonical text.
func (c Config) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// Tree returns the configuration as nil, bool, string, json.Number, []any and map[string]any. The caller may modify the
// tree. It returns an error for a text that LoadConfig has accepted and ParseConfig would not.
func (c Config) Tree() (map[string]any, error) {
	var tree map[string]any
	if err := jsonvalue.Decode([]byte(c.String()), &tree); err != nil {
		return nil, err
	}
	return tree, nil
}
