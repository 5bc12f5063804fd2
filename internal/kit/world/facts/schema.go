package facts

import "aspects-poc/registry/confdb"

// A Schema is a confdb-schema that the machine has.
type Schema struct {
	Parsed *confdb.Schema
	// Document is its JSON in the form for `snap sign`; state.json has it.
	Document []byte
	// Assertion is its text as it was acknowledged, "" if it came from a file.
	Assertion string
}

// ParseSchema reads a confdb-schema in the form for `snap sign`. It returns a *confdb.SchemaError if that is not valid.
func ParseSchema(document []byte) (Schema, error) {
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		return Schema{}, err
	}
	return Schema{Parsed: parsed, Document: document}, nil
}

// ID returns ACCOUNT/NAME.
func (s *Schema) ID() string { return s.Parsed.ID() }
