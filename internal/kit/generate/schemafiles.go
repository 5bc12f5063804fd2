package generate

import (
	_ "embed"
	"slices"
)

//go:embed schemafiles.json
var schemaFiles []byte

// SchemaFiles returns a JSON Schema (2020-12) for files with a confdb-schema in YAML or JSON. It refuses keys that snapd ignores,
// since these are mostly misspelt. It accepts everything else that snapd accepts.
func SchemaFiles() []byte { return slices.Clone(schemaFiles) }
