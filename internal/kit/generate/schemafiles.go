package generate

import (
	_ "embed"
	"slices"
)

//go:embed schemafiles.json
var schemaFiles []byte

// SchemaFiles returns the JSON Schema (2020-12) of confdb-schemas themselves, as people write them in YAML or JSON. It refuses
// keys that snapd does not know, as they are misspelt most of the time; all else that snapd accepts fits.
func SchemaFiles() []byte { return slices.Clone(schemaFiles) }
