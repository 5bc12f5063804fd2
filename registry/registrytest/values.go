package registrytest

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
)

var registryKinds = backend.Kinds()

// same compares JSON shapes. A backend must return numbers as json.Number, not as float64.
func (s *suite) same(what string, want any, got map[string]any) {
	s.Helper()
	shaped, err := registry.Values(want)
	if err != nil {
		s.Fatalf("internal error: %v", err)
	}
	if diff := cmp.Diff(shaped, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
	checkShapes(s, what, got)
}

func checkShapes(s *suite, what string, value any) {
	s.Helper()
	switch value := value.(type) {
	case nil, bool, string, json.Number:
	case []any:
		for _, element := range value {
			checkShapes(s, what, element)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			checkShapes(s, what+" at "+key, value[key])
		}
	default:
		s.Errorf("%s: a %T is no JSON shape", what, value)
	}
}

// Schemas returns the suite's confdb-schema for registry.Options.
func Schemas() []registry.Schema {
	schemas, err := registry.ParseSchemas(testschema.Document())
	if err != nil {
		panic(err) // it is part of the program, and tests have parsed it
	}
	return schemas
}
