package keep

import "embed"

// Source has the files of this package except for this one. "registry new --hooks go" writes them into custodians.
// So they import nothing of ours, and have an Equal of their own.
//
//go:embed keep.go scalar.go literal.go flow.go yaml.go ini.go toml.go edit.go insert.go
var Source embed.FS
