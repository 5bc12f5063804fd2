package world

import (
	_ "embed"
	"fmt"
	"sync"
)

//go:embed builtin.json
var builtinDocument []byte

// builtin is the confdb-schema that snapd brings along, system/validation-sets: the one of 2.77.1 in our words. Its views
// are known and have no custodian, as no snap may be one for the account system, so that nobody can access them. From snapd
// 2.78 on they can be read and written.
var builtin = sync.OnceValue(func() Schema {
	schema, err := ParseSchema(builtinDocument)
	if err != nil {
		panic(fmt.Sprintf("internal error: the built-in confdb-schema: %v", err))
	}
	return schema
})

// Builtin returns the confdb-schemas that snapd brings along. Schemas has only those that were made known.
func Builtin() []Schema { return []Schema{builtin()} }
